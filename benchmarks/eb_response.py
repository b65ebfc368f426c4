"""The response of EB's estimator to κ beyond its normalisation, and the spectra behind it.

    python -m benchmarks.eb_response [--version v11] [--skies 2000]

To all orders in κ the change of ⟨Ẽ B̃⟩ by a further deflection holds three spectra of the lensed
polarization with its lensed gradient (Lewis, Challinor & Hanson 2011, arXiv:1101.2234, appendix C):

    f(l₁, l₂) = sin 2(φ₁ − φ₂) [L·l₁ C^E∇E(l₁) + L·l₂ C^B∇B(l₂)]
                − cos 2(φ₁ − φ₂) ½ [L×l₁ C^P⊥(l₁) + L×l₂ C^P⊥(l₂)].

The estimator has the first alone. CAMB computes all (extra `camb`), here with less accuracy than
the packaged table's, which is enough for the ratios. Beside what they make of the response stands
what simulated skies have. About a minute on one core.
"""

import argparse

import numpy as np
from numpy.typing import NDArray

from estimators.quadratic.fields import fields_of
from lensing_tfds import VERSIONS, LensingConfig, simulate
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.sky import spectra
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.fiducial import COSMOLOGY
from pipelines.validation.response import Responses

MODES = 40  # of κ in a band: the sum over pairs is made for each
CHUNK = 64  # skies in memory at a time
_LMAX = 5000


def lensed_gradients() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns C^B∇B and C^P⊥ at l = 0, 1, ... 4000, as shares of C^E∇E."""
    import camb  # an extra

    fields = dict(COSMOLOGY)
    fields["As"] = np.exp(fields.pop("ln10^10As")) * 1e-10
    model = camb.set_params(
        **fields, halofit_version="mead2020", lmax=_LMAX, lens_potential_accuracy=2
    )
    model.NonLinear = camb.model.NonLinear_both
    columns = camb.get_results(model).get_lensed_gradient_cls(
        lmax=_LMAX - 1000, CMB_unit="muK", raw_cl=True
    )
    e, b, across = (columns[2:, number] for number in (1, 2, 3))
    return np.pad(b / e, (2, 0)), np.pad(across / e, (2, 0))


def predicted(
    config: LensingConfig, b_share: NDArray[np.float64], across_share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns what B's and the transverse spectrum add to the response, relative to E's.

    Args:
      config: the version.
      b_share: C^B∇B / C^E∇E at l = 0, 1, ...
      across_share: C^P⊥ / C^E∇E likewise.

    Returns:
      Shape (bands, 2): of each band of `Responses`.
    """
    sky, responses = config.sky, Responses(config, spectra_of(config))
    observation = responses.estimators["EB"].observation

    def everywhere(half_plane: NDArray) -> NDArray[np.float64]:
        return np.asarray(sky.full_plane(half_plane.astype(complex)).real)

    def at(share: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(ell, np.arange(len(share)), share)

    used = everywhere(observation.used) > 0.5
    beam, of_e, of_b = map(
        everywhere, (observation.beam, observation.inverse("E"), observation.inverse("B"))
    )
    gradient = everywhere(
        spectra.at_multipoles(observation.spectra.gradient_EE, sky.ell) * observation.used
    )
    numbers = np.fft.fftfreq(sky.npix, 1 / sky.npix).astype(int)
    y, x = np.meshgrid(numbers, numbers, indexing="ij")
    ell, angle = sky.fundamental * np.hypot(x, y), np.arctan2(y, x)
    of_bb, across = gradient * at(b_share), gradient * at(across_share)

    def added(big_y: int, big_x: int) -> NDArray[np.float64]:
        rest_y, rest_x = big_y - y, big_x - x
        top = sky.npix // 2
        there = rest_y % sky.npix, rest_x % sky.npix
        pairs = used & used[there] & (abs(rest_y) < top) & (abs(rest_x) < top)
        turned = 2 * (angle - np.arctan2(rest_y, rest_x))
        along = big_y * y + big_x * x, big_y * rest_y + big_x * rest_x
        beside = big_x * y - big_y * x, big_x * rest_y - big_y * rest_x
        ours = along[0] * gradient * np.sin(turned)
        weights = ours * (beam * beam[there]) ** 2 * of_e * of_b[there] * pairs
        b_term = along[1] * of_bb[there] * np.sin(turned)
        cross_term = beside[0] * across + beside[1] * across[there]
        total = np.sum(weights * ours)
        return (
            np.array(
                [np.sum(weights * b_term), np.sum(weights * cross_term * np.cos(turned)) * -0.5]
            )
            / total
        )

    rng, found = np.random.default_rng(0), []
    for band in range(responses.bands.num):
        modes = np.argwhere(responses.bands.index == band)
        chosen = rng.permutation(modes)[:MODES]
        found.append(np.mean([added(numbers[row], column) for row, column in chosen], axis=0))
    return np.array(found)


def measured(config: LensingConfig, skies: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the response of simulated skies in each band and its error: ⟨κ̂ κ*⟩ / ⟨|κ|²⟩."""
    responses = Responses(config, spectra_of(config))
    estimator, bands = responses.estimators["EB"], responses.bands
    crosses, powers = [], []
    for start in range(0, skies, CHUNK):
        maps = simulate(config, "train", range(start, min(start + CHUNK, skies)))
        fields = fields_of(maps["lensed"], config.channels, config.sky)
        truth = config.sky.to_modes(np.ascontiguousarray(maps["kappa"][..., 0]))
        estimate = estimator.kappa(fields)
        crosses.append(_means(bands, (estimate * truth.conj()).real))
        powers.append(_means(bands, np.abs(truth) ** 2))
    cross, power = np.concatenate(crosses), np.concatenate(powers)
    ratio = cross.mean(axis=0) / power.mean(axis=0)
    scatter = (cross - ratio * power).std(axis=0) / power.mean(axis=0)
    return ratio, scatter / skies**0.5


def _means(bands: Bins, half_planes: NDArray[np.floating]) -> NDArray[np.float64]:
    return bands.mean(half_planes.astype(np.float64))


def main() -> None:
    """Prints a row for each band of L."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", default="v11", choices=("v10", "v11", "v12"))
    parser.add_argument("--skies", type=int, default=2000, help="to measure it on")
    arguments = parser.parse_args()
    config = VERSIONS[arguments.version]
    parts = predicted(config, *lensed_gradients())
    ratio, error = measured(config, arguments.skies)
    limits = Responses(config, spectra_of(config)).bands.limits
    print("L          of B    across  predicted  measured")
    for (low, high), (of_b, across), value, scatter in zip(
        limits.T, parts, ratio, error, strict=True
    ):
        print(
            f"{low:3.0f}-{high:<5.0f} {of_b:+.5f} {across:+.5f}    {1 + of_b + across:.5f}"
            f"  {value:.5f} ± {scatter:.5f}"
        )


if __name__ == "__main__":
    main()
