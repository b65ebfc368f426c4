"""What TFX's Tuner component would do with tuner_fn, and its Trainer with the result."""

import json
from types import SimpleNamespace

import keras
import keras_tuner
import pytest

import trainer
import tuning
from lensing_tfds.errors import LensingError
from trainer.runs.run import load_run
from tuning.trials import read_search, read_trials

SPACE = {"depth": [1, 2], "width": 2, "tail": 0, "last_kernel": 3, "batch_size": 16}


def test_a_tuner_components_result_goes_into_a_trainer_component(data_dir, tmp_path):
    custom = {"dataset": "lensing/tiny", "data_dir": data_dir, "tuner": "bayesian", "max_trials": 2}
    fn_args = SimpleNamespace(
        working_dir=str(tmp_path / "search"),
        custom_config=custom | {"space": SPACE, "objective": "val_map_correlation"},
        train_steps=2,  # of 2 a default batch's epoch
    )
    result = tuning.tuner_fn(fn_args)
    assert isinstance(result.tuner, keras_tuner.Tuner)
    assert result._fields == ("tuner", "fit_kwargs")
    # As TFX's executor goes on:
    result.tuner.search(**result.fit_kwargs)
    best = json.loads(json.dumps(result.tuner.get_best_hyperparameters()[0].get_config()))
    assert isinstance(result.tuner.get_best_models()[0], keras.Model)
    trials = read_trials(tmp_path / "search", read_search(tmp_path / "search"))
    assert [t.status for t in trials] == ["COMPLETED"] * 2
    assert {t.settings.epochs for t in trials} == {2}

    trainer.run_fn(
        SimpleNamespace(
            custom_config={"dataset": "lensing/tiny", "data_dir": data_dir},
            hyperparameters=best,
            train_steps=4,
            model_run_dir=str(tmp_path / "run"),
        )
    )
    correlations = [t.best("val_map_correlation")["val_map_correlation"] for t in trials]
    winner = trials[correlations.index(max(correlations))].settings
    config = load_run(tmp_path / "run").config
    assert (config.model, config.learning_rate) == (winner.model, winner.learning_rate)
    assert (config.optimizer, config.augment) == (winner.optimizer, winner.augment)
    assert config.epochs == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "fn_args.working_dir is missing"),
        ({"custom_config": {"dataset": "lensing/v3", "epochs": 3}}, "unknown 'epochs'"),
        ({"custom_config": {"dataset": "lensing/v3", "tuner": "grid"}}, "tuner is 'grid'"),
        (
            {"custom_config": {"dataset": "lensing/v3", "space": {"depth": []}}},
            "depth has no values",
        ),
    ],
)
def test_what_is_missing_or_unknown_is_said(values, message, tmp_path):
    if values:
        values = values | {"working_dir": str(tmp_path)}
    with pytest.raises(LensingError, match=message):
        tuning.tuner_fn(SimpleNamespace(**values))
