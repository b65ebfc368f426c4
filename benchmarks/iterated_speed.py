"""Time of the iterated estimator beside the quadratic one's, and the time and memory of its fit.

    python -m benchmarks.iterated_speed v12 v11 v10

All on one core, in processor seconds. The same maps are estimated in turns by the combination of
all pairs, by every pair for itself, as if they had no maps in common, and in all stages, the first
of which is that combination: a stage's time is all stages' over their number. Memory is the largest
that NumPy's arrays take in a fit to some skies and to twice as many, of which few are to be kept.
A step of the maximum a posteriori is one value and gradient of the posterior of one example.
"""

import os
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.pixell_lensing import rate
from estimators.iterated.fitting import fit
from estimators.iterated.iterated_estimator import StagedEstimator
from estimators.posterior.maximum_a_posteriori import MaximumAPosteriori
from estimators.quadratic.fields import fields_of
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import pairs_of
from lensing_tfds import VERSIONS, LensingConfig, simulate
from lensing_tfds.cosmology import spectra_of

ROUNDS = 5
MAPS = 20
SKIES = 64  # of the fit
STAGES = 5
SMALL = 2**24  # bytes for skies that are kept, where memory is measured


class Skies:
    """Training examples, simulated once and streamed in batches, several times over if need be."""

    def __init__(self, config: LensingConfig, skies: int = SKIES, times: int = 1):
        self._maps = simulate(config, "train", range(skies))
        self._times = times

    def __call__(self) -> Iterator[Mapping[str, NDArray]]:
        for _ in range(self._times):
            for start in range(0, len(self._maps["index"]), 16):
                yield {name: maps[start : start + 16] for name, maps in self._maps.items()}


def fitted(config: LensingConfig, skies: Skies, stages: int = STAGES) -> StagedEstimator:
    """Fits that many stages, whatever they are worth."""
    return fit(config, spectra_of(config), skies, most_stages=stages, least_gain=-1.0)


def rates(config: LensingConfig, iterated: StagedEstimator, rounds: int) -> NDArray[np.float64]:
    """Returns maps per second: (rounds, 3) of the combination, of pairs alone, of all stages."""
    observation = Observation.of(config, spectra_of(config))
    combination = MinimumVariance(pairs_of(config), observation)
    fields = fields_of(simulate(config, "test", range(MAPS))["lensed"], config.channels, config.sky)
    codes: list[Callable[[], object]] = [
        lambda: combination.kappa(fields),
        lambda: [one.kappa(fields) for one in combination.estimators],
        lambda: iterated.kappa(fields, threads=1),
    ]
    return np.array([[rate(code, MAPS) for code in codes] for _ in range(rounds)])


def fit_memory(config: LensingConfig, times: int) -> float:
    """Returns the peak of a fit of two stages to `times` as many skies, MiB."""
    skies = Skies(config, times=times)
    tracemalloc.start()
    fit(config, spectra_of(config), skies, most_stages=2, least_gain=-1.0, memory=SMALL)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return peak


def posterior_step(config: LensingConfig, steps: int = 3) -> float:
    """Returns the seconds of a step towards the maximum a posteriori, from the first ones."""
    posterior = MaximumAPosteriori(config, spectra_of(config), most_steps=steps)
    maps = simulate(config, "test", range(1))["lensed"][0]
    times: list[float] = []  # the first step also loads, or compiles, what it is made with
    posterior.ascend(maps, lambda point: times.append(time.process_time()))
    return (times[-1] - times[0]) / (len(times) - 1)


def compare(version: str) -> None:
    """Prints a row."""
    config = VERSIONS[version]
    skies = Skies(config)
    began = time.process_time()
    estimator = fitted(config, skies)
    fit_seconds = time.process_time() - began
    quadratic, alone, iterated = rates(config, estimator, ROUNDS).T
    step = posterior_step(config)
    cells = [
        f"{1000 / np.median(quadratic):.1f}",
        _ratio(quadratic / alone),
        f"{1000 / np.median(iterated):.1f}",
        _ratio(quadratic / iterated / STAGES),
        f"{step:.2f}",
        f"{step * np.median(iterated) * STAGES:.0f}",
        f"{fit_seconds:.1f}",
        *(f"{fit_memory(config, times):.0f}" for times in (1, 2)),
    ]
    print("| " + " | ".join([version, *cells]) + " |", flush=True)


def _ratio(ratios: NDArray[np.float64]) -> str:
    return f"{np.median(ratios):.2f} ({ratios.min():.2f}–{ratios.max():.2f})"


def main(versions: Sequence[str] = ("v12", "v11", "v10")) -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(
        f"| | quadratic, s per 1,000 | pairs alone, ratio | {STAGES} stages, s per 1,000 | "
        "a stage, ratio | posterior, s a step | a step to a stage, ratio | "
        f"fit to {SKIES} skies, s | MiB | to {2 * SKIES}, MiB |"
    )
    print("| --- |" + " ---: |" * 9)
    for version in versions:
        compare(version)


if __name__ == "__main__":
    main(sys.argv[1:] or ("v12", "v11", "v10"))
