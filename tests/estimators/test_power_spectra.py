"""Band powers are exact for a given map, and unbiased for fields of a known spectrum.

So they are with NaMaster, and without it.
"""

import sys

import numpy as np
import pytest

from estimators import namaster, power_spectra
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import polarization
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


@pytest.fixture(name="meter", params=["NaMaster", "this package"])
def meter_fixture(request, monkeypatch):
    """Has spectra measured by each in turn; returns its name."""
    if request.param == "NaMaster":
        pytest.importorskip("pymaster")
    else:
        monkeypatch.setitem(sys.modules, "pymaster", None)  # as where it is not installed
    assert power_spectra.measured_with().startswith(request.param)
    return request.param


@pytest.mark.usefixtures("meter")
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


@pytest.mark.usefixtures("meter")
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
    nmt = pytest.importorskip("pymaster")
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


@pytest.mark.parametrize("npix", [5, 16, 51, 128])
def test_namaster_and_this_package_measure_the_same(npix, monkeypatch):
    """Spectra of T, E and B, all pairs, with power that falls as that of a CMB map does."""
    nmt = pytest.importorskip("pymaster")
    rng = np.random.default_rng(4)
    sky = FlatSky(npix, SIDE)
    bands = power_spectra.choose_bands(sky)
    c_ell = red_spectrum(skies.grid_multipoles(npix, SIDE))
    t, q, u = skies.gaussian_maps(c_ell, SIDE, 3, rng)

    # NaMaster's own E and B: its flat fields of spin 2 want (Q, -U) of our maps, and give (E, -B).
    mask, binning = np.ones((npix, npix)), nmt.NmtBinFlat(bands.edges[:-1], bands.edges[1:])
    spin_0 = nmt.NmtFieldFlat(SIDE, SIDE, mask, [t])
    spin_2 = nmt.NmtFieldFlat(SIDE, SIDE, mask, [q, -u])
    ee, eb, _, bb = nmt.compute_coupled_cell_flat(spin_2, spin_2, binning)
    tt, (te, tb) = (
        nmt.compute_coupled_cell_flat(spin_0, other, binning) for other in (spin_0, spin_2)
    )

    e, b = (sky.to_map(half) for half in polarization.to_eb(sky.to_modes(q), sky.to_modes(u), sky))
    pairs = np.array([t, t, e]), np.array([e, b, b])
    by_namaster = namaster.band_powers(*pairs, sky, bands.edges)
    monkeypatch.setitem(sys.modules, "pymaster", None)
    measured = power_spectra.measure(*pairs, bands)
    for ours in (measured, power_spectra.BandPowers(*by_namaster)):
        expected = [[tt[0], tt[0], ee], [te, -tb, -eb], [ee, bb, bb]]
        scale = np.sqrt(ours.first * ours.second)  # a cross-spectrum may be near zero
        for mine, theirs in zip(ours, expected, strict=True):
            assert np.abs((mine - theirs) / scale).max() < 1e-10


def test_namaster_that_is_not_there_is_missed_only_when_it_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymaster", None)
    assert namaster.version() is None
    sky = FlatSky(8, SIDE)
    bands = power_spectra.choose_bands(sky)
    with pytest.raises(ImportError, match="NaMaster is not installed"):
        namaster.band_powers(np.ones((1, 8, 8)), np.ones((1, 8, 8)), sky, bands.edges)


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
