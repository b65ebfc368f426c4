"""What TFX's Trainer component would call, with an object that has its arguments' names."""

from types import SimpleNamespace

import numpy as np
import pytest

import trainer
from lensing_tfds.errors import LensingError
from trainer.runs.run import load_run
from trainer.tfx import trainer_config

tf = pytest.importorskip("tensorflow")

# All that TFX's FnArgs has; None is its default.
NAMES = {
    "working_dir",
    "train_files",
    "eval_files",
    "train_steps",
    "eval_steps",
    "schema_path",
    "schema_file",
    "transform_graph_path",
    "transform_output",
    "data_accessor",
    "serving_model_dir",
    "eval_model_dir",
    "model_run_dir",
    "base_model",
    "hyperparameters",
    "custom_config",
}


def fn_args(**values):
    assert values.keys() <= NAMES
    return SimpleNamespace(**(dict.fromkeys(NAMES) | values))


def test_run_fn_trains_and_exports_a_model_from_microkelvins_to_kappa(data_dir, tmp_path):
    custom = {"dataset": "lensing/tiny", "data_dir": data_dir, "model": "1x4-3", "batch_size": 16}
    trainer.run_fn(
        fn_args(
            custom_config=custom,
            train_steps=5,
            model_run_dir=str(tmp_path / "run"),
            serving_model_dir=str(tmp_path / "serving"),
        )
    )
    run = load_run(tmp_path / "run")
    assert (run.config.model, list(run.history["epoch"])) == ("1x4-3", [1, 2])  # 4 steps each
    lensed = 100 * np.random.default_rng(0).normal(size=(3, 16, 16, 1)).astype(np.float32)
    serving = tf.saved_model.load(str(tmp_path / "serving"))
    served = serving.serve(lensed).numpy()
    expected = run.predict(lensed)
    np.testing.assert_allclose(served, expected, atol=1e-5 * expected.std())


def test_steps_win_over_minutes(data_dir):
    custom = {"dataset": "lensing/tiny", "data_dir": data_dir, "batch_size": 16, "minutes": 3}
    assert trainer_config(fn_args(custom_config=custom)).minutes == 3
    config = trainer_config(fn_args(custom_config=custom, train_steps=5))
    assert (config.epochs, config.minutes) == (2, None)


def test_steps_of_fresh_skies_may_be_more_than_are_stored(data_dir):
    custom = {"dataset": "lensing/tiny", "data_dir": data_dir, "batch_size": 16}
    custom |= {"fresh": True, "reuse": 2, "max_examples": 320}
    config = trainer_config(fn_args(custom_config=custom, train_steps=21))
    assert (config.fresh, config.reuse, config.epochs) == (True, 2, 2)  # 20 steps each


def test_the_dataset_is_that_of_the_files_where_none_is_named(data_dir):
    files = [f"{data_dir}/lensing/tiny/1.0.0/lensing-train*"]
    config = trainer_config(fn_args(train_files=files))
    assert (config.dataset, config.data_dir) == ("lensing/tiny", data_dir)
    other = {"dataset": "lensing/v3", "data_dir": "/data"}
    assert trainer_config(fn_args(train_files=files, custom_config=other)).dataset == "lensing/v3"


def test_hyperparameters_of_a_tuner_and_of_a_file_are_taken_and_custom_config_wins(data_dir):
    point = {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 64, "augment": False}
    point |= {"depth": 3, "width": 16, "tail": 0, "last_kernel": 5, "upsampling": 1}
    custom = {"dataset": "lensing/tiny", "data_dir": data_dir}
    config = trainer_config(
        fn_args(
            custom_config=custom | {"batch_size": 8},
            hyperparameters={"space": [], "values": point | {"tuner/epochs": 2}},
        )
    )
    assert (config.model, config.optimizer, config.momentum) == ("3x16-5", "sgd", 0.9)
    assert (config.learning_rate, config.batch_size, config.augment) == (0.1, 8, False)
    file = {"hyperparameters": {"model": "1x4-3", "epochs": 7}, "found": {}}
    config = trainer_config(fn_args(custom_config=custom, hyperparameters=file))
    assert (config.model, config.epochs) == ("1x4-3", 7)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "fn_args.model_run_dir is missing"),
        ({"model_run_dir": "run"}, "no dataset: give custom_config="),
        ({"model_run_dir": "run", "train_files": ["/x/Split-train/*"]}, "/x/Split-train"),
        (
            {"model_run_dir": "run", "custom_config": {"dataset": "lensing/v3", "depth": 3}},
            "custom_config: unknown 'depth': known are dataset, data_dir, model",
        ),
        (
            {"model_run_dir": "run", "custom_config": {"dataset": "mnist"}},
            "unknown dataset 'mnist'",
        ),
        (
            {
                "model_run_dir": "run",
                "custom_config": {"dataset": "lensing/v3"},
                "hyperparameters": {"values": {"units": 3}},
            },
            "hyperparameters units are of no known family: stack",
        ),
    ],
)
def test_what_is_missing_or_unknown_is_said(values, message):
    with pytest.raises(LensingError) as error:
        trainer.run_fn(fn_args(**values))
    assert message in str(error.value)


def test_steps_are_positive(data_dir):
    custom = {"dataset": "lensing/tiny", "data_dir": data_dir}
    with pytest.raises(LensingError, match="train_steps is -1: must be at least 1"):
        trainer_config(fn_args(custom_config=custom, train_steps=-1))
