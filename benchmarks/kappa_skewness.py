"""Skewness of the CMB's κ on smoothed maps: what v17's is chosen by.

The third moment of tree-order perturbation theory, of cosmic structure and of the post-Born
corrections, lens-lens coupling and deflection (Pratten & Lewis 2016, arXiv:1605.05662), over the
square of the variance of the same order. That ratio times the rms of κ is the skewness: Barthelemy,
Codis & Bernardeau (2020, arXiv:2002.03625) find it right in the ray tracing of Takahashi et al.
(2017, arXiv:1706.01472) for smoothing of some 10' and more. Needs CAMB, and takes half a minute of
a core:

    python -m benchmarks.kappa_skewness
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky import camb_spectra, instrument, spectra

FWHM_ARCMIN = (5.0, 10.0, 20.0, 30.0)
_SHELLS, _LAST_REDSHIFT = 80, 45.0  # κ of what lies beyond is next to nothing
_ANGLES = 64


class Sums(NamedTuple):
    """Sums over the line of sight, for pairs of multipoles.

    Attributes:
      ell: multipoles.
      power: C_l^κκ of linear structure, shape (ell,).
      structure: of the tree's bispectrum, ∫ W³/χ⁴ P(l₁) P(l₂), shape (ell, ell).
      post_born: M(l₁, l₂) = ∫ W²/χ² P(l₁) C(l₂; χ), with the second the cross-spectrum of κ for
        sources at χ and for the CMB.
    """

    ell: NDArray[np.float64]
    power: NDArray[np.float64]
    structure: NDArray[np.float64]
    post_born: NDArray[np.float64]


def line_of_sight() -> Sums:
    """Computes the sums in the fiducial cosmology, by CAMB."""
    import camb

    model = camb_spectra.model_of({})
    results = camb.get_background(model)
    matter = camb.get_matter_power_interpolator(
        model, nonlinear=False, hubble_units=False, k_hunit=False, kmax=20.0, zmax=50.0
    )
    edges = np.linspace(0, results.comoving_radial_distance(_LAST_REDSHIFT), _SHELLS + 1)
    chi, step = (edges[1:] + edges[:-1]) / 2, edges[1]
    redshift = results.redshift_at_comoving_radial_distance(chi)
    omega_m = (model.omch2 + model.ombh2 + model.omnuh2) / (model.H0 / 100) ** 2
    last = results.tau0 - results.tau_maxvis

    def weight(source: float) -> NDArray[np.float64]:
        hubble_squared = (model.H0 / 2.99792458e5) ** 2
        reach = chi * np.clip(source - chi, 0, None) / source
        return 1.5 * omega_m * hubble_squared * (1 + redshift) * reach

    ell = np.geomspace(8, 6000, 220)
    wave = [np.clip(ell / distance, 1e-4, 20.0) for distance in chi]
    power = np.array([matter.P(z, k) for z, k in zip(redshift, wave, strict=True)])
    ours = weight(last)
    shells = power * (ours / chi)[:, None] ** 2 * step
    to_source = np.array(
        [((weight(source) * ours / chi**2)[:, None] * power).sum(0) * step for source in chi]
    )
    tree = (ours**3 / chi**4 * step)[:, None] * power
    return Sums(ell, shells.sum(0), tree.T @ power, shells.T @ to_source)


def reduced_skewness(sums: Sums, fwhm_arcmin: float) -> tuple[float, float]:
    """Returns ⟨κ³⟩ / ⟨κ²⟩² of structure and of post-Born corrections, of smoothed κ."""
    cosine = np.cos((np.arange(_ANGLES) + 0.5) / _ANGLES * np.pi)
    first, second = sums.ell[:, None, None], sums.ell[None, :, None]
    product = first * second * cosine
    third = np.sqrt(first**2 + second**2 + 2 * product)
    kernel = 5 / 7 + cosine / 2 * (first / second + second / first) + 2 / 7 * cosine**2
    structure = 2 * kernel * sums.structure[:, :, None]
    post_born = -(first**2 + product) * sums.post_born[:, :, None]
    post_born = post_born - (second**2 + product) * sums.post_born.T[:, :, None]
    post_born *= 2 * product / (first * second) ** 2
    in_ring = np.gradient(np.log(sums.ell)) * sums.ell**2 / (2 * np.pi)
    beams = [instrument.beam(ell, fwhm_arcmin) for ell in (first, second, third)]
    measure = (
        in_ring[:, None, None]
        * in_ring[None, :, None]
        * np.prod(np.broadcast_arrays(*beams), axis=0)
    )
    variance = np.sum(in_ring * sums.power * instrument.beam(sums.ell, fwhm_arcmin) ** 2)
    # Three of the terms of a bispectrum, one a side of the triangle, have the same integral.
    found = [3 * np.sum(measure * part) / _ANGLES for part in (structure, post_born)]
    return float(found[0] / variance**2), float(found[1] / variance**2)


def main() -> None:
    sums = line_of_sight()
    c_ell = spectra.fiducial().kappa
    ell = np.arange(float(len(c_ell)))
    print("FWHM   S3 of structure   of post-Born   rms of κ   skewness")
    for fwhm in FWHM_ARCMIN:
        structure, post_born = reduced_skewness(sums, fwhm)
        smoothed = (2 * ell + 1) / (4 * np.pi) * c_ell * instrument.beam(ell, fwhm) ** 2
        rms = float(np.sqrt(smoothed.sum()))
        skewness = (structure + post_born) * rms
        print(f"{fwhm:3.0f}′   {structure:15.2f}   {post_born:12.2f}   {rms:8.4f}   {skewness:.4f}")


if __name__ == "__main__":
    main()
