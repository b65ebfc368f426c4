"""Lensed powers of a box: against averages over displacements, and against CAMB's on the sphere."""

import dataclasses
import time

import numpy as np
import pytest

from lensing_tfds.sky import polarization, spectra
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.versions import VERSIONS
from pipelines.validation.finite_box import in_box
from pipelines.validation.lensed_box import lensed
from pipelines.validation.observables import Observables
from pipelines.validation.theory import Theory


def flat_powers(sky, ee):
    cosine, sine = polarization.angles(sky)
    return {"QQ": ee * cosine**2, "UU": ee * sine**2, "QU": ee * cosine * sine}


@pytest.mark.parametrize("npix", [8, 9])
def test_without_lenses_nothing_changes(npix):
    sky = FlatSky(npix, 0.1)
    power = 1 / (1 + sky.ell)
    for name, found in lensed(flat_powers(sky, power) | {"TT": power}, 0 * power, sky).items():
        expected = (flat_powers(sky, power) | {"TT": power})[name]
        np.testing.assert_allclose(found, expected, atol=1e-15)


def displaced_covariance(sky, power, shifts):
    """⟨T(x + α) T(x' + α')⟩ of the pixels at given displacements, by direct sums over waves.

    The waves are those of the simulation: all in FFT order, of which the real part is taken.
    """
    grid = np.arange(sky.npix) * sky.pixel
    y, x = (c.ravel() for c in np.meshgrid(grid, grid, indexing="ij"))
    y, x = y + shifts[0].ravel(), x + shifts[1].ravel()
    wave = np.empty((sky.ell.size, len(y)), complex)
    amplitude = power.ravel()[:, None] / sky.area
    half, even = sky.npix // 2, sky.npix % 2 == 0
    for number, (row, column) in enumerate(np.ndindex(sky.ell.shape)):
        l_y, l_x = sky.ly[row, 0], sky.lx[0, column]
        on_row, on_column = even and row == half, even and column == half
        in_y = np.cos(l_y * y) if on_row else np.exp(1j * l_y * y)
        in_x = np.cos(l_x * x) if on_column else np.exp(1j * l_x * x)
        wave[number] = in_y * in_x
    weights = sky.mode_counts.ravel()[:, None]
    return ((wave.conj() * amplitude * weights).T @ wave).real


@pytest.mark.parametrize("npix", [8, 9])
def test_the_mean_over_displacements(npix):
    """Of strong lensing on a coarse grid, whose Nyquist waves are standing ones."""
    sky = FlatSky(npix, 0.05)
    rng = np.random.default_rng(3)
    power = 1 / (1 + (sky.ell / 300) ** 2)
    kappa = np.where(sky.ell > 0, 3e-6 * (sky.ell / sky.fundamental) ** 1.0, 0.0)
    expected = lensed({"TT": power}, kappa, sky)["TT"]
    d_y, d_x = sky.gradient
    ell_squared = np.where(sky.ell > 0, sky.ell**2, np.inf)
    draws = []
    for _ in range(1500):
        # κ as the Fourier transform of white noise: right at every mode, self-conjugate or not.
        white = sky.to_modes(rng.standard_normal((npix, npix))) * npix
        phi = 2 * white * np.sqrt(kappa / sky.area) / ell_squared
        shifts = [sky.to_map((factor * phi).astype(complex)) for factor in (d_y, d_x)]
        covariance = displaced_covariance(sky, power, shifts).reshape((npix,) * 4)
        crossed = np.fft.fft2(np.fft.fft2(covariance, axes=(0, 1)).conj(), axes=(2, 3))
        modes = np.einsum("klkl->kl", crossed)
        draws.append(modes.real[:, : npix // 2 + 1] / npix**4 * sky.area)
    mean, error = np.mean(draws, axis=0), np.std(draws, axis=0) / len(draws) ** 0.5
    assert np.abs(expected / power - 1).max() > 0.2  # strong indeed
    sigmas = (mean - expected) / error
    assert np.abs(sigmas).max() < 4.5
    assert sigmas.std() < 1.5


def test_camb_where_a_flat_wave_has_the_multipole_of_its_curvature():
    """Read half a multipole lower, CAMB's unlensed spectra become its lensed ones on the box.

    On the sphere l(l + 1) is what l² is on a plane: a flat wave l has the power of l − ½. Left are
    some 1e-4 of TT and EE, of BB 1e-3, that a box's scarce long waves do at second order.
    """
    table = spectra.fiducial()
    sky = FlatSky(320, np.radians(320 * 2 / 60))
    ell = np.arange(table.lmax + 1.0)
    to_flat = (ell + 0.5) ** 4 / np.maximum(ell * (ell + 1), 1) ** 2  # both have the same φ

    def at(c_ell, shift=0.5):
        return spectra.at_multipoles(c_ell, np.maximum(sky.ell - shift, 0))

    kappa = table.kappa * to_flat
    boxed = in_box(table, sky)
    inside = (sky.ell > 200) & (sky.ell < 2000)
    cosine, sine = polarization.angles(sky)

    def off(shift):
        ee = at(table.EE, shift)
        unlensed = flat_powers(sky, ee) | {"TT": at(table.TT, shift)}
        found = lensed(unlensed, at(kappa if shift else table.kappa, shift), sky)
        q, u, cross = (found[name] for name in ("QQ", "UU", "QU"))
        both = {
            "TT": found["TT"],
            "EE": q * cosine**2 + u * sine**2 + 2 * cross * cosine * sine,
            "BB": q * sine**2 + u * cosine**2 - 2 * cross * cosine * sine,
        }
        return {
            name: (power[inside] / at(getattr(boxed, f"lensed_{name}"), shift)[inside]).mean() - 1
            for name, power in both.items()
        }

    half, none = off(0.5), off(0.0)
    assert abs(half["TT"]) < 3e-4 and abs(half["EE"]) < 3e-4 and abs(half["BB"]) < 5e-4
    assert -3e-3 < none["BB"] < -1.0e-3  # what the simulated, flat sky has


def test_a_stored_versions_theory_takes_seconds():
    observables = Observables.of(VERSIONS["v11"], 1000)
    theory = Theory(observables, spectra.fiducial())
    assert theory.is_exact
    began = time.process_time()
    for spectrum in observables.spectra:
        theory.expected(spectrum)
    assert time.process_time() - began < 20


def test_a_grid_too_large_has_cambs_spectra_and_a_wider_error():
    wide = dataclasses.replace(VERSIONS["v9"], name="wide", npix=1024, lx=34.0)
    theory = Theory(Observables.of(wide, 1000), spectra.fiducial())
    small = Theory(Observables.of(VERSIONS["v9"], 1000), spectra.fiducial())
    assert not theory.is_exact and theory.knows_lensed
    assert theory.relative_error("TT") > small.relative_error("TT")
    cut = Theory(Observables.of(dataclasses.replace(wide, T_lmax=3000), 1000), spectra.fiducial())
    assert not cut.knows_lensed
