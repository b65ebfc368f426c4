"""Trains Keras networks that estimate κ from a lensed CMB map, on any version of `lensing`.

On the command line:

    python -m trainer --dataset lensing/v8                 # train (building the data if missing)
    python -m trainer.evaluate --workdir runs/v8-...       # judge on the test split
    python -m trainer.compare runs/v8-a runs/v8-b          # judged runs, side by side

In Python (nothing is imported here, so that `import trainer` stays instant):

    trainer.config.TrainerConfig
        one run's settings, resolved and checked
    trainer.config.resolve
        a version's studied settings, with overrides
    trainer.recipes.recipe_for
        the settings that a version's own study used
    lensing_tfds.records.datasets.open_dataset
        `lensing/v8` -> TFDS builder, building it if missing
    trainer.networks.families.build
        "4x64-1x32-9" -> keras.Model
    trainer.networks.families.memory
        what training a network needs
    trainer.data.stream
        shards -> tf.data batches
    trainer.train.train
        train(config, workdir)
    trainer.run.load_run
        a run's folder -> Run: its model, history and predictions
    estimators.judge.judge
        a run, judged on a split of its dataset
    estimators.checks.check
        null tests, other skies and delensing of a judged run
    estimators.estimator.Estimator
        anything that estimates κ, as the judge takes it
    estimators.compared_runs.read
        the scores of judged runs
    trainer.spaces.space_for
        what a search may try on a version
    trainer.hparams
        settings that a search found, for `--hparams`
    trainer.run_fn
        the contract of TFX's Trainer component
"""

from __future__ import annotations

from typing import Any


def run_fn(fn_args: Any) -> None:
    """Trains as a TFX Trainer component asks, see `trainer.tfx`."""
    from trainer import tfx

    tfx.run_fn(fn_args)
