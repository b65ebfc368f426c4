"""E and B: their signs and angles, against derivatives of a potential and against pixell."""

import numpy as np
import pytest

from lensing_tfds import simulate
from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky import polarization
from lensing_tfds.sky.flat_sky import FlatSky

SKY = FlatSky(64, 0.1)


def random_modes(sky, seed):
    """Half planes without the modes that E and B are not defined for."""
    modes = sky.to_modes(np.random.default_rng(seed).standard_normal((sky.npix, sky.npix)))
    modes[0, 0] = modes[sky.npix // 2] = modes[:, -1] = 0
    return modes


def test_waves_of_e_and_b():
    """Along x, E is Q and B is U; along the diagonal, E is U and B is −Q."""
    axis = np.arange(64) * SKY.pixel
    y, x = np.meshgrid(axis, axis, indexing="ij")
    nothing = np.zeros((64, 33), complex)
    for ly, lx, e_is in ((0, 5, "Q"), (5, 0, "-Q"), (5, 5, "U"), (-5, 5, "-U")):
        wave = np.cos(SKY.fundamental * (ly * y + lx * x))
        modes = SKY.to_modes(wave)
        q, u = (SKY.to_map(m) for m in polarization.to_qu(modes, nothing, SKY))
        expected = {"Q": (wave, 0), "-Q": (-wave, 0), "U": (0, wave), "-U": (0, -wave)}[e_is]
        np.testing.assert_allclose(q, expected[0] * np.ones_like(wave), atol=1e-12)
        np.testing.assert_allclose(u, expected[1] * np.ones_like(wave), atol=1e-12)
        # A turn of the polarization by 45 degrees makes B of E: (Q, U) -> (-U, Q).
        b_q, b_u = (SKY.to_map(m) for m in polarization.to_qu(nothing, modes, SKY))
        np.testing.assert_allclose(b_q, -u, atol=1e-12)
        np.testing.assert_allclose(b_u, q, atol=1e-12)


def test_derivatives_of_a_potential_are_pure_e():
    """Q = ∂x²ψ − ∂y²ψ and U = 2∂x∂yψ have E = ∇²ψ and B = 0."""
    psi = random_modes(SKY, 1)
    q, u = (SKY.ly**2 - SKY.lx**2) * psi, -2 * SKY.lx * SKY.ly * psi
    e, b = polarization.to_eb(q, u, SKY)
    np.testing.assert_allclose(e, -(SKY.ell**2) * psi, atol=1e-9 * np.abs(e).max())
    assert np.abs(b).max() < 1e-12 * np.abs(e).max()


@pytest.mark.parametrize("npix", [64, 63])
def test_there_and_back(npix):
    sky = FlatSky(npix, 0.1)
    e, b = random_modes(sky, 2), random_modes(sky, 3)
    if npix % 2:  # nothing is at Nyquist
        e, b = (sky.to_modes(np.random.default_rng(s).standard_normal((63, 63))) for s in (2, 3))
        e[0, 0] = b[0, 0] = 0
    again = polarization.to_eb(*polarization.to_qu(e, b, sky), sky)
    np.testing.assert_allclose(again, (e, b), atol=1e-14)


def test_modes_at_nyquist_are_those_of_real_maps():
    e, b = (SKY.to_modes(np.random.default_rng(s).standard_normal((64, 64))) for s in (4, 5))
    for modes in polarization.to_qu(e, b, SKY):
        np.testing.assert_allclose(SKY.to_modes(SKY.to_map(modes)), modes, atol=1e-14)


@pytest.mark.parametrize(("iau", "sign_of_q", "sign_of_u"), [(False, -1, -1), (True, -1, 1)])
def test_agrees_with_pixell(iau, sign_of_q, sign_of_u):
    """The same E, and so TE, as pixell's, on an array whose x grows eastwards and y northwards.

    Its Q is positive along y, as HEALPix's (COSMO) and IAU's are. COSMO's U is positive from
    north-west to south-east, and its B has our sign; IAU's are the opposite.
    """
    from pixell import enmap

    config = LensingConfig("pixell", npix=64, lx=4.0, stokes="TQU")
    maps = simulate(config, "train", [0])["lensed"][0].astype(float)
    sky = config.sky
    ours = polarization.to_eb(sky.to_modes(maps[..., 1]), sky.to_modes(maps[..., 2]), sky)
    # Pixels of the same size in both directions, and both coordinates growing with the index.
    degrees = np.degrees(sky.pixel)
    wcs = enmap.geometry(pos=[0, 0], shape=(64, 64), res=sky.pixel, proj="car")[1]
    wcs.wcs.cdelt = [degrees, degrees]
    theirs = enmap.ndmap(
        np.stack([maps[..., 0], sign_of_q * maps[..., 1], sign_of_u * maps[..., 2]]), wcs
    )
    _, e, b = np.asarray(enmap.map2harm(theirs, normalize=False, iau=iau)) / 64**2
    inside = np.s_[np.r_[0:32, 33:64], 1:32]
    # 0.5 %: pixell's multipoles know that pixels near the equator are not quite square.
    scale = np.abs(ours[0][inside]).max()
    np.testing.assert_allclose(e[inside], ours[0][inside], atol=5e-3 * scale)
    b_sign = -1 if iau else 1
    np.testing.assert_allclose(b_sign * b[inside], ours[1][inside], atol=5e-3 * scale)
    assert np.std(ours[1][inside]) > 5e-3 * np.std(ours[0][inside])
