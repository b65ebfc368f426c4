"""Statistics of a dataset against theory: every test, and the numbers that are none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy import stats

from lensing_tfds.configs import LensingConfig
from lensing_tfds.realism import follows_camb, why_not_camb
from lensing_tfds.sky.spectra import PowerSpectra
from pipelines.validation import completeness, pixels, powers
from pipelines.validation.effects import Effects
from pipelines.validation.observables import Observables
from pipelines.validation.outcome import Curve, Response, Trial, Verdict
from pipelines.validation.response import Responses, tolerance
from pipelines.validation.statistics import Statistics
from pipelines.validation.theory import Theory


def judge(
    statistics: Statistics,
    observables: Observables,
    table: PowerSpectra,
    num_examples: Mapping[str, int],
) -> Verdict:
    """Compares a dataset's statistics with theory.

    Args:
      statistics: of all its examples.
      observables: what was measured.
      table: the spectra that its skies were drawn from.
      num_examples: how many each split should have.
    """
    with np.errstate(all="ignore"):  # what maps that are all alike lead to is NaN, and fails
        return _judge(statistics, observables, table, num_examples)


def _judge(
    statistics: Statistics,
    observables: Observables,
    table: PowerSpectra,
    num_examples: Mapping[str, int],
) -> Verdict:
    config = observables.config
    tests = completeness.tests(statistics, num_examples)
    if not statistics.moments:  # not one example is finite
        return Verdict(config, num_examples, tuple(tests))
    theory = Theory(observables, table)
    curves = [
        powers.curve(spectrum, statistics, observables, theory) for spectrum in observables.spectra
    ]
    responses = list(_responses(statistics, Responses(config, table)))
    trials: list[Trial] = []
    for curve in curves:
        trials += powers.trials(curve, statistics, observables, theory)
    for response in responses:
        count = statistics.moments[f"response {response.pair}"].count
        trials.append(_response_trial(response, config, count))
    for field in observables.channels:
        trials += pixels.trials(field, statistics.moments[f"pixels {field.name}"], theory)
    effects = Effects(observables, table)
    trials += effects.trials(statistics.moments)
    tests += effects.tests(statistics.moments)
    tests += [trial.among(len(trials)) for trial in trials]
    for curve in curves:
        tests += powers.empty_bins(curve, statistics, theory)
    of_camb = Theory(observables, table, of_camb=True)
    numbers = _numbers(statistics, observables, curves, responses, of_camb)
    return Verdict(
        config, num_examples, tuple(tests), tuple(curves), tuple(responses), tuple(numbers)
    )


def _responses(statistics: Statistics, measured: Responses) -> Iterator[Response]:
    for pair in measured.pairs:
        moments = statistics.moments[f"response {pair}"]
        cross, power = np.split(moments.mean, 2)
        gradient = np.hstack([np.diag(1 / power), np.diag(-cross / power**2)])
        variance = np.diag(gradient @ moments.covariance @ gradient.T)
        yield Response(pair, measured.bands.limits, cross / power, np.sqrt(variance))


def _response_trial(response: Response, config: LensingConfig, count: int) -> Trial:
    """Tests that the response is near 1 in each band; or, on a config's own grid, not negative."""
    mean, error = _mean(response)
    digits = 3 if error >= 1e-3 else 4
    words = f"{mean:.{digits}f} ± {error:.{digits}f} in the mean"
    has_holes = config.mask is not None and config.mask.holes > 0
    if follows_camb(config) and not has_holes:  # which mix modes of all lengths
        allowed = tolerance(config)
        excess = np.maximum(np.abs(response.value - 1) - allowed, 0) / response.error
        p_value = min(1.0, len(excess) * float(2 * stats.t.sf(excess.max(), count - 1)))
        should = f"1 within {allowed:g}"
    else:
        p_value = float(stats.t.cdf(mean / error, count - 1))
        should = "positive"
    return Trial(
        f"{response.pair} response to κ",
        f"R = {mean:.3f}",
        p_value,
        f"{words}, should be {should}",
        f"deflection {'sign' if mean < 0 else 'strength'}: the response of the {response.pair} "
        f"quadratic estimate to κ is {words}, should be {should}",
    )


def _mean(response: Response) -> tuple[np.float64, np.float64]:
    weights = 1 / response.error**2
    return response.value @ weights / weights.sum(), weights.sum() ** -0.5


def _numbers(
    statistics: Statistics,
    observables: Observables,
    curves: Sequence[Curve],
    responses: Sequence[Response],
    of_camb: Theory,
) -> Iterator[tuple[str, str]]:
    """Remarks that are not judged: on what a config's own grid does, above all."""
    config = observables.config
    for response in responses:
        bands = ", ".join(
            f"{value:.3f} ± {error:.3f} (L = {low:.0f}–{high:.0f})"
            for value, error, low, high in zip(
                response.value, response.error, *response.limits, strict=True
            )
        )
        yield f"{response.pair} response", bands
    if not (reason := why_not_camb(config)):
        return
    yield "lensed spectra", f"not CAMB's: {reason}"
    for curve in curves:
        spectrum = curve.spectrum
        if spectrum.first.feature == "lensed" and spectrum.is_auto and curve.tested.any():
            deviation = (curve.measured / of_camb.expected(spectrum) - 1)[curve.tested]
            low, high = curve.limits[:, curve.tested][:, -1]
            yield (
                spectrum.name,
                f"{np.abs(deviation).mean():.2%} from CAMB's, mean over bins; "
                f"{deviation[-1]:+.1%} at l = {low:.0f}–{high:.0f}",
            )
    if config.T_lmax is None:
        return
    for field in observables.beyond_fields:
        below, above = statistics.moments[f"beyond {field.name}"].mean
        yield f"{field.name} beyond T_lmax", f"{above / (below + above):.3%} of its power"
