"""Lensing: its sign, its exactness, and its spectrum, each against something independent."""

import dataclasses
import math

import numpy as np
import pytest

from lensing_tfds import simulate
from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky import lensing, spectra
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.versions import VERSIONS


def test_a_positive_convergence_magnifies():
    """At the centre of a lens of convergence κ, a crest is stretched by 1/(1 − κ)."""
    sky = FlatSky(256, np.radians(10.0))
    axis = (np.arange(256) - 128) * sky.pixel
    y, x = np.meshgrid(axis, axis, indexing="ij")
    blob = 0.1 * np.exp(-(x**2 + y**2) / (2 * np.radians(0.8) ** 2))
    modes = sky.to_modes(blob)
    modes[0, 0] = 0
    kappa = sky.to_map(modes)[128, 128]
    assert kappa > 0.08
    wave = np.cos(2 * np.pi * 10 * x / sky.side)
    deflection = lensing.deflection_from_kappa(modes[None], sky)
    lensed = lensing.remap(sky.to_modes(wave)[None], deflection, sky)[0]

    def curvature(maps):
        return maps[128, 127] - 2 * maps[128, 128] + maps[128, 129]

    assert curvature(lensed) / curvature(wave) == pytest.approx((1 - kappa) ** 2, rel=2e-3)


def test_agrees_with_pixell():
    """An independent code, from φ to the lensed map, sign and all.

    1e-3 of the lensing signal: pixell's pixels are 0.02 % off square, and its cubic splines err by
    a few 1e-4 on a map band-limited at a fifth of its grid's Nyquist frequency; a flipped sign
    errs by 2.
    """
    enmap = pytest.importorskip("pixell.enmap")
    pixell_lensing = pytest.importorskip("pixell.lensing")
    config = LensingConfig("pixell", npix=256, lx=4.0, T_lmax=2500, kappa_lmax=2500)
    examples = simulate(config, "train", [3])
    unlensed, kappa = (examples[name][0, ..., 0].astype(float) for name in ("unlensed", "kappa"))
    sky = FlatSky(config.npix, config.side)
    phi = sky.to_map(lensing.phi_from_kappa(sky.to_modes(kappa), sky))
    _, wcs = enmap.geometry(pos=[0, 0], shape=(config.npix, config.npix), res=sky.pixel, proj="car")
    shifted = enmap.ndmap(unlensed, wcs).pixmap() + enmap.grad_pix(enmap.ndmap(phi, wcs))
    theirs = pixell_lensing.displace_map(enmap.ndmap(unlensed, wcs), shifted, order=3)
    signal = examples["lensed"][0, ..., 0] - unlensed
    error = np.asarray(theirs) - examples["lensed"][0, ..., 0]
    assert error.std() < 1e-3 * signal.std()


@pytest.mark.parametrize("version", [v for v, c in VERSIONS.items() if c.oversampling == 1])
def test_remap_is_the_direct_fourier_sum_to_1e_4_of_the_signal(version):
    """200 random pixels of each version, without its noise, against the sum over all modes."""
    config = VERSIONS[version]
    if config.noise_uK_arcmin:
        config = dataclasses.replace(config, name="noiseless", noise_uK_arcmin=0)
    examples = simulate(config, "validation", [11])
    sky, npix = FlatSky(config.npix, config.side), config.npix
    lensed, unlensed, kappa = (
        examples[name][0, ..., 0].astype(float) for name in ("lensed", "unlensed", "kappa")
    )
    d_y, d_x = lensing.deflection_from_kappa(sky.to_modes(kappa), sky)
    iy, ix = np.random.default_rng(0).integers(0, npix, (2, 200))
    frequency = np.fft.fftfreq(npix) * npix
    wave_y = np.exp(2j * np.pi / npix * np.outer(iy + d_y[iy, ix] / sky.pixel, frequency))
    wave_x = np.exp(2j * np.pi / npix * np.outer(ix + d_x[iy, ix] / sky.pixel, frequency))
    modes = np.fft.fft2(unlensed) / npix**2
    direct = np.einsum("pj,jk,pk->p", wave_y, modes, wave_x).real
    error = np.sqrt(np.mean((lensed[iy, ix] - direct) ** 2))
    signal = np.sqrt(np.mean((lensed - unlensed) ** 2))
    assert error < 1e-4 * signal


def test_kappa_and_phi_entry_points_agree():
    """From κ, and from a φ_l = 2 κ_l / l² written out here."""
    sky = FlatSky(50, np.radians(22.9))
    kappa = sky.to_modes(np.random.default_rng(2).standard_normal((3, 50, 50)))
    kappa[:, 0, 0] = 0
    ell_y = 2 * np.pi * np.fft.fftfreq(50, sky.pixel)[:, None]
    ell_x = 2 * np.pi * np.fft.rfftfreq(50, sky.pixel)[None, :]
    ell_squared = ell_y**2 + ell_x**2
    phi = np.divide(2 * kappa, ell_squared, out=np.zeros_like(kappa), where=ell_squared > 0)
    from_kappa = lensing.deflection_from_kappa(kappa, sky)
    from_phi = lensing.deflection_from_phi(phi, sky)
    for ours, theirs in zip(from_kappa, from_phi, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(lensing.phi_from_kappa(kappa, sky), phi, rtol=1e-12)
    np.testing.assert_allclose(lensing.kappa_from_phi(phi, sky), kappa, atol=1e-15)


def test_phi_entry_point_on_a_wave():
    """φ = cos(l·x) has ∇φ = −l sin(l·x) and κ = ½ l² cos(l·x)."""
    sky = FlatSky(32, 0.3)
    axis = np.arange(32) * sky.pixel
    y, x = np.meshgrid(axis, axis, indexing="ij")
    ly, lx = 3 * sky.fundamental, -2 * sky.fundamental
    phi = sky.to_modes(np.cos(ly * y + lx * x))
    d_y, d_x = lensing.deflection_from_phi(phi, sky)
    np.testing.assert_allclose(d_y, -ly * np.sin(ly * y + lx * x), atol=1e-11 * abs(ly))
    np.testing.assert_allclose(d_x, -lx * np.sin(ly * y + lx * x), atol=1e-11 * abs(ly))
    kappa = sky.to_map(lensing.kappa_from_phi(phi, sky))
    expected = (ly**2 + lx**2) / 2 * np.cos(ly * y + lx * x)
    np.testing.assert_allclose(kappa, expected, atol=1e-11 * ly**2)


def test_kappa_is_minus_half_the_divergence_of_the_deflection():
    """κ = −½ ∇·(∇φ), by finite differences of a smooth field (second-order accurate)."""
    sky = FlatSky(128, 0.2)
    modes = sky.to_modes(np.random.default_rng(3).standard_normal((128, 128)))
    modes *= np.exp(-((sky.ell / sky.fundamental / 4) ** 2))
    modes[0, 0] = 0
    d_y, d_x = lensing.deflection_from_kappa(modes, sky)

    def slope(maps, axis):
        return (np.roll(maps, -1, axis) - np.roll(maps, 1, axis)) / (2 * sky.pixel)

    kappa = sky.to_map(modes)
    divergence = slope(d_y, 0) + slope(d_x, 1)
    np.testing.assert_allclose(-divergence / 2, kappa, atol=0.02 * np.abs(kappa).max())


def test_no_convergence_no_lensing():
    sky = FlatSky(32, 0.1)
    maps = np.random.default_rng(4).standard_normal((1, 32, 32))
    flat = np.zeros((1, 32, 17), complex)
    lensed = lensing.remap(sky.to_modes(maps), lensing.deflection_from_kappa(flat, sky), sky)
    np.testing.assert_allclose(lensed, maps, atol=1e-10)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 5e-6), (np.float64, 1e-12)])
@pytest.mark.parametrize("npix", [8, 9, 10, 15, 50, 64])
def test_the_adjoint_of_a_remap(npix, dtype, tolerance):
    """<Lx, y> = <x, Lᵗy>, Nyquist's lines too; without a deflection it is the FFT."""
    rng, sky = np.random.default_rng(npix), FlatSky(npix, np.radians(2.0))
    first, maps = rng.standard_normal((2, 3, npix, npix)).astype(dtype)
    modes = sky.to_modes(first)
    deflection = tuple(2 * sky.pixel * rng.standard_normal((2, 3, npix, npix)).astype(dtype))
    lensed = lensing.remap(modes, deflection, sky).astype(float)
    back = lensing.remap_adjoint(maps, deflection, sky)
    one = np.mean(lensed * maps, axis=(1, 2))
    two = np.sum(sky.mode_counts * (modes * back.conj()).real, axis=(1, 2), dtype=float)
    assert np.abs(one - two).max() * npix < tolerance
    still = (np.zeros_like(maps), np.zeros_like(maps))
    undeflected = lensing.remap_adjoint(maps, still, sky)
    assert np.abs(undeflected - sky.to_modes(maps)).max() * npix < 20 * tolerance


def test_a_lens_deflects_and_remaps():
    """In single precision, block after block, as the two functions do in double."""
    sky = FlatSky(50, np.radians(22.9))
    rng = np.random.default_rng(5)
    lens = lensing.Lens(sky, block=3, fields=2)
    for _ in range(2):  # nothing of the first block is left in the second
        maps = rng.standard_normal((2, 3, 50, 50))
        maps[1] *= 0.1  # of κ
        modes, kappa = sky.to_modes(maps)
        kappa[:, 0, 0] = 0
        expected = lensing.remap(modes, lensing.deflection_from_kappa(kappa, sky), sky)
        # Two fields by one deflection, as Q and U are.
        fields = [modes.astype(np.complex64), (-2 * modes).astype(np.complex64)]
        lensed = np.empty((2, 3, 50, 50), np.float32)
        lens.remap(fields, kappa.astype(np.complex64), out=lensed)
        for factor, maps in zip((1, -2), lensed, strict=True):
            np.testing.assert_allclose(maps, factor * expected, atol=2e-4)
            assert np.std(maps - factor * expected) < 2e-5


def test_lensed_power_is_cambs():
    """Binned lensed/unlensed power of 200 maps against CAMB's lensed spectrum, l = 500–3000.

    10 deg at 1.17' pixels, so that lensing moves nothing across the grid's Nyquist frequency. The
    ratio cancels most of the sample variance: 1 % in every bin, and χ² within its 1e-4 tails.
    """
    config = LensingConfig("camb", npix=512, lx=10.0)
    sky = FlatSky(config.npix, config.side)
    edges = np.linspace(500, 3000, 25)
    which = np.digitize(sky.ell, edges)
    weight = np.full(sky.ell.shape, 2.0)
    weight[:, [0, -1]] = 1.0  # these columns hold both halves of the plane already

    def bins(values):
        return np.bincount(which.ravel(), (weight * values).ravel(), len(edges) + 1)[1:-1]

    table = spectra.fiducial()
    theory = bins(spectra.at_multipoles(table.lensed_TT, sky.ell)) / bins(
        spectra.at_multipoles(table.TT, sky.ell)
    )
    lensed, unlensed = [], []
    for index in range(200):
        example = simulate(config, "train", [index])
        for feature, into in (("lensed", lensed), ("unlensed", unlensed)):
            into.append(bins(np.abs(sky.to_modes(example[feature][0, ..., 0])) ** 2))
    lensed, unlensed = np.array(lensed), np.array(unlensed)
    measured = lensed.mean(0) / unlensed.mean(0)
    residual = lensed / unlensed.mean(0) - measured * unlensed / unlensed.mean(0)
    error = residual.std(0, ddof=1) / math.sqrt(len(lensed))
    assert np.all(np.abs(measured / theory - 1) < 0.01)
    chi_squared = np.sum(((measured - theory) / error) ** 2)
    assert 4.5 < chi_squared < 62  # 24 degrees of freedom
