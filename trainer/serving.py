"""A trained network as a TensorFlow SavedModel, from maps in µK to κ."""

from __future__ import annotations

from pathlib import Path

from lensing_tfds.errors import LensingError
from trainer.networks.settings import keras_settings
from trainer.runs.run import Run


def export(run: Run, folder: Path) -> None:
    """Writes the best epoch's network as a SavedModel.

    Args:
      run: the run.
      folder: where to; it is replaced.

    Raises:
      LensingError: no epoch is finished yet, or the folder cannot be written.
    """
    model = run.model
    try:
        with keras_settings():
            model.export(str(folder), format="tf_saved_model", verbose=False)
    except OSError as error:
        raise LensingError(f"cannot write {folder}: {error.strerror or error}") from error
