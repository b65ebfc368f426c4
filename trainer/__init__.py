"""Trains Keras networks that estimate κ from a lensed CMB map, on any version of `lensing`.

On the command line:

    python -m trainer --dataset lensing/v8                 # train (building the data if missing)
    python -m trainer.evaluate --workdir runs/v8-...       # judge on the test split
    python -m trainer.compare runs/v8-a runs/v8-b          # judged runs, side by side

In Python nothing is imported before a name is used:

    from trainer import pretrained, resolve
    from trainer.train import train

    settings    `resolve("lensing/v8", data_dir, lensing)` -> `TrainerConfig`, by the version's
                `Recipe` (`recipe_for`); what a search found in its space (`space_for`):
                `read_hparams` -> `HParams`
    runs        `train(config, workdir)` -> `Run`; `load_run(workdir)` -> the same, later:
                `predict(maps)`, `intervals(maps)`, `history`
    networks    `pretrained("lensing/v11")` -> `Pretrained`: its Keras `model`, and its `card`
    TFX         `run_fn`
"""

from typing import TYPE_CHECKING

from lensing_tfds.public_names import imported_when_used

if TYPE_CHECKING:
    from trainer.pretrained_models import Pretrained, pretrained
    from trainer.runs.run import Run, load_run
    from trainer.settings.config import TrainerConfig, resolve
    from trainer.settings.hparams import HParams, read_hparams
    from trainer.settings.recipes import Recipe, recipe_for
    from trainer.settings.spaces import space_for
    from trainer.tfx import run_fn

__all__ = [
    "HParams",
    "Pretrained",
    "Recipe",
    "Run",
    "TrainerConfig",
    "load_run",
    "pretrained",
    "read_hparams",
    "recipe_for",
    "resolve",
    "run_fn",
    "space_for",
]

__getattr__, __dir__ = imported_when_used(
    __name__,
    {
        "HParams": ".settings.hparams",
        "Pretrained": ".pretrained_models",
        "Recipe": ".settings.recipes",
        "Run": ".runs.run",
        "TrainerConfig": ".settings.config",
        "load_run": ".runs.run",
        "pretrained": ".pretrained_models",
        "read_hparams": ".settings.hparams",
        "recipe_for": ".settings.recipes",
        "resolve": ".settings.config",
        "run_fn": ".tfx",
        "space_for": ".settings.spaces",
    },
)
