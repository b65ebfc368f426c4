"""Losses and examples for TensorBoard, where TensorFlow, which writes them, is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import keras

from lensing_tfds.records.stored_dataset import StoredDataset


def writers(
    folder: Path, stored: StoredDataset, report: Callable[[str], None]
) -> list[keras.callbacks.Callback]:
    """Returns callbacks that write for TensorBoard; none without TensorFlow.

    Args:
      folder: to write to.
      stored: the dataset whose examples are shown.
      report: prints a line.
    """
    if importlib.util.find_spec("tensorflow") is None:
        report("nothing is written for TensorBoard: TensorFlow, which writes it, is not installed")
        return []
    from trainer.loop.shown_examples import ShownExamples

    losses = keras.callbacks.TensorBoard(folder, write_graph=False)
    return [losses, ShownExamples(folder / "examples", stored)]
