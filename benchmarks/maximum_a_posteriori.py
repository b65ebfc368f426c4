"""Correlation with κ of the maximum a posteriori, beside quadratic, iterated and forecast.

    python -m benchmarks.maximum_a_posteriori v11 v12 --examples 64 --workers 16 \
        --output estimators/posterior/measured.json
    python -m benchmarks.maximum_a_posteriori v14 --examples 32

Skies are simulated: the iterated estimator's gains are fitted on training examples, and all are
judged on the same test examples, with bootstrap errors over them. A line is printed for each
example as it comes. The file, which reports read, is written every eight examples, and keeps what
it held of other versions. Inside a mask estimates are judged in the judge's window, and the mean
field of the posterior is measured on training examples first. Needs numba, SciPy and ducc0.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import multiprocessing
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from estimators.filtering.masked_patch import MaskedPatch, interior_of, is_filtered, is_masked
from estimators.iterated.filtered_template import ByFilteredTemplate
from estimators.iterated.fitting import fit
from estimators.iterated.forecast import forecasts_of
from estimators.posterior.maximum_a_posteriori import Ascent, MaximumAPosteriori
from estimators.posterior.mean_field import FEWEST, MeanField, likelihood_gradient
from estimators.posterior.sky_model import SkyModel
from estimators.quadratic import wiener
from estimators.quadratic.fields import fields_of
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import pairs_of
from estimators.resampling import ExampleMeans, Resampled
from lensing_tfds import VERSIONS, realism, simulate
from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power, spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.versions import get_config

EDGES = (0, 100, 200, 400, 700, 1000, 1500, 2000, 2750, 3500)
NAMES = ("quadratic", "iterated", "maximum a posteriori")
BATCH = 16
EVERY = 8  # examples, the file is written
RANGES = {f"L < {top}": top for top in (1000, 2000, 3000)}

Modes = NDArray[np.complexfloating]


def main(argv: Sequence[str] | None = None) -> None:
    """Measures versions one after the other, prints tables, and writes the file."""
    parser = CommandParser(
        "benchmarks.maximum_a_posteriori",
        "Correlation with κ of the maximum a posteriori, beside quadratic, iterated and forecast.",
    )
    parser.add_argument("versions", nargs="*", default=["v11"], help="or configs as JSON")
    parser.add_argument("--examples", type=int, default=16, help="of the test split, the first")
    parser.add_argument("--fitted", type=int, default=128, help="training examples for gains")
    parser.add_argument(
        "--mean_field", type=int, default=64, help="training examples for that of a mask"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--output", type=pathlib.Path, help="a JSON file, of versions alone")
    arguments = parser.parse_args(argv)
    with command(arguments.verbose):
        configs = [get_config(version) for version in arguments.versions]
        for config in configs:  # before the first has taken its time
            _check(config, arguments)
        for config in configs:
            found = measure(
                config,
                arguments.examples,
                arguments.fitted,
                arguments.workers,
                arguments.mean_field,
            )
            for record in found:
                if path := arguments.output:
                    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
                    text = json.dumps(kept | {config.name: record}, indent=1) + "\n"
                    path.write_text(text, "utf-8")


def _check(config: LensingConfig, arguments: argparse.Namespace) -> None:
    """Refuses what cannot be measured.

    Raises:
      LensingError: so it is.
    """
    SkyModel(config, spectra_of(config))
    if realism.is_aliased(config):
        pixel = config.pixel_arcmin / config.oversampling
        raise LensingError(
            f"{config.name!r} is lensed on pixels of {pixel:.3g}', too coarse for a posterior, "
            f"which knows of no waves that these alias: give {_oversampling_of(config)}smaller "
            f"pixels, by npix or lx (lensed on {realism.FINE_ARCMIN:g}' at most)"
        )
    if is_masked(config) and not is_filtered(config):
        raise LensingError(
            f"{config.name!r} has a mask, and skies that no filter of masked maps is there for "
            f"({realism.why_not_camb(config)}): nothing to compare the maximum a posteriori with"
        )
    if arguments.output and config.name not in VERSIONS:
        raise LensingError(f"--output holds versions alone, and {config.name!r} is none")
    if arguments.output and not arguments.output.parent.is_dir():
        raise LensingError(f"--output {arguments.output}: there is no such folder; make it first")
    least_of = {"examples": 2, "fitted": 1, "mean_field": FEWEST, "workers": 1}
    for flag, least in least_of.items():
        if getattr(arguments, flag) < least:
            raise LensingError(f"--{flag} is {getattr(arguments, flag)}: must be at least {least}")


def _oversampling_of(config: LensingConfig) -> str:
    """Names the oversampling that is enough for a config's pixels; empty if none may be."""
    enough = max(2, math.ceil(config.pixel_arcmin / realism.FINE_ARCMIN))
    try:
        dataclasses.replace(config, oversampling=enough)
    except LensingError:
        return ""
    return f"oversampling {enough}, or "


def measure(
    config: LensingConfig, examples: int, fitted: int, workers: int, mean_field: int = 64
) -> Iterator[dict[str, Any]]:
    """Measures a version; yields what the file holds of it, every few examples."""
    bins = Bins.between(EDGES, config.sky)
    window = interior_of(config)
    began = time.monotonic()
    kappa, others = _quadratic_and_iterated(config, examples, fitted)
    print(f"{config.name}: gains fitted after {time.monotonic() - began:.0f} s", flush=True)
    forecast = _forecast(config, bins)
    field, skies = None, 0
    if realism.has_mean_field(config):
        field, skies = _mean_field(config, mean_field, workers), mean_field
        took = time.monotonic() - began
        print(f"{config.name}: mean field of {skies} skies after {took:.0f} s", flush=True)
    means, ascents, seconds = ExampleMeans(), [], []
    for index, (ascent, took) in enumerate(_ascents(config, field, examples, workers)):
        ascents.append(ascent)
        seconds.append(took)
        estimates = [*(other[index] for other in others), ascent.kappa]
        true, *estimates = (_inside(m, window, config.sky) for m in (kappa[index], *estimates))
        row = _moments(true, estimates, bins)
        means.add(row.reshape(1, -1))
        rho = " ".join(f"{value:.4f}" for value in _correlations(row)["all"])
        print(
            f"{config.name} {index}: {len(ascent.log_posterior) - 1} steps, "
            f"{ascent.filter_steps} filter steps, {took:.0f} s of a core; rho {rho}  "
            f"({time.monotonic() - began:.0f} s)",
            flush=True,
        )
        if len(means) == examples or (len(means) % EVERY == 0 and len(means) > 1):
            statistics = means.statistics(
                lambda rows: _correlations(rows.reshape(*rows.shape[:-1], 3, 3, -1)),
                np.random.default_rng(0),
            )
            record = _record(ascents, fitted, statistics, forecast)
            yield record | ({"mean field": skies} if skies else {})
    _print(config.name, examples, statistics, forecast)
    print(f"seconds of a core a map: {np.mean(seconds):.1f}")


def _inside(modes: Modes, window: NDArray[np.float64] | None, sky: FlatSky) -> Modes:
    """Modes of a map times the judge's window."""
    if window is None:
        return modes
    return sky.to_modes(sky.to_map(np.ascontiguousarray(modes, np.complex128)) * window)


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

    method = ByFilteredTemplate.of(config, table) if is_filtered(config) else None
    estimator = fit(config, table, training, method=method)
    truths, firsts, lasts = [], [], []
    for start in range(0, examples, BATCH):
        batch = simulate(config, "test", range(start, min(start + BATCH, examples)))
        truths.append(sky.to_modes(np.ascontiguousarray(batch["kappa"][..., 0])))
        fields = (
            fields_of(batch["lensed"], config.channels, sky)
            if method is None
            else method.fields(batch)
        )
        for stages in estimator.by_stage(fields):
            firsts.append(stages[0])
            lasts.append(stages[-1])
    return np.concatenate(truths), [np.concatenate(firsts), np.concatenate(lasts)]


class _Made(NamedTuple):
    """Objects that a process keeps from one example to the next."""

    config: LensingConfig
    model: SkyModel
    estimator: MaximumAPosteriori | None = None


_MADE: list[_Made] = []
"""Those of this process, of the last version."""


def _start_gradients(config: LensingConfig) -> None:
    _MADE[:] = [_Made(config, SkyModel(config, spectra_of(config)))]


def _start_ascents(config: LensingConfig, mean_field: MeanField | None) -> None:
    table = spectra_of(config)
    model = SkyModel(config, table)
    estimator = MaximumAPosteriori(config, table, model=model, mean_field=mean_field)
    _MADE[:] = [_Made(config, model, estimator)]


def _gradient(index: int) -> Modes:
    made = _MADE[0]
    return likelihood_gradient(made.model, made.config, index)


def _ascent(index: int) -> tuple[Ascent, float]:
    """An ascent, and seconds of a core that it took."""
    config, _, estimator = _MADE[0]
    assert estimator is not None
    example = simulate(config, "test", [index])
    mask = example[MASK][0, ..., 0] if MASK in example else None
    start = time.process_time()
    ascent = estimator.ascend(example["lensed"][0], mask=mask)
    return ascent, time.process_time() - start


def _mean_field(config: LensingConfig, skies: int, workers: int) -> MeanField:
    gradients = _each(_gradient, skies, workers, _start_gradients, config)
    return MeanField.of_gradients(gradients, SkyModel(config, spectra_of(config)))


def _ascents(
    config: LensingConfig, mean_field: MeanField | None, examples: int, workers: int
) -> Iterator[tuple[Ascent, float]]:
    """The estimates of the first test examples, in order, as they come."""
    return _each(_ascent, examples, workers, _start_ascents, config, mean_field)


def _each(
    work: Callable[[int], Any], number: int, workers: int, start: Callable[..., None], *given: Any
) -> Iterator[Any]:
    """The results of work on the first examples, by processes that start with what is given."""
    if workers == 1:
        start(*given)
        yield from map(work, range(number))
        return
    with multiprocessing.get_context("spawn").Pool(workers, start, given) as pool:
        yield from pool.imap(work, range(number))


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
    sky, table = config.sky, spectra_of(config)
    kappa = kappa_power(config, table, sky.ell)
    observation = Observation.of(config, table)
    if is_filtered(config):
        observation = MaskedPatch.of(config).observation(observation)
    found = forecasts_of(observation, pairs_of(config), kappa)[-1]
    shared = kappa * wiener.wiener_filter(kappa, found.noise)
    true = bins.mean(kappa)
    share = np.divide(bins.mean(shared), true, out=np.zeros_like(true), where=true > 0)
    rho = {"bands": np.sqrt(share), "all": found.map_correlation}
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
