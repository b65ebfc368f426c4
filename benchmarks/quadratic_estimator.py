"""Quadratic estimates per second of one core: ours against symlens's, on the same maps in one run.

From observed T maps (v9), or Q and U maps (v10), of 256 x 256 pixels to maps of κ̂. All that does
not depend on the maps is made once. symlens goes through its algebra again for every estimate;
"without algebra" is with its factorised expressions kept and its checks of itself left out, which
its users cannot have. It computes in double precision, ours here in the maps' own, single.

With l <= 3500 both work on grids of about 256 pixels, on which symlens is exact for L < 3800, and
the difference is that of the two codes' κ̂ at 100 < L < 3000, over its rms. With all modes our
grid is finer, so that nothing is aliased; symlens's is not.
"""

import dataclasses
import os
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.pixell_lensing import rate
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from lensing_tfds import VERSIONS, LensingConfig, simulate
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.sky import instrument, polarization, spectra

ROUNDS = 5
MAPS = 20  # estimated together by ours; symlens takes one at a time
CASES = (("v9", "TT", 3500.0), ("v9", "TT", None), ("v10", "EB", 3500.0), ("v10", "EB", None))


class OfSymlens:
    """symlens's estimator of a pair, as one who knows it well would use it.

    Args:
      observation: what the maps hold; its weights are the same as ours.
      pair: "TT" or "EB".
    """

    def __init__(self, observation: Observation, pair: str):
        from pixell import enmap
        from symlens import qe

        sky, table = observation.sky, observation.spectra
        edge = sky.side / 2
        self._shape, self._wcs = enmap.geometry(
            [[-edge, -edge], [edge, edge]], shape=(sky.npix, sky.npix), proj="plain"
        )
        ell = np.asarray(enmap.modlmap(self._shape, self._wcs))
        ly, lx = enmap.lmap(self._shape, self._wcs)
        lmax = observation.lmax or np.inf
        mask = ((ell >= max(observation.lmin, 2)) & (ell <= lmax)).astype(int)
        beam = instrument.beam(ell, observation.beam_arcmin)
        self._per_beam = 1 / beam
        self._angles = np.cos(2 * np.arctan2(ly, lx)), np.sin(2 * np.arctan2(ly, lx))
        self._feed: dict[str, Any] = {}
        for x, y in ("TT", "EE", "BB", "TE"):
            lensed = spectra.at_multipoles(getattr(table, f"lensed_{x}{y}"), ell)
            if x == y:
                depth = instrument.channel_noise(observation.noise_uK_arcmin, x)
                lensed += (np.radians(depth / 60) / beam) ** 2
            self._feed[f"tC_{x}_{y}"] = np.where(mask, lensed, 1.0)
            if y != "B":
                self._feed[f"uC_{x}_{y}"] = spectra.at_multipoles(
                    getattr(table, f"gradient_{x}{y}"), ell
                )
        self._pair = pair
        self._estimator = qe.QE(
            self._shape, self._wcs, self._feed, "hu_ok", pair, xmask=mask, ymask=mask
        )

    def kappa(self, maps: NDArray[np.float32]) -> NDArray[np.float64]:
        """Estimates κ: from (channels, npix, npix) to (npix, npix)."""
        from pixell import enmap

        modes = enmap.fft(enmap.ndmap(maps.astype(float), self._wcs), normalize="phys")
        modes = modes * self._per_beam
        if self._pair == "TT":
            x = y = modes[0]
        else:
            (q, u), (cos, sin) = modes, self._angles
            x, y = cos * q + sin * u, cos * u - sin * q
        estimate = self._estimator.reconstruct(self._feed | {"X": x, "Y": y})
        return np.asarray(enmap.ifft(enmap.ndmap(estimate, self._wcs), normalize="phys").real)


class KeptAlgebra:
    """While it is entered, symlens factorises an expression once, and does not check that."""

    def __enter__(self) -> None:
        from symlens import factorize

        self._original = original = factorize.factorize_2d_convolution_integral
        kept: dict[Any, Any] = {}

        def factorized(expression, l1funcs, l2funcs, groups, validate):
            if expression not in kept:
                kept[expression] = original(expression, l1funcs, l2funcs, groups, validate=False)
            return kept[expression]

        factorize.factorize_2d_convolution_integral = factorized

    def __exit__(self, *error: object) -> None:
        from symlens import factorize

        factorize.factorize_2d_convolution_integral = self._original


@dataclasses.dataclass(frozen=True)
class Case:
    """Ours and symlens's on the same maps.

    Attributes:
      ours: estimates κ from all maps: (MAPS, npix, npix).
      theirs: estimates κ from the first: (npix, npix).
      difference: rms of the two codes' difference at 100 < L < 3000 over the rms of the estimate.
    """

    ours: Callable[[], NDArray]
    theirs: Callable[[], NDArray]
    difference: float


def case(config: LensingConfig, pair: str, lmax: float | None, maps: int = MAPS) -> Case:
    """Prepares both codes for the maps of a config."""
    sky = config.sky
    observation = Observation.of(config, spectra_of(config), lmax)
    names = ("T",) if pair == "TT" else ("Q", "U")
    lensed = simulate(config, "test", range(maps))["lensed"]
    observed = np.stack([lensed[..., config.channels.index(name)] for name in names])
    estimator, other = QuadraticEstimator(pair, observation), OfSymlens(observation, pair)

    def ours() -> NDArray:
        modes = sky.to_modes(observed)
        if pair == "TT":
            fields = {"T": modes[0]}
        else:
            e, b = polarization.to_eb(modes[0], modes[1], sky)
            fields = {"E": e, "B": b}
        return sky.to_map(estimator.kappa(fields))

    def theirs() -> NDArray:
        return other.kappa(observed[:, 0])

    one, two = (sky.to_modes(np.asarray(kappa, float)) for kappa in (ours()[0], theirs()))
    band = (sky.ell > 100) & (sky.ell < 3000)
    return Case(ours, theirs, float(np.std((one - two)[band]) / np.std(one[band])))


def compare(version: str, pair: str, lmax: float | None) -> None:
    """Prints a row: seconds for 1,000 estimates, ratios with the rounds' extremes, difference."""
    both = case(VERSIONS[version], pair, lmax)
    rates = []
    for _ in range(ROUNDS):
        ours, theirs = rate(both.ours, MAPS), rate(both.theirs, 1)
        with KeptAlgebra():
            both.theirs()
            rates.append((ours, theirs, rate(both.theirs, 1)))
    table = np.array(rates)
    seconds = [1000 / statistics.median(column) for column in table.T]
    cells = [
        f"{version} {pair}",
        "all" if lmax is None else f"{lmax:.0f}",
        f"{seconds[0]:.1f}",
        f"{seconds[1]:.0f}",
        _ratio(table[:, 0] / table[:, 1]),
        f"{seconds[2]:.0f}",
        _ratio(table[:, 0] / table[:, 2]),
        f"{both.difference:.0e}" if lmax else "",
    ]
    print("| " + " | ".join(cells) + " |", flush=True)


def _ratio(ratios: NDArray[np.float64]) -> str:
    return f"{np.median(ratios):.1f} ({ratios.min():.1f}–{ratios.max():.1f})"


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # pixell's threads; read when it is first imported
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(
        "| | l <= | ours, s per 1,000 | symlens | ratio | without algebra | ratio | difference |\n"
        "| --- |" + " ---: |" * 7
    )
    for version, pair, lmax in CASES:
        compare(version, pair, lmax)


if __name__ == "__main__":
    main()
