"""Estimates of the first validation examples, for TensorBoard: maps, and ρ_L as the judge's."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from estimators.ensemble import SkyEnsemble
from estimators.power_spectra import BandPowers, measure
from lensing_tfds.records.reading import evaluation_batches
from lensing_tfds.records.stored_dataset import StoredDataset
from trainer.runs.averages import averages_for_weights

_MAPS = 3  # whose maps are shown
_EXAMPLES = 8  # of whose spectra ρ_L is
_SHARE = 0.01  # of the time since training began, at most
_PANEL = 150  # pixels on a side, at least
_GAP = 4


class ShownExamples(keras.callbacks.Callback):
    """Writes, after an epoch, the maps of three examples and the ρ_L of eight.

    An image has a row for each example: true κ, its estimate, and their difference, in one scale
    of colours that stays over the run. Epochs in which it would take more than a hundredth of the
    time so far are left out.

    Args:
      folder: where the events go.
      stored: the dataset; the first examples of its validation split are shown.
    """

    def __init__(self, folder: Path, stored: StoredDataset):
        super().__init__()
        self._folder, self._stored = folder, stored
        self._spent = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        task = self._stored.task
        number = min(_EXAMPLES, task.lensing.num_examples["validation"])
        (batch,) = evaluation_batches(self._stored, f"validation[:{number}]", number)
        self._maps, self._truth = batch[task.inputs.name], batch[task.labels.name][..., 0]
        self._bands = SkyEnsemble.of(task.lensing, self._stored.data_path).bands
        self._writer = tf.summary.create_file_writer(str(self._folder))
        self._begun = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        begun = time.monotonic()
        if self._spent > _SHARE * (begun - self._begun):
            return
        with averages_for_weights(self.model):
            estimate = keras.ops.convert_to_numpy(self.model(self._maps, training=False))[..., 0]
        powers = measure(estimate, self._truth, self._bands)
        few = slice(min(_MAPS, len(self._truth)))
        scale = float(np.abs(self._truth[few]).max())
        with self._writer.as_default(step=epoch):
            tf.summary.image(
                "true κ, estimate, estimate − truth",
                panels(self._truth[few], estimate[few], scale)[None],
                description=f"The first validation examples, from -{scale:.3g} to {scale:.3g}.",
            )
            for ell, rho in zip(self._bands.ell, correlation(powers), strict=True):
                tf.summary.scalar(f"rho_L/L={ell:05.0f}", rho)
        self._writer.flush()
        self._spent += time.monotonic() - begun

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._writer.close()


def correlation(powers: BandPowers) -> NDArray[np.float64]:
    """ρ_L of all maps together, (num_bands,); 0 where either side has no power."""
    first, cross, second = (power.sum(axis=0) for power in powers)
    norm = np.sqrt(first * second)
    return np.divide(cross, norm, out=np.zeros_like(norm), where=norm > 0)


def panels(
    truth: NDArray[np.floating], estimate: NDArray[np.floating], scale: float
) -> NDArray[np.uint8]:
    """Draws true maps, estimates and their differences side by side, a row an example.

    Args:
      truth: (n, npix, npix).
      estimate: of the same maps.
      scale: what has the deepest red; its negative the deepest blue. Rows of maps go upwards.

    Returns:
      (height, width, 3) bytes of red, green and blue.
    """
    import matplotlib

    colours = matplotlib.colormaps["RdBu_r"]
    larger = max(1, -(-_PANEL // truth.shape[-1]))
    rows = []
    for maps in zip(truth, estimate, estimate - truth, strict=True):
        shown = [np.repeat(np.repeat(x[::-1], larger, 0), larger, 1) for x in maps]
        drawn = [colours((x / scale + 1) / 2, bytes=True)[..., :3] for x in shown]
        gap = np.full((len(drawn[0]), _GAP, 3), 255, np.uint8)
        rows.append(np.concatenate([drawn[0], gap, drawn[1], gap, drawn[2]], axis=1))
    gap = np.full((_GAP, rows[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for row in rows for part in (row, gap)][:-1])
