"""The trainer's steps beside the bare forward, backward and update on a batch that stays.

    python -m benchmarks.training_step v2 v11

The trainer's are those of a run: batches read, shuffled, augmented and handed over while the last
one is computed, the metric, and what is called after each step. Both train the same U-Net with the
version's recipe, in turns in one process, on all cores; the ratio is that of the rates, with the
lowest and highest of the rounds. An epoch's end, with its validation and checkpoints, is no step.
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bare_step import bare_step
from lensing_tfds import VERSIONS
from trainer.data.source import Source
from trainer.settings.config import TrainerConfig, resolve

Clock = Callable[[], float]

MODEL = "unet"
ROUNDS = 5
SECONDS = 10.0  # of each in a round
WARM_UP = 2  # steps: buffers are full then
FEWEST = 4  # steps that are timed


class Turn:
    """Counts the steps of a turn after its warm-up.

    Args:
      clock: returns seconds.
    """

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.steps = -WARM_UP
        self.rate = 0.0
        self._clock = clock
        self._begun = clock()

    def is_over(self) -> bool:
        """Counts a step; whether it is the last one."""
        self.steps += 1
        if self.steps <= 0:
            self._begun = self._clock()
            return False
        seconds = self._clock() - self._begun
        self.rate = self.steps / seconds
        return seconds >= SECONDS and self.steps >= FEWEST


def rates(version: str, data_dir: str, rounds: int = ROUNDS) -> NDArray[np.float64]:
    """Returns steps per second, (rounds, 2): the trainer's, and the bare ones."""
    from lensing_tfds.records.datasets import open_dataset
    from trainer.data.measured import measured_statistics
    from trainer.data.stored import StoredExamples
    from trainer.networks import families

    lensing = VERSIONS[version]
    config = resolve(f"lensing/{version}", data_dir, lensing, model=MODEL)
    source = StoredExamples(open_dataset(lensing, data_dir))
    model = families.build(MODEL, source.task, measured_statistics(source), 0)
    return interleaved(model, source, config, rounds)


def interleaved(
    model: Any,
    source: Source,
    config: TrainerConfig,
    rounds: int,
    clock: Clock = time.perf_counter,
) -> NDArray[np.float64]:
    """Returns steps per second, (rounds, 2): the trainer's, and bare ones, of one network.

    Args:
      model: not compiled.
      source: of its examples.
      config: how it is trained.
      rounds: of both.
      clock: returns seconds.
    """
    from trainer.data import stream
    from trainer.loop.compiling import compile_network

    endless = range(10**6)
    compile_network(model, config, len(endless))
    ((x, y),) = stream.training_batches(source, config, range(1))
    bare = bare_step(model, x, y)

    def trained() -> float:
        return fitted(model, stream.training_batches(source, config, endless), clock)

    def repeated() -> float:
        turn = Turn(clock)
        bare()
        while not turn.is_over():
            bare()
        return turn.rate

    return np.array([[trained(), repeated()] for _ in range(rounds)])


def fitted(model: Any, batches: Any, seconds: Clock = time.perf_counter) -> float:
    """Fits with what a run calls after each step; returns steps per second of a clock."""
    import keras

    from trainer.data.batches import for_keras
    from trainer.loop.callbacks import Progress, StopOnDivergence
    from trainer.loop.interruption import ending_between_steps
    from trainer.runs.averages import ValidateAverages
    from trainer.runs.plan import Plan

    class Times(keras.callbacks.Callback):
        """Ends the epoch when the turn is over, as one that was validated."""

        def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
            self.turn = Turn(seconds)

        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            self.model.stop_training = self.turn.is_over()

        def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
            logs |= {"seconds": 1.0, "examples_per_second": 1.0}
            logs |= {"val_loss": 1.0, "val_map_correlation": 0.0}

    times, plan = Times(), Plan(1, len(batches))
    with tempfile.TemporaryDirectory() as folder, ending_between_steps() as ending:
        called = [
            times,
            ValidateAverages(),
            StopOnDivergence(),
            *_losses(Path(folder)),
            Progress(plan, 1.0, lambda line: None, live=False),
            ending,
        ]
        with for_keras(batches) as (pairs,):
            model.fit(pairs, shuffle=False, verbose=0, callbacks=called)
    return times.turn.rate


def _losses(folder: Path) -> list[Any]:
    """Returns what writes them for TensorBoard in a run, where that can be."""
    import keras

    if importlib.util.find_spec("tensorflow") is None:
        return []
    return [keras.callbacks.TensorBoard(folder, write_graph=False)]


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
