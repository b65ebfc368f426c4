"""One cell of the evidence, trained and judged: what `benchmarks.results` starts for each.

    python -m benchmarks.results.work --version v11 --model unet --minutes 10 --results runs/results

It goes on where it was stopped. The folder is a run's, judged, with what it cost in cost.json.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.processes import terminated_with
from lensing_tfds.quiet import quiet_tensorflow

if TYPE_CHECKING:
    from benchmarks.results.cells import Cell
    from trainer.settings.config import TrainerConfig

_SECONDS_BETWEEN_FILES = 10.0
_LOCK = ".making"  # of a cell; a run has its own, while it is trained


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with status 2 where the cell cannot be made."""
    parser = CommandParser("benchmarks.results.work", "Train and judge one network on a version.")
    parser.add_argument("--version", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument(
        "--parent", type=int, help="a process with which this one, which it started, ends"
    )
    parser.add_shared("--data_dir")
    parser.add_shared("--max_examples")
    flags = parser.parse_args(argv)
    with command(flags.verbose, extra="trainer"):
        if flags.parent is not None:
            terminated_with(flags.parent)
        with quiet_tensorflow():
            from benchmarks.results.cells import Cell
            from lensing_tfds.records.datasets import absolute_data_dir

        cell, data_dir = Cell(flags.version, flags.model), absolute_data_dir(flags.data_dir)
        work(cell, flags.results, data_dir, flags.minutes, flags.max_examples)


def work(
    cell: Cell, results: Path, data_dir: str, minutes: float, max_examples: int | None
) -> None:
    """Trains and judges a cell, unless another process just did, for which it waits.

    Args:
      cell: the network and the version.
      results: the folder that holds the cells'.
      data_dir: where datasets are.
      minutes: of training.
      max_examples: of the test split that are judged; None for all.

    Raises:
      LensingError: it cannot be trained or judged.
    """
    from lensing_tfds.records.locks import alone_in
    from lensing_tfds.records.storage import make_folder

    folder, config = results / cell.name, cell.config(data_dir, minutes)
    make_folder(folder)
    with alone_in(folder, "making this cell", wait=True, lock=_LOCK):
        if not cell.is_as_asked(results, config, max_examples):
            _made(cell, folder, config, max_examples)


def _made(cell: Cell, folder: Path, config: TrainerConfig, max_examples: int | None) -> None:
    """Trains and judges a cell, in its folder."""
    import keras
    import tensorflow as tf

    from benchmarks.results.cost import Cost, Meter, processor
    from estimators import judge
    from estimators import results as judged
    from lensing_tfds.records.datasets import open_dataset
    from lensing_tfds.versions import VERSIONS
    from trainer.train import train

    # Building it is not the cell's cost.
    open_dataset(VERSIONS[cell.version], config.data_dir, _report)
    gpus = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
    device = details.get("device_name") or processor()
    before, meter = Cost.read(folder), Meter(device)

    class Kept(keras.callbacks.Callback):
        """Keeps what was spent, now and then: a run may be killed at any moment."""

        kept = -math.inf

        def keep(self) -> None:
            cost = dataclasses.replace(before, training=(*before.training, meter.spent()))
            cost.write(folder)
            self.kept = time.monotonic()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if time.monotonic() - self.kept > _SECONDS_BETWEEN_FILES:
                self.keep()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.keep()

    kept = Kept()
    try:
        run = train(config, folder, _report, callbacks=[kept])
    finally:
        if kept.kept > 0:  # a run that was finished before spends nothing
            kept.keep()
    parameters = sum(math.prod(weights.shape) for weights in run.model.trainable_weights)
    cost = dataclasses.replace(Cost.read(folder), parameters=parameters)
    meter = Meter(device)
    evaluation = judge.judge(run, "test", max_examples)
    # Before the metrics, by which the cell is known to be finished.
    dataclasses.replace(cost, judging=meter.spent()).write(folder)
    judged.write(run, evaluation)


def _report(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
