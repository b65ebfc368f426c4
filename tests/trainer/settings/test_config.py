import dataclasses
import json

import pytest

from lensing_tfds.errors import LensingError
from lensing_tfds.versions import VERSIONS, dataset_name
from trainer.settings.config import BEFORE, TrainerConfig, default_workdir, resolve, resumable
from trainer.settings.hparams import HParams
from trainer.settings.recipes import recipe_for


def test_a_version_gets_its_recipe_and_overrides_win():
    config = resolve("lensing/v8", "/data", VERSIONS["v8"], model="7x64-3", batch_size=8)
    recipe = dataclasses.replace(recipe_for("v8", "7x64-3"), batch_size=8)
    assert {k: v for k, v in config.to_json().items() if k in dataclasses.asdict(recipe)} == (
        dataclasses.asdict(recipe)
    )


def test_augmentation_is_on_except_where_all_examples_share_one_unlensed_map():
    augmented = {
        v: resolve(f"lensing/{v}", "/data", c, model="unet").augment for v, c in VERSIONS.items()
    }
    assert augmented == {v: v != "v1" for v in VERSIONS}
    assert resolve("lensing/v1", "/data", VERSIONS["v1"], model="unet", augment=True).augment
    assert not resolve("lensing/v2", "/data", VERSIONS["v2"], model="unet", augment=False).augment


def test_fresh_skies_are_for_the_first_network_of_a_version_that_is_trained():
    for resolved in (resolve, HParams({}).resolve):
        config = resolved("lensing/v11", "/data", VERSIONS["v11"], fresh=True)
        assert (config.model, config.fresh, config.reuse) == ("unet", True, 1)


def test_a_config_survives_json():
    config = resolve("lensing/v8", "/data", VERSIONS["v8"], model="7x64-3", max_examples=5)
    assert TrainerConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize("dataset", ["v8", "lensing", "lensing/", "mnist/v8", "lensing/a/b", ""])
def test_a_dataset_that_is_not_lensing_is_refused(dataset):
    with pytest.raises(LensingError, match=f"unknown dataset {dataset!r}: expected lensing/"):
        dataset_name(dataset)


def test_a_data_version_in_a_datasets_name_is_one_clear_line():
    with pytest.raises(LensingError, match="without a data version, lensing/t7; the newest"):
        dataset_name("lensing/t7:9.9.9")


@pytest.mark.parametrize("field", ["epochs", "batch_size", "max_examples", "seed"])
@pytest.mark.parametrize("value", [2**31, 10**30, 10**400], ids=["2^31", "1e30", "1e400"])
def test_a_whole_number_that_no_training_could_have_is_refused(field, value):
    with pytest.raises(LensingError, match=rf"{field} is \d+: must be .*2\^31"):
        resolve("lensing/v8", "/data", VERSIONS["v8"], model="unet", **{field: value})


@pytest.mark.parametrize(("field", "value"), [("max_examples", 0), ("seed", -1)])
def test_an_impossible_value_names_field_and_value(field, value):
    with pytest.raises(LensingError, match=f"{field} is {value}: must be"):
        resolve("lensing/v8", "/data", VERSIONS["v8"], model="unet", **{field: value})


def test_an_unknown_and_a_missing_field_are_refused():
    values = resolve("lensing/v8", "/data", VERSIONS["v8"], model="unet").to_json()
    with pytest.raises(LensingError, match=r"unknown \['depth'\]"):
        TrainerConfig.from_json(values | {"depth": 3})
    del values["seed"]
    with pytest.raises(LensingError, match=r"missing \['seed'\]"):
        TrainerConfig.from_json(values)


def test_every_setting_that_a_run_may_not_change_changes_the_default_folder():
    changes = {
        "dataset": "lensing/v7",
        "model": "7x64-3",
        "optimizer": "sgd",
        "learning_rate": 0.5,
        "schedule": "cosine",
        "warmup_steps": 9,
        "momentum": 0.5,
        "nesterov": True,
        "weight_decay": 0.1,
        "clipnorm": 2.0,
        "global_clipnorm": 1.0,
        "batch_size": 7,
        "precision": "bfloat16",
        "ema_momentum": 0.9,
        "max_examples": 100,
        "seed": 1,
        "augment": False,
        "deterministic": True,
        "fresh": True,
        "reuse": 4,
    }
    needed = {
        "weight_decay": {"optimizer": "adamw"},
        "global_clipnorm": {"clipnorm": None},
        "reuse": {"fresh": True},
    }
    study = "5x64-1x32-3"
    base = resolve("lensing/v8", "/data", VERSIONS["v8"], model=study, optimizer="sgd")
    settings = {field.name for field in dataclasses.fields(TrainerConfig)}
    # A new setting must be thought of here.
    assert changes.keys() == settings - set(resumable(base.to_json()))
    changed = [
        dataclasses.replace(base, **{n: v} | needed.get(n, {}))
        for n, v in changes.items()
        if n != "optimizer"
    ]
    changed += [base, resolve("lensing/v8", "/data", VERSIONS["v8"], model=study)]
    folders = [default_workdir(config, VERSIONS["v8"]) for config in changed]
    assert len(set(folders)) == len(changes) + 1
    assert folders[-1] == "runs/v8-5x64-1x32-3"
    assert default_workdir(changed[0], VERSIONS["v7"]).startswith("runs/v7-")


def test_what_may_change_between_sessions_leaves_the_default_folder():
    base = resolve("lensing/v8", "/data", VERSIONS["v8"], model="5x64-1x32-3")
    moved = dataclasses.replace(base, data_dir="/elsewhere", minutes=99, patience=3)
    assert default_workdir(moved, VERSIONS["v8"]) == default_workdir(base, VERSIONS["v8"])
    passes = [dataclasses.replace(base, minutes=None, epochs=n) for n in (3, 4)]
    folders = {default_workdir(config, VERSIONS["v8"]) for config in passes}
    assert folders == {f"{default_workdir(base, VERSIONS['v8'])}-epochs"}  # epochs of another kind


def test_the_length_of_a_schedule_that_ends_is_part_of_the_default_folder():
    base = resolve("lensing/v8", "/data", VERSIONS["v8"], model="unet", schedule="cosine")
    no_length = {"epochs": None, "minutes": None}
    folder = default_workdir(base, VERSIONS["v8"])
    for length in ("minutes", "epochs"):
        other = dataclasses.replace(base, data_dir="/elsewhere", **no_length | {length: 99})
        assert default_workdir(other, VERSIONS["v8"]) == f"{folder}-{length}=99"


def test_another_optimizer_does_not_keep_what_only_the_studys_own_has():
    sgd = resolve("lensing/v8", "/data", VERSIONS["v8"], model="7x64-3")
    assert (sgd.optimizer, sgd.momentum, sgd.nesterov) == ("sgd", 0.9, True)
    for optimizer, weight_decay in (("adam", 0.0), ("adamw", 0.01)):
        config = resolve("lensing/v8", "/data", VERSIONS["v8"], model="7x64-3", optimizer=optimizer)
        assert (config.momentum, config.nesterov) == (0.0, False)
        assert config.weight_decay == weight_decay


def test_a_config_of_before_schedules_is_read_as_what_it_did():
    config = resolve("lensing/v8", "/data", VERSIONS["v8"], model="5x64-1x32-3")
    config = dataclasses.replace(config, minutes=None, epochs=20)
    old = {name: value for name, value in config.to_json().items() if name not in BEFORE}
    assert TrainerConfig.from_json(old) == config


def test_the_default_folder_says_what_is_not_the_studys():
    config = resolve("lensing/v8", "/data", VERSIONS["v8"], model="7x64-3", learning_rate=3e-3)
    assert default_workdir(config, VERSIONS["v8"]) == "runs/v8-7x64-3-learning_rate=0.003"


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("dataset", 8, "text"),
        ("data_dir", None, "text"),
        ("model", 4, "text"),
        ("optimizer", True, "text"),
        ("learning_rate", "1e-3", "a number"),
        ("schedule", None, "text"),
        ("warmup_steps", 0.5, "a whole number"),
        ("weight_decay", "0", "a number"),
        ("global_clipnorm", "none", "a number or null"),
        ("momentum", "0", "a number"),
        ("nesterov", 1, "true or false"),
        ("clipnorm", "none", "a number or null"),
        ("batch_size", 32.5, "a whole number"),
        ("precision", 16, "text"),
        ("ema_momentum", "0.99", "a number or null"),
        ("epochs", 2.5, "a whole number or null"),
        ("minutes", "10", "a number or null"),
        ("max_examples", "all", "a whole number or null"),
        ("seed", None, "a whole number"),
        ("augment", "no", "true or false"),
        ("fresh", 1, "true or false"),
        ("reuse", 1.5, "a whole number"),
    ],
)
def test_a_value_of_another_type_is_refused_in_every_field(field, value, allowed):
    base = resolve("lensing/v8", "/data", VERSIONS["v8"], model="unet")
    with pytest.raises(LensingError, match=f"{field} is {value!r}: must be {allowed}$"):
        dataclasses.replace(base, **{field: value})


def test_a_whitened_stack_has_a_folder_of_its_own():
    config = resolve("lensing/v8", "/data", VERSIONS["v8"], model="whiten-7x64-3")
    assert default_workdir(config, VERSIONS["v8"]) == "runs/v8-whiten-7x64-3"
