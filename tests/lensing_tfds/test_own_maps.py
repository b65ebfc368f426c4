"""`lens`: maps from anywhere, lensed as the dataset's are; what is no such map is one line."""

import numpy as np
import pytest

from lensing_tfds import LensingError, lens, simulate
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.lensing import deflection_from_kappa
from lensing_tfds.versions import VERSIONS


def smooth(rng, *shape):
    """Maps with a tenth of the grid's band."""
    npix = shape[-1]
    frequency = np.fft.fftfreq(npix, 1 / npix)
    keep = np.exp(-((np.hypot(frequency[:, None], frequency) / (npix / 10)) ** 2))
    return np.fft.ifft2(np.fft.fft2(rng.standard_normal(shape)) * keep).real


def direct_sum(field, kappa, side):
    """Everything written out: ∇φ from κ = −½∇²φ, and T at x + ∇φ, by sums over all modes."""
    npix = len(field)
    n = np.fft.fftfreq(npix, 1 / npix)
    ly, lx = 2 * np.pi / side * n[:, None], 2 * np.pi / side * n
    ell_squared = ly**2 + lx**2
    ell_squared[0, 0] = np.inf
    phi = 2 * np.fft.fft2(kappa) / ell_squared
    if npix % 2 == 0:
        ly, lx = (
            np.where(np.abs(n_) == npix // 2, 0, l_) for n_, l_ in ((n[:, None], ly), (n, lx))
        )
    shift_y, shift_x = (np.fft.ifft2(1j * along * phi).real / (side / npix) for along in (ly, lx))
    y, x = np.indices((npix, npix))
    wave_y = np.exp(2j * np.pi / npix * np.outer((y + shift_y).ravel(), n))
    wave_x = np.exp(2j * np.pi / npix * np.outer((x + shift_x).ravel(), n))
    return np.sum(wave_y @ (np.fft.fft2(field) / npix**2) * wave_x, axis=1).real.reshape(npix, npix)


@pytest.mark.parametrize("npix", [24, 25])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 2e-4)])
def test_lensed_maps_are_the_direct_sum(npix, dtype, tolerance):
    """T, Q and U of a batch, one map alone, and shapes in between; white noise, every mode."""
    rng = np.random.default_rng(npix)
    side = 0.1
    maps = rng.standard_normal((2, npix, npix, 3)).astype(dtype)
    kappa = (0.2 * rng.standard_normal((2, npix, npix))).astype(dtype)
    expected = np.stack(
        [
            np.stack([direct_sum(m, k, side) for m in np.moveaxis(example, -1, 0)], -1)
            for example, k in zip(maps.astype(float), kappa.astype(float), strict=True)
        ]
    )
    for ours, theirs in (
        (lens(maps, kappa, side), expected),
        (lens(maps, kappa[..., None], side), expected),
        (lens(maps[..., 0], kappa, side), expected[..., 0]),
        (lens(maps[0], kappa[0], side), expected[0]),
        (lens(maps[0, ..., 1], kappa[0], side), expected[0, ..., 1]),
    ):
        assert ours.dtype == dtype and ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=tolerance)


@pytest.mark.parametrize("version", ["v6", "v7"])
def test_the_datasets_own_maps_are_lensed_as_there(version):
    examples = simulate(version, "train", range(2))
    lensed = lens(examples["unlensed"], examples["kappa"], VERSIONS[version].side)
    signal = np.std(examples["lensed"] - examples["unlensed"])
    assert np.std(lensed - examples["lensed"]) < 1e-4 * signal


def test_agrees_with_pixell():
    """Its cubic splines err by 2e-3 of the lensing signal on maps of a tenth of the grid's band."""
    enmap = pytest.importorskip("pixell.enmap")
    pixell_lensing = pytest.importorskip("pixell.lensing")
    npix, side = 128, np.radians(2.0)
    rng = np.random.default_rng(1)
    field, kappa = smooth(rng, npix, npix), smooth(rng, npix, npix)
    kappa -= kappa.mean()
    kappa *= 0.03 / kappa.std()
    n = np.fft.fftfreq(npix, side / npix) * 2 * np.pi
    ell_squared = n[:, None] ** 2 + n**2
    ell_squared[0, 0] = np.inf
    phi = np.fft.ifft2(2 * np.fft.fft2(kappa) / ell_squared).real
    _, wcs = enmap.geometry(pos=[0, 0], shape=(npix, npix), res=side / npix, proj="car")
    points = enmap.ndmap(field, wcs).pixmap() + enmap.grad_pix(enmap.ndmap(phi, wcs))
    theirs = np.asarray(pixell_lensing.displace_map(enmap.ndmap(field, wcs), points, order=3))
    ours = lens(field, kappa, side)
    inside = np.s_[8:-8, 8:-8]  # pixell's patch has edges
    assert np.std((ours - theirs)[inside]) < 5e-3 * np.std((ours - field)[inside])


@pytest.mark.parametrize("npix", [16, 48])
@pytest.mark.parametrize(("dtype", "at_rest"), [(np.float32, 4e-6), (np.float64, 1e-12)])
def test_the_accuracy_is_the_one_stated_at_all_deflections_up_to_the_bound(npix, dtype, at_rest):
    """White maps, the worst; float32 against float64, and that against 80 bits' direct sum."""
    rng = np.random.default_rng(npix)
    field = rng.standard_normal((npix, npix)).astype(dtype)
    wide = np.float64 if dtype is np.float32 else np.longdouble
    if np.finfo(wide).eps > np.finfo(dtype).eps / 100:
        pytest.skip("this machine has no wider floating-point numbers")
    side, sky = 0.1, FlatSky(npix, 0.1)
    shape = rng.standard_normal((npix, npix))
    largest = 0.0
    for strength in 10.0 ** np.arange(-1, 15):
        kappa = (strength * shape).astype(dtype)
        deflection = deflection_from_kappa(sky.to_modes(kappa.astype(float)), sky)
        pixels = np.abs(deflection).max() / sky.pixel
        if pixels > 0.99e-3 / np.finfo(dtype).eps:
            break
        largest = pixels
        if wide is np.float64:
            exact = lens(field.astype(float), kappa.astype(float), side)
        else:
            exact = exact_sum(field, kappa, side)
        error = np.std(lens(field, kappa, side) - exact) / np.std(field)
        assert error < at_rest + 2 * np.finfo(dtype).eps * pixels, strength
    assert largest > 1e-4 / np.finfo(dtype).eps  # all the range was seen
    with pytest.raises(LensingError, match="kappa deflects by up to .* pixels, must be at most"):
        lens(field, kappa * dtype(1.1), side)


def exact_sum(field, kappa, side):
    """`direct_sum` in 80 bits, along each axis with matrices of sines and cosines."""
    wide, npix = np.longdouble, len(field)
    turn = 2 * np.arctan2(wide(0), wide(-1))  # 2π
    n = np.fft.fftfreq(npix, 1 / npix).round().astype(int)

    def fourier(values, sign):
        angle = turn / npix * (np.outer(n, np.arange(npix)) % npix).astype(wide)
        matrix = np.cos(angle) + sign * 1j * np.sin(angle)
        return (
            (matrix @ values.astype(np.clongdouble) @ matrix.T)
            if sign < 0
            else (matrix.T @ values @ matrix) / npix**2
        )

    wave = turn / wide(side) * n.astype(wide)
    ell_squared = wave[:, None] ** 2 + wave**2
    ell_squared[0, 0] = np.inf
    phi = 2 * fourier(kappa, -1) / ell_squared
    inner = np.where(np.abs(n) == npix // 2, 0, wave)  # Nyquist has no slope at the pixels
    slopes = (fourier(1j * along * phi, 1).real for along in (inner[:, None], inner))
    shifts = (slope * npix / wide(side) for slope in slopes)
    y, x = (
        (i + shift).ravel() % npix for i, shift in zip(np.indices(field.shape), shifts, strict=True)
    )
    angle_y, angle_x = (turn / npix * np.outer(p, n.astype(wide)) for p in (y, x))
    wave_y, wave_x = (np.cos(a) + 1j * np.sin(a) for a in (angle_y, angle_x))
    total = np.sum(wave_y @ (fourier(field, -1) / npix**2) * wave_x, axis=1)
    return total.real.reshape(npix, npix)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-11)])
def test_the_mean_of_kappa_deflects_nothing_however_large(dtype, tolerance):
    rng = np.random.default_rng(0)
    field = rng.standard_normal((2, 32, 32)).astype(dtype)
    kappa = (rng.integers(-512, 513, (2, 32, 32)) / 1024).astype(dtype)  # so that sums are exact
    expected = lens(field, kappa, 0.1)
    shifted = lens(field, kappa + dtype(4096), 0.1)
    np.testing.assert_allclose(shifted, expected, atol=tolerance)


def test_each_map_of_a_batch_is_within_the_precision():
    field = np.stack([WAVE.astype(np.float32), FAINT])
    with pytest.raises(LensingError, match="maps are up to 1e-38"):
        lens(field, np.zeros((2, 16, 16), np.float32), 0.1)


def test_an_array_in_a_file_is_an_array(tmp_path):
    rng = np.random.default_rng(0)
    field, kappa = rng.standard_normal((2, 16, 16))
    np.save(tmp_path / "field.npy", field)
    mapped = np.load(tmp_path / "field.npy", mmap_mode="r")
    np.testing.assert_array_equal(lens(mapped, kappa, 0.1), lens(field, kappa, 0.1))


MAP, KAPPA = np.zeros((16, 16)), np.zeros((16, 16))
WAVE = np.tile(np.cos(2 * np.pi / 16 * np.arange(16)), (16, 1))
FAINT = np.float32(1e-38) * WAVE.astype(np.float32)


@pytest.mark.parametrize(
    ("maps", "kappa", "side", "message"),
    [
        (MAP, KAPPA, 10.0, "must be in radians, from 1e-09 to π; 10 degrees are 0.174533"),
        (MAP, KAPPA, 5e-324, "side is 5e-324, must be in radians, from 1e-09"),
        (MAP, KAPPA, 1e-300, "side is 1e-300"),
        (MAP, KAPPA, True, "side is True"),
        (np.ma.masked_less(MAP, 1), KAPPA, 0.1, "maps is a numpy.ma.MaskedArray, of which only"),
        (MAP, np.ma.masked_array(KAPPA), 0.1, "kappa is a numpy.ma.MaskedArray"),
        ([np.ma.masked_array(MAP)], [KAPPA], 0.1, "fill what is masked (numpy.ma.filled) first"),
        (
            MAP,
            KAPPA.view(np.recarray),
            0.1,
            "kappa is a numpy.rec.recarray, of which",
        ),
        (MAP, WAVE * 1e300, 0.1, "kappa deflects by up to 5.093e+300 pixels, must be at most 4."),
        (MAP, WAVE * 1e14, 0.1, "pixels, must be at most 4.504e+12"),
        (MAP.astype("f4"), WAVE.astype("f4") * 1e6, 0.1, "at most 8389, beyond which float32 does"),
        (MAP.astype("f4"), WAVE.astype("f4") * 1e38, 0.1, "float64 arrays may deflect further"),
        (WAVE * 1e300, KAPPA, 0.1, "maps are up to 1e+300, must be from 1e-292 to 4e+292 in float"),
        (FAINT, KAPPA.astype("f4"), 0.1, "in float32: give them in other units"),
        (MAP, KAPPA, -0.1, "side is -0.1"),
        (MAP, KAPPA, 0, "side is 0"),
        (MAP, KAPPA, np.nan, "side is nan"),
        (MAP, KAPPA, "0.1", "side is '0.1'"),
        (
            MAP,
            np.zeros((16, 15)),
            0.1,
            "kappa of shape (16, 15): expected (npix, npix)",
        ),
        (np.zeros((16, 15)), KAPPA, 0.1, "maps of shape (16, 15)"),
        (np.zeros(256), np.zeros(256), 0.1, "maps of shape (256,)"),
        (np.zeros((16, 16, 4)), KAPPA, 0.1, "maps of shape (16, 16, 4)"),
        (np.zeros((2, 16, 16)), KAPPA, 0.1, "maps of shape (2, 16, 16)"),
        (np.zeros((2, 16, 16)), np.zeros((3, 16, 16)), 0.1, "kappa of shape (3, 16, 16)"),
        (MAP, np.zeros((1, 16, 16)), 0.1, "kappa of shape (1, 16, 16)"),
        (np.zeros((4, 4)), np.zeros((4, 4)), 0.1, "at least 8 pixels on a side"),
        (np.zeros((0, 16, 16)), np.zeros((0, 16, 16)), 0.1, "maps of shape (0, 16, 16)"),
        (MAP + 1j, KAPPA, 0.1, "maps must be real numbers, not complex128"),
        (MAP, [["a"] * 16] * 16, 0.1, "kappa must be real numbers"),
        (None, KAPPA, 0.1, "maps must be real numbers"),
        ([[1, 2], [3]], KAPPA, 0.1, "lens: maps: "),
        (MAP, KAPPA + np.nan, 0.1, "kappa has numbers that are not finite"),
    ],
)
def test_what_is_no_such_map_is_one_line(maps, kappa, side, message):
    with pytest.raises(LensingError) as caught:
        lens(maps, kappa, side)
    assert message in str(caught.value) and "\n" not in str(caught.value)
