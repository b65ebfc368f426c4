"""Searches networks and settings for a version of `lensing`, with Keras Tuner.

On the command line:

    python -m tuning --dataset lensing/v8 --workdir runs/tune-v8   # search; again: go on
    python -m tuning.report --workdir runs/tune-v8                 # leaderboard, at any time
    python -m trainer --hparams runs/tune-v8/best_hyperparameters.json

In Python (nothing is imported here, so that `import tuning` stays instant):

    tuning.config.SearchConfig       one search's settings, checked
    tuning.search.search             search(config, workdir)
    tuning.hypermodel.LensingHyperModel   the trainer's networks and its `train`, for Keras Tuner
    tuning.trials.read_trials        a search's folder -> its trials
    tuning.tuner_fn                  the contract of TFX's Tuner component

The spaces themselves are data of the trainer's, beside its networks: `trainer.spaces`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuning.tfx import TunerFnResult


def tuner_fn(fn_args: Any) -> TunerFnResult:
    """Gives a TFX Tuner component its tuner, see `tuning.tfx`."""
    from tuning import tfx

    return tfx.tuner_fn(fn_args)
