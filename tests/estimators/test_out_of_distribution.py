"""The changed skies are changed as they say, and are scored as any others."""

import dataclasses
import functools
import json

import numpy as np
import pytest

from estimators.ensemble import SkyEnsemble
from estimators.estimator import network
from estimators.out_of_distribution import changed_skies, out_of_distribution, tilted
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import spectra
from tests.estimators.quadratic_estimates import quadratic

CONFIG = LensingConfig(
    name="survey", npix=48, lx=2.0, oversampling=2, beam_arcmin=2.0, noise_uK_arcmin=4.0,
    kappa_exaggeration_factor=2.0,
)  # fmt: skip
ESTIMATOR, _ = quadratic(CONFIG, "TT")
FIDUCIAL = spectra.fiducial()
ENSEMBLE = SkyEnsemble.of(CONFIG)
INDICES = range(40)


def table_of(estimator=ESTIMATOR, config=CONFIG, indices=INDICES):
    return out_of_distribution(
        network(estimator), SkyEnsemble.of(config), indices, np.random.default_rng(0)
    )


@pytest.fixture(name="table", scope="module")
def table_fixture():
    return table_of()


def test_each_kind_of_skies_is_scored_as_simulated(table):
    """Correlation, response and squared error, from all pixels at once."""
    for row, kind in zip(table.rows, changed_skies(ENSEMBLE)[:4], strict=False):
        examples = simulate(kind.ensemble.config, "test", INDICES)
        kappa, guess = examples["kappa"].astype(float), ESTIMATOR(examples["lensed"]).astype(float)
        rho = np.corrcoef(kappa.ravel(), guess.ravel())[0, 1]
        assert row.map_correlation.value == pytest.approx(rho)
        response = np.mean(kappa * guess) / np.mean(kappa**2)
        assert row.response.value == pytest.approx(response)
        mse = np.mean((guess - kappa) ** 2) / np.mean(kappa**2)
        assert row.relative_mse.value == pytest.approx(mse)
    assert table.num_examples == 40


def test_only_one_thing_is_changed_at_a_time():
    kinds = changed_skies(ENSEMBLE)
    assert [kind.name for kind in kinds] == [
        "unchanged", "κ x 0.8", "κ x 1.2", "noise x 1.5", "n_s −0.05",
    ]  # fmt: skip
    same, weak, strong, noisy, other = (kind.ensemble.config for kind in kinds)
    assert same == other == CONFIG
    assert weak == dataclasses.replace(CONFIG, kappa_exaggeration_factor=1.6)
    assert strong == dataclasses.replace(CONFIG, kappa_exaggeration_factor=2.4)
    assert noisy == dataclasses.replace(CONFIG, noise_uK_arcmin=6.0)
    assert all(kind.ensemble.theory is ENSEMBLE.theory for kind in kinds[:4])


def test_what_has_no_noise_has_not_more_of_it():
    clean = dataclasses.replace(CONFIG, noise_uK_arcmin=0.0)
    assert "noise x 1.5" not in [kind.name for kind in changed_skies(SkyEnsemble.of(clean))]


def test_more_noise_is_worse_and_more_lensing_better(table):
    same, weak, strong, noisy, _ = table.rows
    assert same.correlation_change == (0, 0)
    assert noisy.correlation_change.value < -5 * noisy.correlation_change.error
    assert weak.correlation_change.value < -5 * weak.correlation_change.error
    assert strong.correlation_change.value > 5 * strong.correlation_change.error
    for row in (weak, strong, noisy):
        assert row.relative_mse_change.value == pytest.approx(
            row.relative_mse.value - same.relative_mse.value
        )


def test_changes_are_known_better_than_scores(table):
    """The same random numbers, so nearly the same scatter."""
    for row in table.rows[1:]:
        assert row.correlation_change.error < 0.5 * row.map_correlation.error


def test_the_tilted_skies_are_drawn_from_the_tilted_table():
    """The power of κ and of T, below and above the pivots, of the same random numbers."""
    maps = []

    def spy(lensed):
        maps.append(lensed[..., 0])
        return np.zeros((*lensed.shape[:3], 1))

    config = dataclasses.replace(CONFIG, noise_uK_arcmin=0.0, beam_arcmin=0.0)
    table_of(spy, config, range(32))
    same, tilt = maps[0], maps[-1]
    sky = CONFIG.sky
    power = [np.mean(np.abs(sky.to_modes(x.astype(float))) ** 2, axis=0) for x in (same, tilt)]
    band = (sky.ell > 700) & (sky.ell < 1500)
    assert np.mean(power[1][band] / power[0][band]) == pytest.approx(
        (1050 / 600) ** -0.05, abs=0.01
    )


def test_zero_is_as_bad_everywhere():
    for row in table_of(lambda maps: np.zeros((*maps.shape[:3], 1)), indices=range(4)).rows:
        assert (row.map_correlation.value, row.response.value) == (0, 0)
        assert row.relative_mse.value == 1


def test_json_has_every_row(table):
    values = json.loads(json.dumps(table.to_json(), allow_nan=False))
    assert values["num_examples"] == 40
    assert len(values["rows"]) == 5
    for field in ("map_correlation", "response", "relative_mse", "correlation_change"):
        assert {field, f"{field}_error"} <= values["rows"][0].keys()


@pytest.mark.parametrize("lmin", [100, 600, 1200])
def test_the_tilt_is_what_camb_says(lmin):
    """κ's and the unlensed spectra's change, in bands, within 2 %; TE goes with them."""
    before, after = camb_spectra(0.0), camb_spectra(-0.05)
    new = tilted(FIDUCIAL)
    band = slice(lmin, lmin + 200)
    for name in ("TT", "EE", "kappa"):
        expected = np.mean(after[name][band] / before[name][band])
        ours = np.mean(getattr(new, name)[band] / getattr(FIDUCIAL, name)[band])
        assert ours == pytest.approx(expected, rel=0.02)
        assert abs(expected - 1) > 1e-3
    ratio = new.TE[2:] / new.TT[2:]
    np.testing.assert_allclose(ratio, FIDUCIAL.TE[2:] / FIDUCIAL.TT[2:])
    assert new.lensed_TT is FIDUCIAL.lensed_TT


@functools.cache
def camb_spectra(change):
    """Quick ones, to l = 1,600."""
    camb = pytest.importorskip("camb")
    cosmology = dict(spectra.COSMOLOGY)
    cosmology["As"] = np.exp(cosmology.pop("ln10^10As")) * 1e-10
    cosmology["ns"] += change
    model = camb.set_params(**cosmology, lmax=1600, lens_potential_accuracy=1)
    results = camb.get_results(model)
    unlensed = results.get_unlensed_scalar_cls(lmax=1600)
    kappa = results.get_lens_potential_cls(lmax=1600)[:, 0]
    return {"TT": unlensed[:, 0], "EE": unlensed[:, 1], "kappa": kappa}


def test_one_example_has_no_errors():
    with pytest.raises(LensingError, match="errors need at least 2 examples, there are 1"):
        table_of(indices=[5])
