"""Costs of continuing periodic maps in a training step of the U-Net, by three ways of doing it.

    python -m benchmarks.periodic_padding v11 v12 v7

"zeros" does not continue them, and computes what it costs none; "twice" continues them before each
convolution, and "slices" has the backend derive the gradient besides, as a release before did. All
are seconds of a step, on a CPU those of a core, in turns; the ratios are to the step that is in
use, and the difference is that of its output from the output of "twice", over the rms.
"""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.bare_step import bare_step
from benchmarks.network_work import clock_of_the_device
from lensing_tfds import VERSIONS
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.task import Task
from trainer.networks import padding, unet

MODEL, BATCH, ROUNDS = unet.DEFAULT, 8, 7
WAYS = ("in use", "twice", "slices", "zeros")


def network(version: str, way: str) -> Any:
    """Builds a U-Net that continues its maps by a way, or not at all; its weights are drawn."""
    import keras

    lensing = VERSIONS[version]
    if way == "zeros":
        lensing = dataclasses.replace(lensing, taper=np.degrees(lensing.side) / 10)
    task = Task(lensing, DATASET_VERSION)
    maps = keras.Input((task.npix, task.npix, 4))
    once = unet.ONCE_FROM if way == "in use" else task.npix + 1
    with mock.patch.object(unet, "ONCE_FROM", once):
        model = keras.Model(maps, MODEL.of_maps(maps, task, 0))
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) / 15 for w in model.get_weights()])
    model.compile(keras.optimizers.AdamW(), "mse", jit_compile=keras.backend.backend() == "jax")
    model.loss = keras.losses.MeanSquaredError()
    return model


def compare(version: str, clock: Callable[[], float]) -> None:
    """Prints a row."""
    rng, npix = np.random.default_rng(1), VERSIONS[version].npix
    x, y = (rng.normal(size=(BATCH, npix, npix, n)).astype(np.float32) for n in (4, 1))
    models = {way: network(version, way) for way in WAYS}
    once, twice = (np.asarray(models[way].predict_on_batch(x)) for way in WAYS[:2])
    difference = np.abs(once - twice).max() / twice.std()
    steps = []
    for way, model in models.items():
        steps.append(bare_step(model, x, y))
        continuing = padding.continued if way == "slices" else padding.wrapped
        with mock.patch.object(padding, "wrapped", continuing):
            steps[-1]()  # is traced
    table = np.array([[_seconds(step, clock) for step in steps] for _ in range(ROUNDS)])
    shares = " | ".join(_ratio(table[:, i] / table[:, 0]) for i in range(1, len(WAYS)))
    print(
        f"| {version} | {np.median(table[:, 0]) / BATCH:.3f} | {shares} | {difference:.0e} |",
        flush=True,
    )


def _seconds(step: Callable[[], float], clock: Callable[[], float]) -> float:
    begun = clock()
    step()
    return clock() - begun


def _ratio(rounds: Any) -> str:
    return f"{np.median(rounds):.2f} ({rounds.min():.2f}–{rounds.max():.2f})"


def main(versions: Sequence[str]) -> None:
    """Prints a table."""
    clock = clock_of_the_device()
    print(f"| | s an example | {' | '.join(WAYS[1:])} | difference |")
    print("| --- |" + " ---: |" * (len(WAYS) + 1))
    for version in versions:
        compare(version, clock)


if __name__ == "__main__":
    main(sys.argv[1:] or ("v11", "v12", "v7"))
