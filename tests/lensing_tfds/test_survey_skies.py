"""Skies as a telescope sees them: internal grid, beam, polarization, padding and taper."""

import dataclasses
import functools

import numpy as np
import pytest

from lensing_tfds import LensingConfig, simulate
from lensing_tfds.simulation import Simulator
from lensing_tfds.sky import instrument, lensing, polarization, spectra
from lensing_tfds.versions import VERSIONS

SMALL = LensingConfig(
    "small",
    npix=48,
    lx=48 * 2 / 60,
    stokes="TQU",
    oversampling=2,
    beam_arcmin=1.4,
    unlensed_E=True,
)


def changed(config=SMALL, **fields):
    return dataclasses.replace(config, name="changed", **fields)


def modes_of(maps, sky):
    """(batch, npix, npix, channels) -> a list of half planes, a channel each."""
    return list(sky.to_modes(np.moveaxis(maps, -1, 0).astype(float)))


# Internal sizes of every kind: odd and even; fine grids of 486, 972 and 1944 pixels.
SIZES = [(344, 1), (343, 1), (172, 2), (115, 3), (171, 4), (86, 16), (45, 3), (101, 1)]


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        VERSIONS["v11"],
        *(changed(npix=n, oversampling=times, stokes="QU") for n, times in SIZES),
    ],
    ids=lambda config: f"{config.name}-{config.npix}x{config.oversampling}",
)
def test_an_observed_map_is_the_lensed_sky_in_double_precision(config):
    """Draws of the simulator, lensed by ducc0 and observed by NumPy: to 1e-4 of the signal."""
    config = changed(config, noise_uK_arcmin=0.0)
    block = next(Simulator(config, "train").examples([7]))
    simulator = Simulator(config, "train")
    drawn = {}

    def spy(fields, kappa, out):
        drawn.update(
            fields=[field.astype(complex) for field in fields], kappa=kappa.astype(complex)
        )
        for maps in out:
            maps[...] = 0

    scratch = simulator._scratch()
    scratch.lens.remap = spy
    simulator._block([7] * simulator.block_size, scratch)

    internal, sky = config.internal, config.sky
    deflection = lensing.deflection_from_kappa(drawn["kappa"][:1], internal)
    half = config.npix // 2
    ell = np.hypot(sky.lx, sky.ly)
    transfer = instrument.beam(ell, config.beam_arcmin)
    if config.npix % 2 == 0:  # the Nyquist lines have a test of their own
        transfer[half] = transfer[:, half] = 0
    for channel, field in enumerate(drawn["fields"]):
        for name, maps in (
            ("lensed", lensing.remap(field[:1], deflection, internal)[0]),
            ("unlensed", internal.to_map(field[0])),
        ):
            plane = np.fft.fft2(maps) / maps.size
            kept = np.r_[0 : config.npix - half, -half:0]
            expected = plane[np.ix_(kept, np.r_[0 : half + 1])] * transfer
            ours = sky.to_modes(block[name][0, ..., channel].astype(float))
            ours[transfer == 0] = 0
            signal = block["lensed"][0, ..., channel] - block["unlensed"][0, ..., channel]
            error = sky.to_map(ours - expected)
            assert error.std() < 1e-4 * signal.std(), (name, config.channels[channel])


@functools.cache
def many():
    """200 examples, without noise."""
    return simulate(SMALL, "train", range(200))


def test_polarization_before_lensing_is_pure_e_and_the_label():
    sky, maps = SMALL.sky, many()
    _, q, u = modes_of(maps["unlensed"], sky)
    e, b = polarization.to_eb(q, u, sky)
    (label,) = modes_of(maps["unlensed_E"], sky)
    inside = np.s_[:, np.r_[1:24, 25:48], 1:24]
    scale = np.abs(e[inside]).max()
    assert np.abs(b[inside]).max() < 1e-6 * scale
    np.testing.assert_allclose(label[inside], e[inside], atol=1e-6 * scale)
    _, q, u = modes_of(maps["lensed"], sky)
    assert np.std(polarization.to_eb(q, u, sky)[1][inside]) > 1e-2 * np.std(e[inside])


def test_power_of_the_unlensed_sky_in_every_part_of_the_output_grid():
    """TT, EE, TE in rings, and TT, QQ, UU, κκ on the Nyquist lines: within 5 sigma of theory."""
    sky, maps, table = SMALL.sky, many(), spectra.fiducial()
    beam_squared = instrument.beam(sky.ell, SMALL.beam_arcmin) ** 2
    tt, te, ee = (
        spectra.at_multipoles(c_ell, sky.ell) * beam_squared / sky.area
        for c_ell in (table.TT, table.TE, table.EE)
    )
    kk = spectra.at_multipoles(table.kappa, sky.ell) / sky.area
    t, q, u = modes_of(maps["unlensed"], sky)
    (kappa,) = modes_of(maps["kappa"], sky)
    e, _ = polarization.to_eb(q, u, sky)
    half = SMALL.npix // 2
    # Independent modes: the half plane without l_x = 0, which holds each mode twice.
    independent = np.zeros(sky.ell.shape, bool)
    independent[:, 1:half] = True
    independent[half] = False
    edges = np.linspace(sky.fundamental, sky.nyquist, 6)
    for low, high in zip(edges, edges[1:], strict=False):
        ring = independent & (sky.ell >= low) & (sky.ell < high)
        for first, second, auto_powers, cross in (
            (t, t, (tt, tt), tt),
            (e, e, (ee, ee), ee),
            (t, e, (tt, ee), te),
            (t, kappa, (tt, kk), 0 * tt),
            (kappa, kappa, (kk, kk), kk),
        ):
            measured = np.real(first * second.conj())[:, ring].sum()
            expected = len(t) * cross[ring].sum()
            variance = len(t) * (auto_powers[0] * auto_powers[1] + cross**2)[ring].sum() / 2
            assert abs(measured - expected) < 5 * np.sqrt(variance)

    cosine, sine = polarization.angles(sky)
    for line in (np.s_[half, 1:half], np.s_[1:half, half]):
        for modes, power in ((t, tt), (q, cosine**2 * ee), (kappa, kk)):
            ratio = np.abs(modes[:, *line]) ** 2 / power[line]
            assert abs(ratio.mean() - 1) < 5 / np.sqrt(ratio.size)
        # U has the power of the sine that the output grid itself cannot say the sign of.
        lx, ly = np.broadcast_arrays(sky.lx, sky.ly)
        true_sine = 2 * lx[line] * ly[line] / sky.ell[line] ** 2
        ratio = np.abs(u[:, *line]) ** 2 / (true_sine**2 * ee[line])
        assert abs(ratio.mean() - 1) < 5 / np.sqrt(ratio.size)


def test_one_sky_whatever_is_observed_of_it():
    tqu = simulate(SMALL, "test", [3])
    t = simulate(changed(stokes="T", unlensed_E=False), "test", [3])
    qu = simulate(changed(stokes="QU", unlensed_E=False), "test", [3])
    assert set(tqu) == {"lensed", "unlensed", "kappa", "unlensed_E", "index"}
    assert set(t) == {"lensed", "unlensed", "kappa", "index"}
    np.testing.assert_array_equal(tqu["unlensed"][..., :1], t["unlensed"])
    np.testing.assert_array_equal(tqu["unlensed"][..., 1:], qu["unlensed"])
    # Fields that are lensed together are summed in another order.
    for maps, alone in ((tqu["lensed"][..., :1], t), (tqu["lensed"][..., 1:], qu)):
        np.testing.assert_allclose(maps, alone["lensed"], atol=3e-6 * np.abs(maps).max())
    for other in (t, qu):
        np.testing.assert_array_equal(other["kappa"], tqu["kappa"])


def test_each_channel_has_noise_of_its_own():
    quiet = simulate(SMALL, "train", range(20))
    noisy = simulate(changed(noise_uK_arcmin=10.0), "train", range(20))
    for name in ("unlensed", "kappa", "unlensed_E"):
        np.testing.assert_array_equal(noisy[name], quiet[name])
    noise = (noisy["lensed"] - quiet["lensed"]).reshape(-1, 3)
    # 10 µK' on 2' pixels; 46,080 pixels know an rms to 0.3 %.
    np.testing.assert_allclose(noise.std(0), [5, 5 * 2**0.5, 5 * 2**0.5], rtol=0.02)
    correlation = np.corrcoef(noise.T) - np.eye(3)
    assert np.abs(correlation).max() < 0.025


def test_padding_cuts_the_middle_of_a_larger_box():
    large = changed(noise_uK_arcmin=0.0)
    patch = changed(npix=32, lx=32 * 2 / 60, padding=1.5)
    whole, middle = (simulate(config, "train", [0, 5]) for config in (large, patch))
    for name in ("lensed", "unlensed", "kappa", "unlensed_E"):
        expected = whole[name][:, 8:40, 8:40]
        scale = np.abs(expected).max()
        np.testing.assert_allclose(middle[name], expected, atol=1e-6 * scale, err_msg=name)


def test_a_taper_falls_on_the_observed_map_only():
    plain = simulate(changed(noise_uK_arcmin=5.0), "train", [2])
    tapered = simulate(changed(noise_uK_arcmin=5.0, taper=0.3), "train", [2])
    for name in ("unlensed", "kappa", "unlensed_E"):
        np.testing.assert_array_equal(tapered[name], plain[name])
    window = instrument.taper_window(SMALL.sky, 0.3)[..., None]
    np.testing.assert_allclose(tapered["lensed"], plain["lensed"] * window, rtol=1e-5, atol=1e-5)
    assert window.min() < 0.01 and window[24, 24] == 1


def test_fixed_unlensed_fixes_polarization_too():
    maps = simulate(changed(fixed_unlensed=True), "train", range(3))
    for name in ("unlensed", "unlensed_E"):
        assert np.array_equal(maps[name][0], maps[name][1])
        assert np.array_equal(maps[name][0], maps[name][2])
    assert not np.array_equal(maps["lensed"][0], maps["lensed"][1])


def test_a_sky_looked_at_again_has_new_noise_and_is_otherwise_the_same():
    """The first look is the example, bit for bit; the noise of the others is white and its own."""
    config = changed(noise_uK_arcmin=2.0, taper=0.2)
    skies = 24
    examples = simulate(config, "train", range(skies))
    blocks = list(Simulator(config, "train").looks(range(skies), 3))
    looks = np.concatenate([np.stack(lensed) for lensed, _ in blocks], axis=1)
    assert looks.shape == (3, skies, 48, 48, 3) and looks.dtype == np.float32
    np.testing.assert_array_equal(looks[0], examples["lensed"])
    np.testing.assert_array_equal(np.concatenate([k for _, k in blocks]), examples["kappa"])

    quiet = simulate(changed(config, noise_uK_arcmin=0.0), "train", range(skies))["lensed"]
    window = instrument.taper_window(config.sky, config.taper)
    inside = window == 1
    noise = (looks - quiet)[:, :, inside]
    rms = [config.noise_uK_arcmin / config.pixel_arcmin * factor for factor in (1, 2**0.5, 2**0.5)]
    pixels = noise[0, ..., 0].size
    # Standard errors of an rms and of a correlation, of so many pixels: 1 in 10^6 is beyond 5.
    np.testing.assert_allclose(noise.std(axis=(1, 2)), [rms] * 3, rtol=5 / (2 * pixels) ** 0.5)
    flat = np.moveaxis(noise, -1, 1).reshape(9, pixels)
    correlation = np.corrcoef(flat) - np.eye(9)
    assert np.abs(correlation).max() < 5 / pixels**0.5
