"""Searches networks and settings for a version of `lensing`, with Keras Tuner.

On the command line:

    python -m tuning --dataset lensing/v8 --workdir runs/tune-v8   # search; again: go on
    python -m tuning.report --workdir runs/tune-v8                 # leaderboard, at any time
    python -m trainer --hparams runs/tune-v8/best_hyperparameters.json

In Python nothing is imported before a name is used:

    a search       `tuning.search.search(config, workdir)`, of a `SearchConfig` and its `Budget`
    its space      `trainer.space_for`, beside the trainer's networks, or a file: `read_space`
    its trials     `load_search` -> `SearchRecord`; `read_trials` -> each a `Trial`; `ranked`
    Keras Tuner    `LensingHyperModel`
    TFX            `tuner_fn`
"""

from typing import TYPE_CHECKING

from lensing_tfds.public_names import imported_when_used

if TYPE_CHECKING:
    from tuning.config import Budget, SearchConfig, read_space
    from tuning.hypermodel import LensingHyperModel
    from tuning.tfx import tuner_fn
    from tuning.trials import SearchRecord, Trial, load_search, ranked, read_trials

__all__ = [
    "Budget",
    "LensingHyperModel",
    "SearchConfig",
    "SearchRecord",
    "Trial",
    "load_search",
    "ranked",
    "read_space",
    "read_trials",
    "tuner_fn",
]

__getattr__, __dir__ = imported_when_used(
    __name__,
    {
        "Budget": ".config",
        "LensingHyperModel": ".hypermodel",
        "SearchConfig": ".config",
        "SearchRecord": ".trials",
        "Trial": ".trials",
        "load_search": ".trials",
        "ranked": ".trials",
        "read_space": ".config",
        "read_trials": ".trials",
        "tuner_fn": ".tfx",
    },
)
