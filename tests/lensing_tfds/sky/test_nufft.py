"""The non-uniform FFT against the sum over all modes, written out."""

import numpy as np
import pytest

from lensing_tfds.sky import kaiser_bessel, taps
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.nufft import RealNufft


def direct_sum(field, y, x):
    """The real part of Σ a_l exp(i l·x) in FFT order, for positions in pixels, shape (points,)."""
    npix = len(field)
    frequency = 2j * np.pi / npix * np.fft.fftfreq(npix, 1 / npix)
    modes = np.fft.fft2(field) / npix**2
    waves_y, waves_x = np.exp(np.outer(y, frequency)), np.exp(np.outer(x, frequency))
    return np.sum(waves_y @ modes * waves_x, axis=1).real


def evaluate(fields, shift_y, shift_x, block=1):
    npix = fields.shape[-1]
    modes = np.fft.rfft2(fields).astype(np.complex64) / np.float32(npix**2)
    out = np.empty(fields.shape, np.float32)
    shifts = (shift_y.astype(np.float32), shift_x.astype(np.float32))
    RealNufft(npix, block).at_displaced_pixels([modes], shifts, 1.0, out[None])
    return out


@pytest.mark.parametrize("npix", [8, 9, 15, 50, 64, 101])
@pytest.mark.parametrize("rms", [0.3, 30.0])
def test_white_noise_at_random_points(npix, rms):
    """Every mode, Nyquist's included, to 5e-6 of the rms; across the patch's edges too."""
    rng = np.random.default_rng(npix)
    field = rng.standard_normal((npix, npix))
    shift_y, shift_x = np.float32(rms * rng.standard_normal((2, npix, npix)))
    values = evaluate(field[None], shift_y[None], shift_x[None])[0]
    iy, ix = rng.integers(0, npix, (2, 400))
    expected = direct_sum(field, iy + shift_y[iy, ix], ix + shift_x[iy, ix])
    # A shift of 30 pixels is rounded to 2e-6 pixels, 3e-6 radians of the shortest wave.
    tolerance = 5e-6 if rms < 1 else 1e-5
    assert np.sqrt(np.mean((values[iy, ix] - expected) ** 2)) < tolerance


@pytest.mark.parametrize(
    "wave",
    [
        lambda y, x: np.cos(np.pi * y),
        lambda y, x: np.cos(np.pi * x),
        lambda y, x: np.cos(np.pi * (y + x)),
    ],
    ids=["y", "x", "both"],
)
def test_nyquist_waves_are_cosines_between_the_pixels(wave):
    y, x = np.meshgrid(np.arange(8.0), np.arange(8.0), indexing="ij")
    shift_y, shift_x = np.random.default_rng(1).uniform(-1, 1, (2, 8, 8)).astype(np.float32)
    values = evaluate(wave(y, x)[None], shift_y[None], shift_x[None])[0]
    np.testing.assert_allclose(values, wave(y + shift_y, x + shift_x), atol=1e-5)


@pytest.mark.parametrize("count", [2, 3])
def test_fields_that_share_displacements_are_each_as_it_is_alone(count):
    rng = np.random.default_rng(7)
    fields = rng.standard_normal((count, 2, 50, 50))
    shift_y, shift_x = rng.standard_normal((2, 2, 50, 50))
    alone = [evaluate(field, shift_y, shift_x) for field in fields]
    modes = [np.fft.rfft2(field).astype(np.complex64) / np.float32(50**2) for field in fields]
    together = np.empty(fields.shape, np.float32)
    shifts = (shift_y.astype(np.float32), shift_x.astype(np.float32))
    RealNufft(50, 1, count).at_displaced_pixels(modes, shifts, 1.0, together)
    np.testing.assert_allclose(together, alone, atol=2e-6)


@pytest.mark.parametrize("npix", [50, 51])
def test_bits_do_not_depend_on_the_place_in_a_block(npix):
    rng = np.random.default_rng(2)
    fields = rng.standard_normal((16, npix, npix))
    shift_y, shift_x = rng.standard_normal((2, 16, npix, npix))
    values = evaluate(fields, shift_y, shift_x, block=16)
    order = rng.permutation(16)
    reordered = evaluate(fields[order], shift_y[order], shift_x[order], block=16)
    np.testing.assert_array_equal(reordered, values[order])


def test_a_batch_longer_than_a_block_and_no_multiple_of_it():
    rng = np.random.default_rng(3)
    fields = rng.standard_normal((5, 20, 20))
    shift_y, shift_x = rng.standard_normal((2, 5, 20, 20))
    whole = evaluate(fields, shift_y, shift_x, block=5)
    np.testing.assert_allclose(evaluate(fields, shift_y, shift_x, block=2), whole, atol=1e-5)


@pytest.mark.parametrize("shift", [np.nan, np.inf, -np.inf, 1e30, -1e30, 3e9, -3e9])
def test_impossible_shifts_read_nothing_outside_the_grid(shift):
    """And spoil no other pixel."""
    field = np.random.default_rng(4).standard_normal((1, 16, 16))
    shift_y, shift_x = np.zeros((2, 1, 16, 16))
    clean = evaluate(field, shift_y, shift_x)
    shift_y[0, 3, 5] = shift_x[0, 9, 2] = shift
    values = evaluate(field, shift_y, shift_x)
    same = np.ones((16, 16), bool)
    same[3, 5] = same[9, 2] = False
    np.testing.assert_array_equal(values[0, same], clean[0, same])


def test_fine_grids_are_even_and_good_for_ffts():
    for npix in (8, 50, 100, 128, 256, 512, 4096):
        size = rest = kaiser_bessel.fine_size(npix)
        assert size % 2 == 0 and 1.4 * npix <= size <= 1.4 * npix * 1.15 + 2
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        assert rest == 1


def test_points_at_whole_periods_are_located_at_every_size():
    """At, just below and just past the edges, up to eight periods away, for all sizes to 8192.

    A point is in place if its cell and its place in the cell add up to where it was sent, modulo
    the period: but for float32's rounding of the way there, a few 1e-3 fine pixels at the largest
    grids; a wrong cell is off by one.
    """
    periods, nudges = np.arange(-8, 9), (-1.0, 0.0, 1.0)
    for npix in range(8, 8193):
        fine = kaiser_bessel.fine_size(npix)
        i = np.array([0, 1, npix // 2, npix - 1])
        whole, rest = i * fine // npix, np.float32(i * fine % npix) / np.float32(npix)
        from_pixel, period, nudge = np.meshgrid(range(4), periods, nudges, indexing="ij")
        target = (period * fine + nudge * 1e-3).ravel()
        whole, rest = (np.float32(values[from_pixel.ravel()]) for values in (whole, rest))
        scale = np.float32(fine / npix)
        exact = ((target - whole - rest) / scale).astype(np.float32)
        # The float32 numbers on either side of it too: one of the three is nearest to the edge.
        shifts = [exact, np.nextafter(exact, np.float32(-1e9)), np.nextafter(exact, 1e9)]
        for shift in np.float32(shifts):
            corner = np.empty(len(whole), np.int64)
            z_y, z_x = np.empty((2, len(whole)), np.float32)
            shift_y = (shift + (whole + rest - whole[0] - rest[0]) / scale).astype(np.float32)
            taps.locate(
                0, 0, shift_y[None, None], shift[None, None], scale, whole, rest, fine,
                corner, z_y, z_x,
            )  # fmt: skip
            stride = fine + taps.BEFORE + taps.AFTER
            for cell, z, start, way in (
                (corner // stride, z_y, whole[0] + rest[0], shift_y),
                (corner % stride, z_x, whole + rest, shift),
            ):
                assert cell.min() >= 0 and cell.max() < fine, npix
                expected = start.astype(np.float64) + way.astype(np.float64) * np.float64(scale)
                error = cell + (z.astype(np.float64) + 1) / 2 - expected
                error -= fine * np.round(error / fine)
                assert np.abs(error).max() < 0.02, (npix, np.abs(error).max())


SIZES = np.random.default_rng(20).integers(8, 1400, 12).tolist()


@pytest.mark.parametrize("npix", [343, 344, 347, 690, *SIZES])
@pytest.mark.parametrize("rms", [0.5, 300.0])
def test_lensed_edges_are_the_direct_sum_at_odd_even_and_unlucky_sizes(npix, rms):
    """Points that land on whole periods and beside them, which random points hardly ever do."""
    rng = np.random.default_rng(npix)
    field = rng.standard_normal((npix, npix))
    shift_y, shift_x = np.float32(rms * rng.standard_normal((2, npix, npix)))
    iy, ix = rng.integers(0, npix, (2, 100))
    for shift, start in ((shift_y, iy), (shift_x, ix)):
        edge = np.round((start + shift[iy, ix]) / npix) * npix  # the nearest
        shift[iy, ix] = np.float32(edge - start + rng.choice([-1e-4, 0, 1e-4], 100))
    values = evaluate(field[None], shift_y[None], shift_x[None])[0]
    position_y, position_x = iy + shift_y[iy, ix].astype(float), ix + shift_x[iy, ix].astype(float)
    error = values[iy, ix] - direct_sum(field, position_y, position_x)
    # Float32 knows a position several periods away to 1e-7 of the distance, and a white field
    # changes by some 3 a pixel.
    far = max(npix, np.abs(shift_y[iy, ix]).max(), np.abs(shift_x[iy, ix]).max())
    assert np.abs(error).max() < 5e-5 + 1e-6 * far


@pytest.mark.parametrize("npix", [8, 9, 10, 15, 16, 50, 101])
@pytest.mark.parametrize("fields", [1, 2, 3])
def test_what_is_spread_is_the_transpose_of_what_is_gathered(npix, fields):
    """<Lx, y> = <x, Lᵗy> for white x and y, to float32's rounding of npix² products."""
    rng, sky, batch = np.random.default_rng(npix), FlatSky(npix, float(npix)), 3
    maps = rng.standard_normal((2, fields, batch, npix, npix)).astype(np.float32)
    modes = sky.to_modes(maps[0])
    shifts = tuple(3 * rng.standard_normal((2, batch, npix, npix)).astype(np.float32))
    nufft = RealNufft(npix, 2, fields)
    gathered, spread = np.empty_like(maps[0]), np.empty_like(modes)
    nufft.at_displaced_pixels(modes, shifts, 1.0, gathered)
    nufft.from_displaced_pixels(maps[1], shifts, 1.0, spread)
    one = np.mean(gathered.astype(float) * maps[1], axis=(-2, -1))
    two = np.sum(sky.mode_counts * (modes * spread.conj()).real, axis=(-2, -1), dtype=float)
    assert np.abs(one - two).max() * npix < 5e-6  # each is of order 1 / npix
