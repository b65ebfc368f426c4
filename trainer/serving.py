"""A trained network as a TensorFlow SavedModel that takes and gives physical units."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from lensing_tfds.errors import LensingError
from trainer.run import Run


def physical_model(run: Run) -> keras.Model:
    """Puts a run's scaling around its network.

    Returns:
      A model from (batch, npix, npix, channels) lensed maps, µK, to (batch, npix, npix, 1) κ.

    Raises:
      LensingError: no epoch is finished yet.
    """
    scaling = run.scaling
    inputs = keras.Input(run.model.input_shape[1:], name="lensed")
    mean, std = np.array(scaling.lensed_mean), np.array(scaling.lensed_std)
    standardised = keras.layers.Rescaling(1 / std, -mean / std, name="standardise")(inputs)
    kappa = keras.layers.Rescaling(scaling.kappa_std, scaling.kappa_mean, name="physical")(
        run.model(standardised)
    )
    return keras.Model(inputs, kappa, name=f"{run.model.name}_physical")


def export(run: Run, folder: Path) -> None:
    """Writes the best epoch's network as a SavedModel.

    Args:
      run: the run.
      folder: where to; it is replaced.

    Raises:
      LensingError: no epoch is finished yet, or the folder cannot be written.
    """
    model = physical_model(run)
    try:
        model.export(str(folder), format="tf_saved_model", verbose=False)
    except OSError as error:
        raise LensingError(f"cannot write {folder}: {error.strerror or error}") from error
