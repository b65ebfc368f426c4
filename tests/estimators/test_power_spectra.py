"""Band powers are exact for a given map, and unbiased for fields of a known spectrum."""

import numpy as np
import pymaster as nmt
import pytest

from estimators import power_spectra
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.flat_sky import FlatSky
from tests.estimators import skies

SIDE = np.radians(22.9)


def red_spectrum(ell):
    return 1e-7 * (1 + (ell / 60) ** 2) ** -1.5


def direct_band_powers(first, second, bands):
    """The definition, mode by mode."""
    npix, side = bands.sky.npix, bands.sky.side
    axis = 2 * np.pi * np.fft.fftfreq(npix, side / npix)
    multipole = np.hypot(axis[:, None], axis)
    pixel_area = (side / npix) ** 2
    product = np.fft.fft2(first) * np.fft.fft2(second).conj() * pixel_area**2 / side**2
    return np.array(
        [
            product.real[(multipole > low) & (multipole < high)].mean()
            for low, high in zip(bands.edges[:-1], bands.edges[1:], strict=True)
        ]
    )


@pytest.mark.parametrize("npix", [50, 51])
def test_band_powers_are_a_direct_sum_over_the_modes(npix):
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal((2, 3, npix, npix))
    bands = power_spectra.choose_bands(FlatSky(npix, SIDE))
    powers = power_spectra.measure(first, second, bands)
    for n in range(3):
        for measured, (a, b) in zip(
            powers, ((first, first), (first, second), (second, second)), strict=True
        ):
            direct = direct_band_powers(a[n], b[n], bands)
            np.testing.assert_allclose(measured[n], direct, rtol=1e-11, atol=1e-13 * SIDE**2)


def test_a_plane_wave_has_its_power_in_its_own_band():
    # f = A cos(k·x) has two modes of |f(l)|²/area = A² area/4.
    npix, amplitude = 32, 3.0
    x = np.arange(npix) * 2 * np.pi / npix
    wave = amplitude * np.cos(3 * x)[None, :] * np.ones((npix, 1))
    bands = power_spectra.choose_bands(FlatSky(npix, SIDE))
    powers = power_spectra.measure(wave[None], -wave[None], bands)
    expected = np.zeros(len(bands.ell))
    expected[2] = 2 * amplitude**2 * SIDE**2 / 4 / bands.num_modes[2]
    np.testing.assert_allclose(powers.first[0], expected, atol=1e-12)
    np.testing.assert_allclose(powers.cross[0], -expected, atol=1e-12)


def test_a_mask_of_ones_needs_no_decoupling():
    # NaMaster's full answer, by way of the coupling matrix, is the one measured without it.
    npix = 24
    rng = np.random.default_rng(2)
    image = rng.standard_normal((1, npix, npix))
    bands = power_spectra.choose_bands(FlatSky(npix, SIDE))
    field = nmt.NmtFieldFlat(SIDE, SIDE, np.ones((npix, npix)), image)
    binning = nmt.NmtBinFlat(bands.edges[:-1], bands.edges[1:])
    workspace = nmt.NmtWorkspaceFlat()
    workspace.compute_coupling_matrix(field, field, binning)
    full = workspace.decouple_cell(nmt.compute_coupled_cell_flat(field, field, binning))
    measured = power_spectra.measure(image, image, bands)
    np.testing.assert_allclose(measured.cross[0], full[0], rtol=1e-10)


@pytest.mark.parametrize("npix", [16, 17])
def test_spectra_of_known_fields_are_unbiased(npix):
    """To 1 % of the input averaged over each band's modes, auto and cross."""
    rng = np.random.default_rng(3)
    # The lowest band has 8 modes, 4 of them independent: its error is 1/sqrt(4 n) = 0.35 %.
    n, correlation, amplitude = 20_000, 0.6, 2.0
    bands = power_spectra.choose_bands(FlatSky(npix, SIDE))
    c_ell = red_spectrum(skies.grid_multipoles(npix, SIDE))
    first, other = skies.gaussian_maps(c_ell, SIDE, 2 * n, rng).reshape(2, n, npix, npix)
    second = amplitude * (correlation * first + np.sqrt(1 - correlation**2) * other)
    powers = power_spectra.measure(first, second, bands)

    for measured, factor in (
        (powers.first, 1),
        (powers.cross, amplitude * correlation),
        (powers.second, amplitude**2),
    ):
        ratio = measured / (factor * skies.band_average(bands, c_ell))
        error = ratio.std(axis=0) / np.sqrt(n)
        np.testing.assert_allclose(ratio.mean(axis=0), 1, atol=0.01)
        np.testing.assert_array_less(np.abs(ratio.mean(axis=0) - 1), 3.5 * error)


@pytest.mark.parametrize("npix", [4, 5, 50, 51, 100])
def test_bands_hold_every_mode_inside_nyquist_once(npix):
    bands = power_spectra.choose_bands(FlatSky(npix, SIDE))
    ell = skies.grid_multipoles(npix, SIDE)
    inside = (ell > 0) & (ell < np.pi * npix / SIDE * (1 - 1e-9))
    assert bands.num_modes.sum() == inside.sum()
    assert bands.num_modes @ bands.ell == pytest.approx(ell[inside].sum())
    assert np.all(np.diff(bands.edges) > 0)


def test_bands_stop_at_lmax():
    # v8: of the modes at radii 1, sqrt 2, 2, sqrt 5, ... of 15.72, those to l = 50 are 36.
    bands = power_spectra.choose_bands(FlatSky(50, SIDE), lmax=50)
    assert bands.num_modes.tolist() == [8, 12, 16]
    axis, diagonal = 15.7205, 15.7205 * np.sqrt(2)
    assert bands.ell[0] == pytest.approx((axis + diagonal) / 2, rel=1e-5)


def test_an_lmax_on_a_mode_includes_it():
    bands = power_spectra.choose_bands(FlatSky(50, SIDE), lmax=3 * 2 * np.pi / SIDE)
    assert bands.num_modes.tolist() == [8, 12, 8]


@pytest.mark.parametrize(("npix", "lmax"), [(50, 10), (2, None)])
def test_too_few_modes_is_said_in_one_line(npix, lmax):
    with pytest.raises(LensingError, match="too few modes for a power spectrum") as error:
        power_spectra.choose_bands(FlatSky(npix, SIDE), lmax)
    assert "\n" not in str(error.value)
