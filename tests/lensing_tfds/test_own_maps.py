"""`lens`: maps from anywhere, lensed as the dataset's are; what is no such map is one line."""

import numpy as np
import pytest

from lensing_tfds import LensingError, lens, simulate
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


MAP, KAPPA = np.zeros((16, 16)), np.zeros((16, 16))


@pytest.mark.parametrize(
    ("maps", "kappa", "side", "message"),
    [
        (MAP, KAPPA, 10.0, "must be in radians, above 0, at most π; 10 degrees are 0.174533"),
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
