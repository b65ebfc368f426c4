"""Gaussian fields: the right power in every mode, the Nyquist column and l_x = 0 included."""

import numpy as np
import pytest

from lensing_tfds import simulate
from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky import spectra
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.gaussian_fields import GaussianField
from lensing_tfds.versions import VERSIONS


@pytest.mark.parametrize("npix", [8, 9, 50])
def test_every_mode_has_its_power_and_hermitian_symmetry(npix):
    count = 4000 if npix < 50 else 400
    sky = FlatSky(npix, 1.0)
    expected = 1 / (1 + sky.ell)  # another power in every mode
    field = GaussianField(expected)
    normals = np.random.default_rng(1).standard_normal((count, field.size), np.float32)
    modes = field.modes(normals)
    # The symmetry: a map made of these modes has them as its modes again.
    np.testing.assert_allclose(sky.to_modes(sky.to_map(modes)), modes, atol=3e-6)
    ratio = np.mean(np.abs(modes) ** 2, axis=0) / expected
    assert np.all(np.abs(ratio - 1) < 6 * np.sqrt(2 / count))
    self_conjugate = [0, npix // 2] if npix % 2 == 0 else [0]
    for row in self_conjugate:
        for column in self_conjugate:
            assert not modes[:, row, column].imag.any()


@pytest.mark.parametrize(("feature", "spectrum"), [("unlensed", "TT"), ("kappa", "kappa")])
def test_power_is_unbiased_to_one_per_cent_in_every_band(feature, spectrum):
    """v7's maps through NumPy's FFT, in 12 bands, the l_x = 0 and the two Nyquist lines.

    6,000 examples: the smallest group has about 50 real numbers each, so that the standard error
    is sqrt(2 / 300,000) = 0.26 % and 1 % is nearly four of them.
    """
    config = VERSIONS["v7"]
    npix = config.npix
    power = np.zeros((npix, npix))
    batch, count = 1000, 6000
    for start in range(0, count, batch):
        maps = simulate(config, "train", range(start, start + batch))[feature][..., 0]
        power += np.sum(np.abs(np.fft.fft2(maps.astype(float))) ** 2, axis=0)
    ell_1d = 2 * np.pi * np.fft.fftfreq(npix, config.side / npix)
    ell = np.hypot(ell_1d[:, None], ell_1d[None, :])
    # |FFT|² = C_l npix⁴ / area
    theory = spectra.at_multipoles(getattr(spectra.fiducial(), spectrum), ell)
    measured = power / count * config.side**2 / npix**4
    ratio = measured / np.where(theory > 0, theory, np.nan)
    edges = np.linspace(0.5, 36, 13) * 2 * np.pi / config.side
    groups = {f"band {i}": (ell >= edges[i]) & (ell < edges[i + 1]) for i in range(12)}
    column = np.zeros_like(ell, bool)
    column[1:, 0] = True
    groups |= {"l_x = 0": column, "l_y = 0": column.T}
    groups["l_x Nyquist"] = np.broadcast_to(np.arange(npix) == npix // 2, ell.shape)
    groups["l_y Nyquist"] = groups["l_x Nyquist"].T
    for name, group in groups.items():
        assert abs(np.nanmean(ratio[group]) - 1) < 0.01, name
    assert measured[0, 0] < 1e-6 * measured[0, 1]  # no monopole, but for rounding


def test_power_agrees_with_namasters_synfast():
    """Against an independent generator, band by band to 2 %; but for its halved Nyquist column."""
    nmt = pytest.importorskip("pymaster")
    config = LensingConfig("synfast", npix=50, lx=10.0)
    count = 2000
    kappa = spectra.fiducial().kappa[:1500]  # beyond the grid's corners; a short table is quick
    theirs = np.zeros((50, 50))
    for seed in range(count):
        (maps,) = nmt.synfast_flat(50, 50, config.side, config.side, [kappa], [0], seed=seed + 1)
        theirs += np.abs(np.fft.fft2(maps)) ** 2
    maps = simulate(config, "train", range(count))["kappa"][..., 0]
    ours = np.sum(np.abs(np.fft.fft2(maps.astype(float))) ** 2, axis=0)
    frequency = np.fft.fftfreq(50) * 50
    radius = np.hypot(frequency[:, None], frequency[None, :])
    inside = np.abs(frequency) < 25
    keep = inside[:, None] & inside[None, :]
    ratio = np.where(keep & (radius > 0), ours / np.where(theirs > 0, theirs, 1), np.nan)
    edges = [0.5, 5, 10, 15, 20, 25, 35]
    for low, high in zip(edges, edges[1:], strict=False):
        band = keep & (radius >= low) & (radius < high)
        assert abs(np.nanmean(ratio[band]) - 1) < 0.02, (low, high)
