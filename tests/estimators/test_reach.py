"""The rest to win is the forecast less what was measured, where the forecast says it is."""

import dataclasses
import re

import numpy as np
import pytest

from estimators import reach
from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator
from estimators.judge import judge_estimators
from estimators.posterior.measured import MeasuredPosterior
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.wiener import wiener_filter
from estimators.reach import bars, forecasts_of, left_to_win
from estimators.resampling import Measured, with_error
from estimators.skill import difference
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.sky import spectra
from tests.estimators import skies

REAL = LensingConfig("real", npix=32, lx=1.25, stokes="QU", oversampling=2, noise_uK_arcmin=1.0)


def estimator(name, label, noise, rng, share=1.0):
    """κ (the lensed map of `skies.batches` is 1000 times it) and white noise."""

    def predict(batch):
        kappa = batch["lensed"] / 1000
        return kappa + noise * kappa.std() * rng.standard_normal(kappa.shape)

    return Estimator(name, label, predict, normalised_share=share)


def judged(config, estimators, n=40):
    rng = np.random.default_rng(0)
    ell = skies.grid_multipoles(config.npix, config.side)
    power = kappa_power(config, spectra.fiducial(), ell)
    kappa = skies.gaussian_maps(power, config.side, n, rng)
    return judge_estimators(skies.batches(kappa), estimators, SkyEnsemble.of(config), "test", rng)


def network(noise, rng):
    return estimator("network", "network", noise, rng)


def test_the_quadratic_forecast_of_a_band_is_that_of_its_modes():
    """Each mode of the whole plane counted, one by one."""
    ensemble = SkyEnsemble.of(REAL)
    noise = MinimumVariance(("EE", "EB"), Observation.of(REAL, ensemble.theory)).noise
    power, sky = ensemble.kappa_power, REAL.sky
    expected = []
    for low, high in zip(ensemble.bands.edges[:-1], ensemble.bands.edges[1:], strict=True):
        inside = (sky.ell > low) & (sky.ell < high)
        explained = total = 0.0
        for mode in zip(*np.nonzero(inside), strict=True):
            explained += sky.mode_counts[mode] * power[mode] ** 2 / (power[mode] + noise[mode])
            total += sky.mode_counts[mode] * power[mode]
        expected.append(np.sqrt(explained / total))
    forecasts = forecasts_of(ensemble)
    np.testing.assert_allclose(forecasts.quadratic.rho_ell, expected, rtol=1e-9)
    assert forecasts.quadratic.map_correlation == ensemble.forecasts[0].map_correlation
    assert forecasts.iterated.map_correlation == ensemble.forecasts[-1].map_correlation
    assert (forecasts.iterated.rho_ell >= forecasts.quadratic.rho_ell - 1e-9).all()


def test_where_theory_does_not_hold_there_is_no_forecast():
    assert forecasts_of(skies.ENSEMBLE) is None
    assert forecasts_of(SkyEnsemble.of(dataclasses.replace(REAL, padding=2.0))) is None


def test_the_bars_are_the_best_of_each_group_and_all_iterated_ones():
    rng = np.random.default_rng(1)
    names = ["qe_mv", "qe_mv_wiener", "qe_eb_wiener", "qe_tt_all_wiener", "qe_eb_all_wiener"]
    names += ["qe_iterated_wiener", "qe_iterated_all_wiener", "zero"]
    others = [estimator(name, name, 1, rng) for name in names]
    others[3] = dataclasses.replace(others[3], normalised_share=0.1)  # zero by default
    evaluation = judged(skies.CONFIG, [network(1, rng), *others], n=4)
    assert [bar.estimator.name for bar in bars(evaluation)] == [
        "qe_mv_wiener", "qe_eb_all_wiener", "qe_iterated_wiener", "qe_iterated_all_wiener",
    ]  # fmt: skip


def test_the_sentence_names_what_is_left_and_where():
    """An estimate that is as good as the forecast, but zero at multipoles from 2,000 to 3,000."""
    rng, sky, ensemble = np.random.default_rng(1), REAL.sky, SkyEnsemble.of(REAL)
    noise = np.minimum(ensemble.forecasts[-1].noise, 1e3 * ensemble.kappa_power.max())
    kept = wiener_filter(ensemble.kappa_power, noise) * ((sky.ell < 2000) | (sky.ell > 3000))

    def predict(batch):
        modes = sky.to_modes(batch["lensed"][..., 0].astype(float) / 1000)
        white = sky.to_modes(rng.standard_normal((len(modes), 32, 32)) * 32 / sky.side)
        return sky.to_map((modes + white * np.sqrt(noise)) * kept)[..., None]

    blind = Estimator("network", "network", predict)
    evaluation = judged(REAL, [blind, estimator("qe_mv_wiener", "QE MV, Wiener", 2, rng)], n=200)
    rho, error = map(float, evaluation.skill.map_correlation)
    forecast = forecasts_of(ensemble).iterated.map_correlation
    found = re.fullmatch(
        rf"The network reaches ρ = {rho:.4f} ± {error:.4f}; QE MV 0\.4\d+; the forecast "
        rf"{forecast:.4f}: {forecast - rho:.4f} ± {error:.4f} is left to win, half of it at "
        r"L = ([\d,]+)–([\d,]+)\.",
        left_to_win(evaluation),
    )
    low, high = (int(number.replace(",", "")) for number in found.groups())
    assert 1700 <= low < high <= 3300


def test_beyond_the_forecast_nothing_is_left_to_win():
    perfect = judged(REAL, [network(0, np.random.default_rng(0))])
    assert left_to_win(perfect).endswith("by this forecast nothing is left to win.")


def test_without_a_forecast_the_sentence_says_so():
    rng = np.random.default_rng(0)
    bar = estimator("qe_tt_wiener", "QE TT, Wiener", 0.5, rng)
    below = judged(skies.CONFIG, [network(1, rng), bar])
    end = ", and no theory forecasts what is left on these skies."
    less = with_error(difference(below.judged[1].skill, below.judged[0].skill))  # of pairs
    assert left_to_win(below).endswith(f"it is {less} below the best of these{end}")
    alone = judged(skies.CONFIG, [network(1, rng)])
    assert left_to_win(alone).endswith(f"it is the best of these{end}")


def test_what_is_below_by_chance_is_said_to_be_so():
    """Two estimates of equal noise, one of which is the better one on these examples."""
    both = [network(1, np.random.default_rng(3)), network(1, np.random.default_rng(4))]
    for first, other in (both, both[::-1]):
        other = dataclasses.replace(other, name="qe_tt_wiener", label="QE TT")
        evaluation = judged(skies.CONFIG, [first, other])
        below = difference(evaluation.judged[1].skill, evaluation.judged[0].skill)
        said = ": it is the best of these, and" in left_to_win(evaluation)
        assert said == (below.value < 0)
        assert (", which may be chance, and" in left_to_win(evaluation)) != said


@pytest.mark.parametrize(
    ("above", "counted", "end"),
    [
        (0.02, 0.02, r"which the MAP passes: (0\.\d+) ± 0\.\d+ is left to win up to the MAP\."),
        (0.001, 0, r"the forecast 0\.\d+: (0\.\d+) ± 0\.\d+ is left to win\."),  # it may be chance
    ],
)
def test_what_is_left_is_counted_up_to_a_maximum_a_posteriori_that_passes_the_forecast(
    monkeypatch, above, counted, end
):
    forecast = forecasts_of(SkyEnsemble.of(REAL)).iterated.map_correlation
    found = MeasuredPosterior(
        40, np.ones(1), Measured(np.ones(1), np.ones(1)),
        Measured(np.array(forecast + above), np.array(0.002)), np.ones(1),
    )  # fmt: skip
    monkeypatch.setattr(reach, "measured_posterior", lambda config: found)
    evaluation = judged(REAL, [network(2, np.random.default_rng(1))], n=100)
    said = re.search(f"{end}$", left_to_win(evaluation))
    left = forecast + counted - float(evaluation.skill.map_correlation.value)
    assert float(said[1]) == pytest.approx(left, abs=1e-4)
