"""Correlation with κ of the maximum a posteriori, beside quadratic, iterated and forecast.

    python -m benchmarks.maximum_a_posteriori v11 v12 --examples 64 --workers 16 \
        --output estimators/posterior/measured.json

Skies are simulated: the iterated estimator's gains are fitted on training examples, and all are
judged on the same test examples, with bootstrap errors over them. A line is printed for each
example as it comes. The file, which reports read, is written every eight examples, and keeps what
it held of other versions. Needs numba, SciPy and ducc0.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.iterated.fitting import fit
from estimators.iterated.forecast import forecasts
from estimators.posterior.maximum_a_posteriori import Ascent, MaximumAPosteriori
from estimators.quadratic import wiener
from estimators.quadratic.fields import fields_of
from estimators.resampling import ExampleMeans, Resampled
from lensing_tfds import VERSIONS, simulate
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power, spectra_of
from lensing_tfds.sky.binning import Bins

EDGES = (0, 100, 200, 400, 700, 1000, 1500, 2000, 2750, 3500)
NAMES = ("quadratic", "iterated", "maximum a posteriori")
BATCH = 16
EVERY = 8  # examples, the file is written
RANGES = {f"L < {top}": top for top in (1000, 2000, 3000)}

Modes = NDArray[np.complexfloating]


def main() -> None:
    """Measures versions one after the other, prints tables, and writes the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.maximum_a_posteriori")
    parser.add_argument("versions", nargs="*", default=["v11"])
    parser.add_argument("--examples", type=int, default=16, help="of the test split, the first")
    parser.add_argument("--fitted", type=int, default=128, help="training examples for gains")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--output", type=pathlib.Path, help="a JSON file")
    arguments = parser.parse_args()
    for version in arguments.versions:
        config = VERSIONS[version]
        for found in measure(config, arguments.examples, arguments.fitted, arguments.workers):
            if arguments.output:
                path = arguments.output
                kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
                path.write_text(json.dumps(kept | {version: found}, indent=1) + "\n", "utf-8")


def measure(
    config: LensingConfig, examples: int, fitted: int, workers: int
) -> Iterator[dict[str, Any]]:
    """Measures a version; yields what the file holds of it, every few examples."""
    bins = Bins.between(EDGES, config.sky)
    began = time.monotonic()
    kappa, others = _quadratic_and_iterated(config, examples, fitted)
    print(f"{config.name}: gains fitted after {time.monotonic() - began:.0f} s", flush=True)
    forecast = _forecast(config, bins)
    means, ascents = ExampleMeans(), []
    for index, ascent in enumerate(_ascents(config, examples, workers)):
        ascents.append(ascent)
        estimates = [*(other[index] for other in others), ascent.kappa]
        row = _moments(kappa[index], estimates, bins)
        means.add(row.reshape(1, -1))
        rho = " ".join(f"{value:.4f}" for value in _correlations(row)["all"])
        print(
            f"{config.name} {index}: {len(ascent.log_posterior) - 1} steps, "
            f"{ascent.filter_steps} filter steps; rho {rho}  ({time.monotonic() - began:.0f} s)",
            flush=True,
        )
        if len(means) == examples or (len(means) % EVERY == 0 and len(means) > 1):
            statistics = means.statistics(
                lambda rows: _correlations(rows.reshape(*rows.shape[:-1], 3, 3, -1)),
                np.random.default_rng(0),
            )
            yield _record(ascents, fitted, statistics, forecast)
    _print(config.name, examples, statistics, forecast)


def _record(
    ascents: Sequence[Ascent],
    fitted: int,
    statistics: Mapping[str, Resampled],
    forecast: Mapping[str, Any],
) -> dict[str, Any]:
    def both(key: str, place: Any = ...) -> dict[str, Any]:
        value, error = statistics[key].measured
        return {"value": value[place].tolist(), "error": error[place].tolist()}

    keys = [key for key in statistics if key != "gain"]
    return {
        "examples": len(ascents),
        "fitted": fitted,
        "edges": list(EDGES),
        "steps": float(np.mean([len(a.log_posterior) - 1 for a in ascents])),
        "converged": sum(a.converged for a in ascents),
        "scores": {name: {key: both(key, i) for key in keys} for i, name in enumerate(NAMES)},
        "gain over iterated": both("gain"),
        "forecast": {name: np.asarray(value).tolist() for name, value in forecast.items()},
    }


def _quadratic_and_iterated(
    config: LensingConfig, examples: int, fitted: int
) -> tuple[Modes, list[Modes]]:
    """True κ, and the two estimates of it, half planes (examples, npix, npix // 2 + 1)."""
    sky, table = config.sky, spectra_of(config)

    def training() -> Iterator[Mapping[str, NDArray]]:
        for start in range(0, fitted, BATCH):
            yield simulate(config, "train", range(start, min(start + BATCH, fitted)))

    estimator = fit(config, table, training)
    truths, firsts, lasts = [], [], []
    for start in range(0, examples, BATCH):
        batch = simulate(config, "test", range(start, min(start + BATCH, examples)))
        truths.append(sky.to_modes(np.ascontiguousarray(batch["kappa"][..., 0])))
        for stages in estimator.by_stage(fields_of(batch["lensed"], config.channels, sky)):
            firsts.append(stages[0])
            lasts.append(stages[-1])
    return np.concatenate(truths), [np.concatenate(firsts), np.concatenate(lasts)]


@functools.cache
def _estimator(config: LensingConfig) -> MaximumAPosteriori:
    return MaximumAPosteriori(config, spectra_of(config))


def _ascent(config: LensingConfig, index: int) -> Ascent:
    return _estimator(config).ascend(simulate(config, "test", [index])["lensed"][0])


def _ascents(config: LensingConfig, examples: int, workers: int) -> Iterator[Ascent]:
    """The estimates of the first test examples, in order, as they come."""
    ascend = functools.partial(_ascent, config)
    if workers == 1:
        yield from map(ascend, range(examples))
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(ascend, range(examples))


def _moments(kappa: Modes, estimates: Sequence[Modes], bins: Bins) -> NDArray[np.float64]:
    """Spectra <κκ>, <κκ̂>, <κ̂κ̂> in bands, over L ranges, and over all modes.

    Returns:
      (estimates, 3, bands + ranges + 1).
    """
    sky = bins.sky
    weights = [sky.mode_counts * ((sky.ell < top) & (sky.ell > 0)) for top in RANGES.values()]
    weights.append(sky.mode_counts)
    rows = []
    for estimate in estimates:
        products = [(a * b.conj()).real for a, b in ((kappa, kappa), (kappa, estimate))]
        products.append(np.abs(estimate) ** 2)
        rows.append(
            [[*bins.mean(p), *(float(np.sum(p * weight)) for weight in weights)] for p in products]
        )
    return np.array(rows)


def _correlations(moments: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """ρ of means of `_moments`, (..., estimates, 3, columns)."""
    true, cross, auto = np.moveaxis(moments, -2, 0)
    norm = np.sqrt(true * auto)
    rho = np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
    bands = len(EDGES) - 1
    transfer = np.divide(cross, true, out=np.zeros_like(cross), where=true > 0)
    return {
        "bands": rho[..., :bands],
        "transfer": transfer[..., :bands],
        **{name: rho[..., bands + i] for i, name in enumerate(RANGES)},
        "all": rho[..., -1],
        "gain": rho[..., 2, :] - rho[..., 1, :],  # of the same examples: its error is smaller
    }


def _forecast(config: LensingConfig, bins: Bins) -> dict[str, Any]:
    sky, found = config.sky, forecasts(config, spectra_of(config))[-1]
    kappa = kappa_power(config, spectra_of(config), sky.ell)
    shared = kappa * wiener.wiener_filter(kappa, found.noise)
    rho = {"bands": np.sqrt(bins.mean(shared) / bins.mean(kappa)), "all": found.map_correlation}
    for name, top in RANGES.items():
        weight = sky.mode_counts * ((sky.ell < top) & (sky.ell > 0))
        rho[name] = float(np.sqrt(np.sum(weight * shared) / np.sum(weight * kappa)))
    return rho


def _print(
    version: str,
    examples: int,
    statistics: Mapping[str, Resampled],
    forecast: Mapping[str, Any],
) -> None:
    print(f"\n{version}, {examples} examples: rho over all modes, then in bands {EDGES}")
    width = max(map(len, NAMES))
    for i, name in enumerate(NAMES):
        line = " ".join(f"{value:6.4f}" for value in statistics["bands"].value[i])
        score = statistics["all"].measured
        print(f"{name:{width}} {score.value[i]:.4f} ± {score.error[i]:.4f}  {line}")
    errors = " ".join(f"{error:6.4f}" for error in statistics["bands"].measured.error[2])
    print(f"{'±':>{width}} {'':15}  {errors}")
    line = " ".join(f"{value:6.4f}" for value in forecast["bands"])
    print(f"{'forecast':{width}} {forecast['all']:.4f} {'':8}  {line}")
    for name in RANGES:
        score = statistics[name].measured
        values = ", ".join(
            f"{n} {v:.4f} ± {e:.4f}"
            for n, v, e in zip(NAMES, score.value, score.error, strict=True)
        )
        print(f"{name}: {values}, forecast {forecast[name]:.4f}")
    gain = statistics["gain"].measured
    print("maximum a posteriori less iterated, bands, ranges, all:")
    print(" ".join(f"{v:.4f}±{e:.4f}" for v, e in zip(gain.value, gain.error, strict=True)))


if __name__ == "__main__":
    main()
