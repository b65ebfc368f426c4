"""Takes runs up on the backend that KERAS_BACKEND names: `python on_backend.py FOLDER`.

FOLDER holds runs of one epoch. Of each run R the estimates of test examples, before and after
another epoch here, and the losses of both epochs go into R-after.npz.
"""

import dataclasses
import pathlib
import sys

import keras
import numpy as np

import trainer.loop.planning
import trainer.train
from lensing_tfds import simulate
from tests.paces import given
from trainer.networks import families, iterated
from trainer.runs.checkpoints import LAST, load
from trainer.runs.run import load_run


def take_up(folder: pathlib.Path) -> None:
    """Takes up all runs of a folder."""
    for workdir in sorted(path for path in folder.iterdir() if path.is_dir()):
        run = load_run(workdir)
        maps = simulate(run.lensing, "test", range(12))["lensed"]
        before, config = run.predict(maps), run.config
        if not families.is_fitted(config.model):
            config = dataclasses.replace(config, epochs=2)
        trainer.train.train(config, workdir, lambda line: None)
        history = load_run(workdir).history
        np.savez(
            folder / f"{workdir.name}-after.npz",
            before=before,
            after=np.asarray(load(workdir / LAST, compile=False).predict_on_batch(maps)),
            loss=history["loss"],
            val_loss=history["val_loss"],
        )


if __name__ == "__main__":
    setattr(iterated, "are_enough", lambda correlations, most: len(correlations) >= 2)  # noqa: B010
    setattr(trainer.loop.planning, "measure_pace", given)  # noqa: B010
    take_up(pathlib.Path(sys.argv[1]))
    print(keras.backend.backend())
