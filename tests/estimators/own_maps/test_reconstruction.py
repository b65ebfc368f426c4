"""κ from maps that were made without this package: pixell's sky, its lensing, its FITS."""

import dataclasses

import numpy as np
import pytest

from estimators.own_maps import reconstruction
from estimators.own_maps.files import read_maps, write_kappa
from estimators.own_maps.reconstruction import (
    reconstruct,
    simulated_number,
    simulated_skies,
)
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import spectra
from lensing_tfds.versions import VERSIONS
from trainer.reconstruct import open_model

fits = pytest.importorskip("astropy.io.fits")
WCS = pytest.importorskip("astropy.wcs").WCS
enmap = pytest.importorskip("pixell.enmap")
pixell_lensing = pytest.importorskip("pixell.lensing")

CONFIG = VERSIONS["v11"]
SKIES = 2
SIGMAS = 4.5


def pixells_sky(seed):
    """T, Q, U and κ as `lensing/v11` has Q and U, on pixell's own plate carrée pixels."""
    table, half, fine = spectra.fiducial(), CONFIG.side / 2, 2 * CONFIG.npix
    corners = [[-half, half], [half, -half]]  # right ascension decreases, as pixell's does
    shape, wcs = enmap.geometry(corners, shape=(fine, fine), proj="car")
    powers = np.zeros((3, 3, table.lmax + 1))
    powers[0, 0], powers[1, 1], powers[0, 1], powers[1, 0] = table.TT, table.EE, table.TE, table.TE
    unlensed = enmap.rand_map((3, *shape), wcs, powers, seed=2 * seed)
    kappa = enmap.rand_map(shape, wcs, table.kappa[None, None], seed=2 * seed + 1)
    ell = enmap.modlmap(shape, wcs)
    # φ = 2κ/l²: κ = −∇²φ/2.
    phi = enmap.ifft(enmap.fft(kappa) * 2 / np.where(ell > 0, ell, np.inf) ** 2).real
    lensed = pixell_lensing.lens_map_flat(unlensed, phi)
    sigma = np.radians(CONFIG.beam_arcmin / 60) / np.sqrt(8 * np.log(2))
    smoothed = enmap.ifft(enmap.fft(lensed) * np.exp(-(ell**2) * sigma**2 / 2)).real
    maps, label = (enmap.resample(m, (CONFIG.npix,) * 2, method="fft") for m in (smoothed, kappa))
    rms = np.array([1, np.sqrt(2), np.sqrt(2)]) * CONFIG.noise_uK_arcmin / CONFIG.pixel_arcmin
    normals = np.random.default_rng(seed).standard_normal(maps.shape)
    return maps + rms[:, None, None] * normals, label


@pytest.fixture(name="sky", scope="module")
def sky_fixture():
    maps, kappas = zip(*map(pixells_sky, range(SKIES)), strict=True)
    return enmap.enmap(np.stack(maps), maps[0].wcs), enmap.enmap(np.stack(kappas), maps[0].wcs)


@pytest.fixture(name="model", scope="module")
def model_fixture():
    return open_model("pretrained:v11")


def written(folder, maps, **cards):
    """Maps in a FITS file of pixell's, read."""
    enmap.write_fits(str(folder / "maps.fits"), maps, extra=cards)
    return read_maps(folder / "maps.fits", CONFIG)


def as_read(path):
    """The primary image of a FITS file, and its coordinates."""
    with fits.open(path) as hdus:
        return np.array(hdus[0].data), WCS(hdus[0].header, naxis=2)


@pytest.fixture(name="found", scope="module")
def found_fixture(model, sky, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pixell")
    return reconstruct(*model, written(folder, sky[0], POLCCONV="COSMO", BUNIT="uK"))


def scores(kappa, estimate):
    """The correlation and the response of each sky, (n, 2)."""
    rows = [(k.ravel() - k.mean(), e.ravel()) for k, e in zip(kappa, estimate, strict=True)]
    return np.array([(np.corrcoef(k, e)[0, 1], k @ e / (k @ k)) for k, e in rows])


def test_kappa_of_pixells_maps_has_the_right_sign_and_size(sky, model, found):
    """Correlation and response are those of own maps, within the scatter of skies."""
    estimator, ensemble = found.estimator, model[1]
    own = np.concatenate(
        [
            scores(batch["kappa"][..., 0], estimator.kappa(batch["lensed"], batch["index"]))
            for batch in simulated_skies(ensemble, "validation", 16)
        ]
    )
    of_pixells = scores(sky[1], found.own.in_file_order(found.kappa))
    off = of_pixells.mean(axis=0) - own.mean(axis=0)
    errors = own.std(axis=0, ddof=1) * np.sqrt(1 / SKIES + 1 / len(own))
    assert (own.mean(axis=0) > 10 * errors).all()  # so that it could fail
    assert (np.abs(off) < SIGMAS * errors).all()
    assert found.likeness.warnings == []


def test_however_the_axes_run_and_whosever_u_is_written_kappa_is_the_same_on_the_sky(
    sky, model, found, tmp_path
):
    maps = sky[0]
    iau = maps.copy()
    iau[:, 2] *= -1
    as_it_is = found.own.in_file_order(found.kappa)
    for turned, of, cards in (
        (np.s_[..., :, :], maps, {"POLCCONV": "COSMO"}),
        (np.s_[..., ::-1], maps, {"POLCCONV": "COSMO"}),
        (np.s_[..., ::-1, :], maps, {"POLCCONV": "COSMO"}),
        (np.s_[..., ::-1, ::-1], iau, {"POLCCONV": "IAU"}),
        (np.s_[..., :, :], iau * 1e-6, {"POLCCONV": "IAU", "BUNIT": "K"}),
    ):
        own = written(tmp_path, of[turned], **cards)
        kappa = found.estimator.kappa(own.maps, np.arange(len(own.maps)))
        write_kappa(tmp_path / "kappa.fits", own, kappa, found.errors)
        estimate, where = as_read(tmp_path / "kappa.fits")
        assert where.wcs.compare(of[turned].wcs.wcs, tolerance=1e-9)
        # Rounding of single precision, in sums of as many numbers as a map has.
        np.testing.assert_allclose(estimate[turned], as_it_is, atol=1e-5 * np.abs(as_it_is).max())


def test_u_of_the_wrong_sign_is_warned_of(sky, model, tmp_path):
    """And the estimate is worth next to nothing."""
    maps, kappa = sky
    found = reconstruct(*model, written(tmp_path, maps, POLCCONV="IAU"))
    assert scores(kappa, found.own.in_file_order(found.kappa))[:, 0].max() < 0.3
    assert any("by U of the other sign" in line for line in found.likeness.warnings)


def without_errors(make):
    return lambda: dataclasses.replace(make(), uncertainty=None)


def test_the_errors_and_the_correlation_are_those_of_simulated_skies(model, tmp_path):
    make, ensemble = model
    skies = simulate("v11", "test", range(8))
    np.save(tmp_path / "maps.npy", skies["lensed"])
    own = read_maps(tmp_path / "maps.npy", CONFIG)
    found = reconstruct(without_errors(make), ensemble, own)
    residual = found.kappa - skies["kappa"][..., 0]
    # The error of a sky scatters by 4 %, that of 8 skies by 1.4 %.
    assert found.errors.pixel_std == pytest.approx(residual.std(), rel=0.06)
    assert found.errors.num_examples == simulated_number(128) == 64
    each = scores(skies["kappa"][..., 0], found.kappa)[:, 0]
    assert found.correlation == pytest.approx(each.mean(), abs=SIGMAS * each.std() / np.sqrt(8))
    assert "simulated" in found.errors_basis


def test_errors_that_the_estimator_knows_are_its_own(model, tmp_path, monkeypatch):
    monkeypatch.setattr(reconstruction, "_MOST", 16)
    np.save(tmp_path / "maps.npy", simulate("v11", "test", [0])["lensed"][0])
    own = read_maps(tmp_path / "maps.npy", CONFIG)
    make, ensemble = model
    knowing = make()
    found = reconstruct(make, ensemble, own)
    assert knowing.uncertainty is not None and "the validation split" in found.errors_basis
    assert found.errors.to_json() == knowing.uncertainty.to_json()
    again = reconstruct(without_errors(make), ensemble, own)
    # Those of 16 skies, whose variance is known to some percent.
    assert again.errors.pixel_std == pytest.approx(found.errors.pixel_std, rel=0.1)
    np.testing.assert_array_equal(again.kappa, found.kappa)
