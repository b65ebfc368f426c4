"""Estimators of κ inside a mask: response, correlation and time, on simulated skies.

    python -m benchmarks.masked_estimators v13                        # minutes of a core
    python -m benchmarks.masked_estimators v13 --train 128 --test 64
    python -m benchmarks.masked_estimators v13 --unmasked             # the same skies without mask
    python -m benchmarks.masked_estimators v15 --splits --test 16     # pairs of different splits

Gains are measured on training examples, all else on test examples, inside the judge's window. The
response is that of the quadratic estimate that is normalised, the cross-spectrum with κ over κ's
own, which must be 1; errors are those of the test skies and, as many as were trained on being
as good, of the training skies. ρ is pooled over all modes of the bands that end at L or below;
times are of one core, that of the first quadratic estimate with the filter, which the others share.
Of splits: the response of the estimate of pairs of different splits over that of the plain one, on
the same test skies, and its power over the plain one's.
"""

import argparse
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator
from estimators.iterated.filtered_template import ByFilteredTemplate
from estimators.judge import Judged, judge_estimators
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.splits import cross_only
from estimators.quadratic.wiener import wiener_filter
from estimators.references import fitted_iterated, quadratic_references
from lensing_tfds import LensingConfig, simulate
from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import SPLIT_MAPS
from lensing_tfds.versions import get_config

LIMITS = (1000, 2000, 3000)
RESPONSE_RANGE = (100, 2000)
BATCH = 8


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the tables of a version."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.masked_estimators")
    parser.add_argument("config", help="a version, or a config as JSON")
    parser.add_argument("--train", type=int, default=256, help="skies that gains are measured on")
    parser.add_argument("--test", type=int, default=256, help="skies that are judged")
    parser.add_argument("--unmasked", action="store_true", help="without mask, taper and hits")
    parser.add_argument("--quadratic", action="store_true", help="no iterated estimator")
    parser.add_argument("--splits", action="store_true", help="cross-only estimates alone")
    arguments = parser.parse_args(argv)
    config = get_config(arguments.config)
    if arguments.splits:
        print(splits_line(config, arguments.test))
        return
    if arguments.unmasked:
        config = unmasked(config)
    judged, seconds, share = measure(
        config, arguments.train, arguments.test, not arguments.quadratic
    )
    print(
        f"{config.name}: {arguments.train} skies fitted, {arguments.test} judged, {share:.0%} of "
        f"the map counts\n\n{correlation_table(judged, seconds)}\n"
    )
    print(response_table(judged, arguments.test / arguments.train))


def unmasked(config: LensingConfig) -> LensingConfig:
    """Returns the config of the same skies, seen whole."""
    return dataclasses.replace(
        config, name=f"{config.name}-unmasked", mask=None, taper=0.0, hits=None
    )


def measure(
    config: LensingConfig, train: int, test: int, is_iterated: bool = True
) -> tuple[tuple[Judged, ...], dict[str, float], float]:
    """Fits and judges the estimators of a config.

    Args:
      config: the version.
      train: skies that gains are measured on.
      test: skies that are judged.
      is_iterated: whether the iterated estimator is among them.

    Returns:
      What each is worth, seconds of a core that a map took by its name, and the share of the map
      that counts.
    """
    ensemble = SkyEnsemble.of(config)

    def skies(split: str, number: int) -> Iterator[Mapping[str, NDArray]]:
        for start in range(0, number, BATCH):
            yield simulate(config, split, range(start, min(start + BATCH, number)))

    def held_out() -> Iterator[Mapping[str, NDArray]]:
        return skies("train", train)

    estimators = quadratic_references(ensemble, held_out, "training examples")
    if is_iterated:
        estimators.append(fitted_iterated(ensemble, held_out, "training examples"))
    seconds = dict.fromkeys((estimator.name for estimator in estimators), 0.0)
    timed = [_timed(estimator, seconds) for estimator in estimators]
    evaluation = judge_estimators(
        skies("test", test), timed, ensemble, "test", np.random.default_rng(0)
    )
    return (
        evaluation.judged,
        {name: total / test for name, total in seconds.items()},
        evaluation.share,
    )


def splits_line(config: LensingConfig, number: int) -> str:
    """Returns how cross-only estimates compare with plain ones.

    Args:
      config: a masked version with splits.
      number: test skies.
    """
    ensemble = SkyEnsemble.of(config)
    method = ByFilteredTemplate.of(config, ensemble.theory)
    quadratic = MinimumVariance(method.pairs, method.observation)
    sky, window = config.sky, method.patch.interior.astype(np.float32)
    low, high = RESPONSE_RANGE
    band = sky.mode_counts * ((sky.ell > low) & (sky.ell < high))
    wiener = wiener_filter(ensemble.kappa_power, quadratic.noise).astype(np.float32)
    rows = []
    for index in range(number):
        batch = simulate(config, "test", [index])
        masks = batch[MASK][..., 0] if MASK in batch else None
        splits = method.filter.fields_of_splits(batch[SPLIT_MAPS], masks)
        mean = {n: np.mean([fields[n] for fields in splits], axis=0) for n in splits[0]}
        maps = [
            sky.to_map((wiener * kappa).astype(np.complex64))
            for kappa in (quadratic.kappa(mean), cross_only(quadratic, splits))
        ]
        plain, cross, true = (
            sky.to_modes(found[0] * window) for found in (*maps, batch["kappa"][..., 0])
        )
        products = (
            plain * true.conj(),
            cross * true.conj(),
            np.abs(plain) ** 2,
            np.abs(cross) ** 2,
        )
        rows.append([np.sum(band * product.real) for product in products])
    values = np.array(rows)
    totals = values.sum(axis=0)
    without = totals - values  # leaving out one sky after the other
    error = np.sqrt((number - 1) * np.var(without[:, 1] / without[:, 0]))
    return (
        f"{config.name}, {config.splits} splits, {number} skies, {low} < L < {high:,}: response of "
        f"pairs of different splits over the plain estimate's {totals[1] / totals[0]:.4f} ± "
        f"{error:.4f}, power {totals[3] / totals[2]:.3f}"
    )


def _timed(estimator: Estimator, seconds: dict[str, float]) -> Estimator:
    def predict(batch: Mapping[str, NDArray]) -> NDArray[np.floating]:
        start = time.process_time()
        found = estimator.predict(batch)
        seconds[estimator.name] += time.process_time() - start
        return found

    return dataclasses.replace(estimator, predict=predict)


def correlation_table(judged: Sequence[Judged], seconds: Mapping[str, float]) -> str:
    """Returns ρ pooled below each limit, of the estimates that are Wiener-filtered."""
    edges = [last_edge(judged[0], limit) for limit in LIMITS]
    head = "".join(f"{f'ρ, L < {edge:,.0f}':>14}" for edge in edges)
    lines = [f"{'':22}{head}     all modes        ms a map"]
    for one in judged:
        if not one.estimator.name.endswith("_wiener"):
            continue
        skill = one.skill
        found = "".join(f"{pooled_correlation(one, edge):14.4f}" for edge in edges)
        rho = f"{float(skill.map_correlation.value):.4f} ± {float(skill.map_correlation.error):.4f}"
        # What is filtered by Wiener is the estimate that was made just before.
        took = 1e3 * sum(
            seconds.get(name, 0.0)
            for name in (one.estimator.name, one.estimator.name.removesuffix("_wiener"))
        )
        lines.append(f"{one.estimator.label:22}{found}   {rho:>15}{took:9.0f}")
    return "\n".join(lines)


def last_edge(judged: Judged, limit: float) -> float:
    """Returns the last edge of the judge's bands that is not beyond a multipole by 2 %."""
    edges = judged.skill.bands.edges
    return float(edges[edges <= 1.02 * limit].max())


def pooled_correlation(judged: Judged, edge: float) -> float:
    """Returns ρ of all modes of the bands that end at an edge or below."""
    skill = judged.skill
    counts = np.where(skill.bands.edges[1:] <= edge, skill.bands.num_modes, 0)
    cross, true, estimate = (
        np.sum(counts * cl.value) for cl in (skill.cross_cl, skill.true_cl, skill.estimate_cl)
    )
    return float(cross / np.sqrt(true * estimate))


def response_table(judged: Sequence[Judged], test_per_train: float) -> str:
    """Returns the response of the estimates that are normalised, band by band, with errors."""
    normalised = [one for one in judged if not one.estimator.name.endswith("_wiener")]
    low, high = RESPONSE_RANGE
    lines = [f"{'L':>8}" + "".join(f"{one.estimator.label:>20}" for one in normalised)]
    for band, ell in enumerate(normalised[0].skill.bands.ell):
        if low < ell < high:
            cells = (
                f"{one.skill.transfer_ell.value[band]:.4f} ± "
                f"{one.skill.transfer_ell.error[band] * np.sqrt(1 + test_per_train):.4f}"
                for one in normalised
            )
            lines.append(f"{ell:8.0f}" + "".join(f"{cell:>20}" for cell in cells))
    worst = []
    for one in normalised:
        ell = one.skill.bands.ell
        here = (ell > low) & (ell < high)
        off = np.abs(one.skill.transfer_ell.value[here] - 1)
        error = one.skill.transfer_ell.error[here] * np.sqrt(1 + test_per_train)
        weight = error**-2
        mean = np.sum(one.skill.transfer_ell.value[here] * weight) / weight.sum()
        worst.append(
            f"{one.estimator.label}: response {mean:.4f} ± {weight.sum() ** -0.5:.4f} at "
            f"{low} < L < {high:,}, furthest band {off.max():.4f} from 1, "
            f"{np.max(off / error):.1f} σ"
        )
    return "\n".join([*lines, *worst])


if __name__ == "__main__":
    main()
