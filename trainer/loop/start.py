"""The network before its first step, kept where that is an estimator already."""

from __future__ import annotations

import time
from collections.abc import Callable

import keras

from lensing_tfds.errors import LensingError
from trainer.data.batches import Batches, for_keras
from trainer.loop.callbacks import Checkpoints
from trainer.runs.checkpoints import BEST
from trainer.runs.history import start_row


def keep_start(
    model: keras.Model,
    validation: Batches,
    kept: Checkpoints,
    report: Callable[[str], None],
    ending: keras.callbacks.Callback,
) -> None:
    """Validates a network that has not been trained and keeps it as epoch 0.

    It is the best one until an epoch is better.

    Args:
      model: compiled.
      validation: the batches of the validation split.
      kept: what keeps the run, without an epoch so far.
      report: prints a line.
      ending: called between two batches.

    Raises:
      LensingError: its loss is not a number, or it cannot be written.
    """
    begun = time.perf_counter()
    with for_keras(validation) as (batches,):
        logs = model.evaluate(batches, verbose=0, return_dict=True, callbacks=[ending])
    row = start_row(logs, time.perf_counter() - begun)
    if not row["val_loss"] < float("inf"):
        raise LensingError(
            f"val_loss is {row['val_loss']} before the first step: the network is no estimator"
        )
    kept.set_model(model)
    kept.keep(row)
    report(
        f"before the first step  val_loss {row['val_loss']:.4f}"
        f"  val_correlation {row['val_map_correlation']:.4f}"
        f"  kept as {BEST} until an epoch is better"
    )
