"""The trainer's steps beside the bare forward, backward and update on a batch that stays.

    python -m benchmarks.training_step v2 v11

The trainer's are those of a run: batches read, shuffled, augmented and handed over while the last
one is computed, the metric, and what is called after each step. Both train the same U-Net with the
version's recipe, in turns in one process, on all cores; the ratio is that of the rates, with the
lowest and highest of the rounds. An epoch's end, with its validation and checkpoints, is no step.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds import VERSIONS
from trainer.settings.config import resolve

MODEL = "unet"
ROUNDS = 5
SECONDS = 10.0  # of each in a round
WARM_UP = 2  # steps: buffers are full then
FEWEST = 4  # steps that are timed


class Turn:
    """Counts the steps of a turn after its warm-up."""

    def __init__(self) -> None:
        self.steps = -WARM_UP
        self.rate = 0.0
        self._begun = time.perf_counter()

    def is_over(self) -> bool:
        """Counts a step; whether it is the last one."""
        self.steps += 1
        if self.steps <= 0:
            self._begun = time.perf_counter()
            return False
        seconds = time.perf_counter() - self._begun
        self.rate = self.steps / seconds
        return seconds >= SECONDS and self.steps >= FEWEST


def rates(version: str, data_dir: str, rounds: int = ROUNDS) -> NDArray[np.float64]:
    """Returns steps per second, (rounds, 2): the trainer's, and the bare ones."""
    from lensing_tfds.records.datasets import open_dataset
    from trainer.data import stream
    from trainer.data.measured import measured_statistics
    from trainer.data.stored import StoredExamples
    from trainer.loop.compiling import compile_network
    from trainer.networks import families

    lensing = VERSIONS[version]
    config = resolve(f"lensing/{version}", data_dir, lensing, model=MODEL)
    stored = open_dataset(lensing, data_dir)
    source = StoredExamples(stored)
    model = families.build(MODEL, source.task, measured_statistics(source), 0)
    endless = range(10**6)
    compile_network(model, config, len(endless))
    ((x, y),) = stream.training_batches(source, config, range(1))
    bare = bare_step(model, x, y)

    def trained() -> float:
        return fitted(model, stream.training_batches(source, config, endless))

    def repeated() -> float:
        turn = Turn()
        bare()
        while not turn.is_over():
            bare()
        return turn.rate

    return np.array([[trained(), repeated()] for _ in range(rounds)])


def fitted(model: Any, batches: Any) -> float:
    """Fits with what a run calls after each step; returns steps per second."""
    import keras

    from trainer.data.batches import for_keras
    from trainer.loop.callbacks import Progress, StopOnDivergence
    from trainer.loop.interruption import ending_between_steps
    from trainer.runs.averages import ValidateAverages
    from trainer.runs.plan import Plan

    class Clock(keras.callbacks.Callback):
        """Ends the epoch when the turn is over, as one that was validated."""

        def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
            self.turn = Turn()

        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            self.model.stop_training = self.turn.is_over()

        def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
            logs |= {"seconds": 1.0, "examples_per_second": 1.0}
            logs |= {"val_loss": 1.0, "val_map_correlation": 0.0}

    clock, plan = Clock(), Plan(1, len(batches))
    with tempfile.TemporaryDirectory() as folder, ending_between_steps() as ending:
        called = [
            clock,
            ValidateAverages(),
            StopOnDivergence(),
            keras.callbacks.TensorBoard(Path(folder), write_graph=False),
            Progress(plan, 1.0, lambda line: None, live=False),
            ending,
        ]
        with for_keras(batches) as (pairs,):
            model.fit(pairs, shuffle=False, verbose=0, callbacks=called)
    return clock.turn.rate


def bare_step(model: Any, x: Any, y: Any) -> Callable[[], float]:
    """Makes a function that does one step on a batch and nothing else; it gives the loss."""
    import tensorflow as tf

    loss, optimizer, weights = model.loss, model.optimizer, model.trainable_variables

    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        optimizer.apply(tape.gradient(value, [w.value for w in weights]), weights)
        return value

    return lambda: float(step())


def main(versions: Sequence[str], data_dir: str) -> None:
    """Prints a row a version."""
    print("| | batch | the trainer's steps/s | bare steps/s | ratio |")
    print("| --- |" + " ---: |" * 4)
    for version in versions:
        table = rates(version, data_dir)
        ratios = table[:, 0] / table[:, 1]
        ours, bare = np.median(table, axis=0)
        batch = resolve(f"lensing/{version}", data_dir, VERSIONS[version], model=MODEL).batch_size
        print(
            f"| {version} | {batch} | {ours:.3g} | {bare:.3g} | "
            f"{np.median(ratios):.3f} ({ratios.min():.3f}–{ratios.max():.3f}) |",
            flush=True,
        )


if __name__ == "__main__":
    from lensing_tfds.records.datasets import absolute_data_dir

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*", default=["v2", "v11"])
    parser.add_argument("--data_dir", help="holds the datasets, or is where they are built")
    arguments = parser.parse_args()
    main(arguments.versions, absolute_data_dir(arguments.data_dir))
