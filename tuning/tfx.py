"""tuner_fn(fn_args): the contract of TFX's Tuner component. TFX itself is not needed.

Name it there as `tuner_fn="tuning.tuner_fn"`, or this file as `module_file`. Of TFX's arguments

    custom_config   {"dataset": "lensing/v8", "data_dir": ...}, and any of `SearchConfig`'s fields
                    ("space" as in a space file) and of `Budget`'s
    train_files     names the dataset where custom_config does not, see `trainer.tfx`
    train_steps     of one trial, rounded up to whole epochs of the version's default batches; None
                    leaves custom_config's max_epochs
    working_dir     the search's folder; a search that was stopped goes on in it

are used; the others change nothing. The best hyperparameters that the component writes go into
`trainer.run_fn` as its `hyperparameters`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import keras_tuner

from lensing_tfds.errors import LensingError
from lensing_tfds.records.datasets import find_config
from trainer.settings.config import resolve
from trainer.settings.recipes import trained_recipe
from trainer.settings.spaces import changed, space_for
from trainer.tfx import argument, dataset_and_settings, whole_epochs
from tuning.config import Budget, SearchConfig
from tuning.search import announce_trials, build_tuner, prepare

_BUDGET = tuple(field.name for field in dataclasses.fields(Budget))
_SEARCH = tuple(
    field.name
    for field in dataclasses.fields(SearchConfig)
    if field.name not in ("dataset", "data_dir")
)


class TunerFnResult(NamedTuple):
    """The tuner, as TFX expects it.

    Attributes:
      tuner: its `search` runs the trials.
      fit_kwargs: arguments for `search`; the tuner needs none.
    """

    tuner: keras_tuner.engine.base_tuner.BaseTuner
    fit_kwargs: dict[str, Any]


def tuner_fn(fn_args: Any) -> TunerFnResult:
    """Prepares a search as `python -m tuning` does.

    Args:
      fn_args: an object with TFX's attributes; missing ones are None.

    Raises:
      LensingError: the dataset or a setting is missing or impossible, or the folder holds another
        search.
    """
    folder = argument(fn_args, "working_dir")
    if folder is None:
        raise LensingError("fn_args.working_dir is missing: the folder of the search")
    dataset, data_dir, settings = dataset_and_settings(fn_args, (*_SEARCH, *_BUDGET))
    lensing = find_config(dataset, data_dir)
    limits = {name: settings.pop(name, None) for name in _BUDGET}
    space = changed(space_for(lensing.name), settings.pop("space", {}))
    steps = argument(fn_args, "train_steps")
    if steps is not None:
        model = trained_recipe(lensing.name, space.family, lensing.npix).model
        given = {name: settings.get(name) for name in ("max_examples", "fresh", "reuse")}
        base = resolve(dataset, data_dir, lensing, model=model, **given)
        settings["max_epochs"] = whole_epochs(steps, lensing, base)
    config = SearchConfig(dataset=dataset, data_dir=data_dir, space=space, **settings)
    workdir = Path(folder)
    record = prepare(config, workdir)
    tuner = build_tuner(record, workdir, config.budget(**limits))
    announce_trials(tuner.oracle, workdir, record, print)
    return TunerFnResult(tuner, {})
