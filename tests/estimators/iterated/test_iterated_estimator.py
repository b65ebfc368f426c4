"""The iterated estimator on simulated skies: above the quadratic one, and near its forecast."""

import dataclasses

import numpy as np
import pytest

from estimators.iterated.fitting import fit, method_by_theory
from estimators.iterated.forecast import forecasts
from estimators.iterated.iterated_estimator import StagedEstimator
from estimators.quadratic.fields import fields_of
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import spectra

N_TRAIN, N_TEST = 80, 60
TABLE = spectra.fiducial()


def survey(stokes):
    return LensingConfig(
        stokes, npix=64, lx=64 * 2.5 / 60, stokes=stokes, oversampling=2, beam_arcmin=1.5,
        noise_uK_arcmin=1.0,
    )  # fmt: skip


def streamed(maps, size=16):
    def examples():
        for start in range(0, len(maps["index"]), size):
            yield {name: maps[name][start : start + size] for name in ("lensed", "kappa")}

    return examples


@pytest.fixture(scope="module", params=["T", "QU", "TQU"])
def fitted(request):
    config = survey(request.param)
    told = []
    estimator = fit(
        config, TABLE, streamed(simulate(config, "train", range(N_TRAIN))),
        report=lambda stage, rho: told.append((stage, rho)),
    )  # fmt: skip
    test = simulate(config, "test", range(N_TEST))
    fields = fields_of(test["lensed"], config.channels, config.sky)
    kappa = config.sky.to_modes(np.ascontiguousarray(test["kappa"][..., 0]))
    return config, estimator, told, fields, kappa


def correlation(estimate, kappa, weight):
    def power(a, b):
        return np.sum(weight * (a * b.conj()).real.sum(axis=0, dtype=float))

    return power(estimate, kappa) / np.sqrt(power(estimate, estimate) * power(kappa, kappa))


def test_every_stage_is_better_than_the_one_before_on_other_skies(fitted):
    config, estimator, told, fields, kappa = fitted
    blocks = list(estimator.by_stage(fields))
    stages = [np.concatenate(one) for one in zip(*blocks, strict=True)]
    rho = [correlation(stage, kappa, config.sky.mode_counts) for stage in stages]
    assert len(rho) == len(estimator.stages) == len(told) >= 2
    assert np.all(np.diff(rho) > -1e-3)  # a last stage may win nothing
    # 60 skies scatter by 0.004; 80 training skies are fitted by 0.002 too well in a small patch.
    np.testing.assert_allclose(rho, [r for _, r in told], atol=0.015)
    if "Q" in config.channels:
        assert rho[-1] > rho[0] + 0.015


def test_it_comes_near_its_forecast_and_beats_the_quadratic_estimator_in_every_band(fitted):
    config, estimator, _, fields, kappa = fitted
    estimate = estimator.kappa(fields)
    forecast = forecasts(config, TABLE)[-1].map_correlation
    rho = correlation(estimate, kappa, config.sky.mode_counts)
    # N1, and with T the non-linear part of its own lensing, are not in the forecast.
    assert forecast - 0.04 < rho < forecast + 0.01
    first = np.concatenate([block[0] for block in estimator.by_stage(fields)])
    for low, high in ((0, 500), (500, 1000), (1000, 2000), (2000, 3500)):
        band = config.sky.mode_counts * ((config.sky.ell > low) & (config.sky.ell <= high))
        assert correlation(estimate, kappa, band) > correlation(first, kappa, band) - 2e-3


def test_maps_are_estimated_alike_alone_and_together(fitted):
    config, estimator, _, fields, _ = fitted
    # In double precision: single precision is rounded by how many maps are transformed together.
    double = {name: modes.astype(np.complex128) for name, modes in fields.items()}
    together = estimator.kappa(double)
    alone = estimator.kappa({name: modes[7:8] for name, modes in double.items()})
    np.testing.assert_allclose(together[7:8], alone, rtol=0, atol=1e-10 * np.abs(alone).max())
    single = estimator.kappa({name: modes[7:8] for name, modes in fields.items()})
    assert single.dtype == np.complex64 and single.shape[1:] == config.sky.ell.shape
    np.testing.assert_allclose(single, alone, rtol=0, atol=1e-4 * np.abs(alone).max())


def test_it_is_its_stages(fitted):
    config, estimator, _, fields, _ = fitted
    again = StagedEstimator(method_by_theory(config, TABLE), estimator.stages)
    np.testing.assert_array_equal(again.kappa(fields), estimator.kappa(fields))


def test_examples_are_streamed_and_fitted_alike_in_any_batches():
    config = survey("QU")
    maps = simulate(config, "train", range(40))
    few = {"most_stages": 2, "least_gain": 0.0}
    one, other = (fit(config, TABLE, streamed(maps, size), **few) for size in (40, 7))
    # Gains of features that say nearly the same are known less well than what they add up to.
    fields = fields_of(maps["lensed"][:4], config.channels, config.sky)
    estimate, same = one.kappa(fields), other.kappa(fields)
    np.testing.assert_allclose(estimate, same, atol=1e-3 * np.abs(same).max())


def test_too_few_skies_are_refused():
    config = survey("TQU")
    with pytest.raises(LensingError, match="2 examples are too few for 5 gains"):
        fit(config, TABLE, streamed(simulate(config, "train", range(2))))


def test_edges_have_measured_spectra_and_a_mean_field_and_iterating_pays_there_too():
    config = dataclasses.replace(survey("QU"), name="edged", padding=1.5, taper=0.3)
    examples = streamed(simulate(config, "train", range(N_TRAIN)))
    estimator = fit(config, TABLE, examples, most_stages=3)
    assert all(np.abs(stage.mean_field).max() > 0 for stage in estimator.stages)
    test = simulate(config, "test", range(N_TEST))
    fields = fields_of(test["lensed"], config.channels, config.sky)
    kappa = config.sky.to_modes(np.ascontiguousarray(test["kappa"][..., 0]))
    stages = [np.concatenate(one) for one in zip(*estimator.by_stage(fields), strict=True)]
    rho = [correlation(stage, kappa, config.sky.mode_counts) for stage in stages]
    assert rho[1] > rho[0] + 0.01 and rho[2] > rho[1] - 1e-3
