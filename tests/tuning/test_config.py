import dataclasses

import pytest

from lensing_tfds.errors import LensingError
from lensing_tfds.versions import VERSIONS
from trainer.networks.space import Choice
from trainer.settings.recipes import trained_recipe
from trainer.settings.spaces import space_for
from tuning.config import Budget, SearchConfig, read_space

CONFIG = SearchConfig(dataset="lensing/v3", data_dir="/data", space=space_for("v3"))
POINT = {name: dimension.extremes[0] for name, dimension in CONFIG.space.dimensions().items()}


def test_a_search_survives_json():
    config = dataclasses.replace(
        CONFIG, tuner="random", space=CONFIG.space.changed({"depth": [7]}), max_examples=100
    )
    assert SearchConfig.from_json(config.to_json()) == config
    old = config.to_json()
    del old["fresh"], old["reuse"]  # of before there were fresh skies
    assert SearchConfig.from_json(old) == config
    with pytest.raises(LensingError, match=r"unknown \['depth'\], missing \['seed'\]"):
        values = config.to_json() | {"depth": 3}
        del values["seed"]
        SearchConfig.from_json(values)


def test_a_trial_is_a_point_of_the_space_on_what_the_versions_study_used():
    config = dataclasses.replace(CONFIG, seed=7, max_examples=100)
    trial = config.trainer_config(VERSIONS["v3"], POINT | {"depth": 6, "batch_size": 64}, epochs=9)
    assert (trial.model, trial.batch_size, trial.epochs) == ("6x16-3", 64, 9)
    assert (trial.seed, trial.max_examples, trial.data_dir) == (7, 100, "/data")
    assert (trial.fresh, trial.reuse) == (False, 1)
    fresh = dataclasses.replace(config, fresh=True, reuse=4)
    trial = fresh.trainer_config(VERSIONS["v3"], POINT, epochs=9)
    assert (trial.fresh, trial.reuse) == (True, 4)
    assert trial.clipnorm is None is trained_recipe("v3", "stack").clipnorm


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("tuner", "grid", "hyperband, bayesian, random"),
        ("objective", "loss", "val_loss, val_map_correlation"),
        ("max_epochs", 0, "at least 1"),
        ("max_examples", 0, "at least 1"),
        ("seed", -1, r"in \[0, 2\^31\)"),
        ("seed", "0", "a whole number"),
        ("max_epochs", 2.5, "a whole number"),
        ("dataset", 3, "text"),
        ("space", {}, "Space"),
    ],
)
def test_an_impossible_value_names_field_and_value(field, value, allowed):
    with pytest.raises(LensingError, match=f"{field} is {value!r}: must be {allowed}"):
        dataclasses.replace(CONFIG, **{field: value})


@pytest.mark.parametrize("value", [2**31, 10**30, 10**400], ids=["2^31", "1e30", "1e400"])
def test_a_whole_number_that_no_search_could_have_is_refused(value):
    for field in ("max_epochs", "max_examples", "seed"):
        with pytest.raises(LensingError, match=rf"{field} is \d+: must be .*2\^31"):
            dataclasses.replace(CONFIG, **{field: value})
    for field in ("max_trials", "max_total_epochs"):
        with pytest.raises(LensingError, match=rf"{field} is \d+: must be "):
            Budget(**{field: value})


@pytest.mark.parametrize("field", ["max_trials", "max_total_epochs", "max_minutes"])
def test_a_budget_is_positive(field):
    with pytest.raises(LensingError, match=rf"{field} is 0(\.0)?: must be positive"):
        Budget(**{field: 0})


def test_a_budget_names_the_limit_that_was_reached():
    budget = Budget(max_trials=3, max_total_epochs=10, max_minutes=1.5)
    assert budget.reached(2, 9, 89) is None
    assert budget.reached(3, 0, 0) == "max_trials 3"
    assert budget.reached(0, 10, 0) == "max_total_epochs 10"
    assert budget.reached(0, 0, 90) == "max_minutes 1.5"
    assert Budget().reached(10**9, 10**9, 1e9) is None


def test_only_hyperband_ends_by_itself():
    assert CONFIG.budget(max_trials=None) == Budget()
    random = dataclasses.replace(CONFIG, tuner="random")
    assert random.budget(max_trials=None, max_minutes=None).max_trials == 20
    assert random.budget(max_trials=None, max_minutes=5) == Budget(max_minutes=5)


def test_a_space_file_changes_the_versions_space(tmp_path):
    (tmp_path / "space.json").write_text('{"depth": [3, 12]}')
    space = read_space(tmp_path / "space.json", "v7")
    assert space == dataclasses.replace(space_for("v7"), depth=Choice((3, 12)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "space.json: not valid JSON"),
        ("{}", "space.json holds no space"),
        ("[3]", "space.json: not a JSON object"),
        ('{"depth": [3], "depth": [4]}', "space.json: the key 'depth' is there twice"),
        ('{"dropout": [0.1]}', "space.json: unknown hyperparameter 'dropout'"),
        ('{"depth": []}', "space.json: depth has no values"),
    ],
)
def test_a_space_file_is_checked_when_it_is_read(content, message, tmp_path):
    (tmp_path / "space.json").write_text(content)
    with pytest.raises(LensingError, match=message):
        read_space(tmp_path / "space.json", "v7")


def test_a_missing_space_file_is_named(tmp_path):
    with pytest.raises(LensingError, match="cannot read .*none.json: No such file"):
        read_space(tmp_path / "none.json", "v7")
