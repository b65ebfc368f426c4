"""Configs: the versions are those of the study, and an impossible config says what is wrong."""

import dataclasses
import json
import math
import pickle

import pytest

from lensing_tfds.configs import (
    VERSIONS,
    LensingConfig,
    LensingError,
    differences,
    get_config,
)

GOOD = {"name": "wide", "npix": 192, "lx": 20.0}


def test_nside_equiv_gives_the_pixel_size_of_the_study():
    # facts: 27.48' pixels at nside 128 and 0.8589' at 4096
    assert VERSIONS["v1"].pixel_arcmin == pytest.approx(27.48, abs=5e-3)
    assert VERSIONS["v5"].pixel_arcmin == pytest.approx(0.8589, abs=5e-5)
    assert math.degrees(VERSIONS["v7"].side) == pytest.approx(22.9)


def test_versions_grow_in_difficulty_as_the_design_says():
    changes = {
        ("v1", "v2"): {"fixed_unlensed"},
        ("v2", "v3"): {"kappa_exaggeration_factor"},
        ("v3", "v4"): {"kappa_exaggeration_factor"},
        ("v4", "v5"): {"nside_equiv", "T_lmax", "kappa_lmax"},
        ("v7", "v8"): {"kappa_lmax", "noise_uK_arcmin"},
    }
    for (old, new), fields in changes.items():
        before, after = VERSIONS[old].to_json(), VERSIONS[new].to_json()
        assert {key for key in before if before[key] != after[key]} == fields | {"name"}
    assert VERSIONS["v1"].fixed_unlensed and not VERSIONS["v2"].fixed_unlensed
    assert [VERSIONS[v].kappa_exaggeration_factor for v in ("v1", "v3", "v4")] == [30, 10, 1]
    assert (VERSIONS["v6"].npix, VERSIONS["v6"].lx) == (100, 10.0)
    assert (VERSIONS["v8"].kappa_lmax, VERSIONS["v8"].noise_uK_arcmin) == (50, 5.0)


@pytest.mark.parametrize("config", VERSIONS.values(), ids=VERSIONS)
def test_json_and_pickle_round_trips(config):
    through_json = get_config(json.dumps(config.to_json()))
    assert through_json.to_json() == config.to_json()
    assert pickle.loads(pickle.dumps(config)) == config
    assert hash(config) == hash(dataclasses.replace(config))


def test_an_omitted_field_takes_its_documented_default():
    config = get_config(GOOD)
    assert (config.T_lmax, config.kappa_lmax, config.noise_uK_arcmin) == (None, None, 0.0)
    assert (config.kappa_exaggeration_factor, config.fixed_unlensed, config.seed) == (1.0, False, 0)
    assert config.num_examples == {"train": 20_000, "validation": 1_000, "test": 1_000}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"npix": 0}, "npix is 0, must be an integer from 8 to 4096"),
        ({"npix": 50.5}, "npix is 50.5"),
        ({"npix": True}, "npix is True"),
        ({"npix": "50"}, "npix is '50'"),
        ({"lx": -1.0}, "lx is -1.0, must be a number from 0.001 to 90"),
        ({"lx": float("nan")}, "lx is nan"),
        ({"lx": None}, "exactly one of lx (None) and nside_equiv (None)"),
        ({"nside_equiv": 128}, "exactly one of lx (20.0) and nside_equiv (128)"),
        ({"lx": None, "nside_equiv": 8}, "at most 90 degrees wide"),
        ({"kappa_lmax": 17}, "kappa_lmax is 17, must be an integer from 18 to 16000"),
        ({"T_lmax": 16_001}, "T_lmax is 16001, must be an integer from 18 to 16000"),
        ({"lx": 0.02, "T_lmax": 9000}, "fundamental mode, l = 18000.0, is beyond"),
        ({"noise_uK_arcmin": -5}, "noise_uK_arcmin is -5, must be a number from 0"),
        ({"kappa_exaggeration_factor": 0}, "kappa_exaggeration_factor is 0"),
        ({"fixed_unlensed": 1}, "fixed_unlensed is 1, must be true or false"),
        ({"seed": -1}, "seed is -1"),
        ({"num_examples": {"train": 5}}, "a number for each of train, validation, test"),
        ({"num_examples": {"train": 0, "validation": 1, "test": 1}}, "integers of at least 1"),
        ({"name": "a/b"}, "name is 'a/b'"),
        ({"npx": 12}, "unknown field 'npx'; the fields are name, npix"),
    ],
)
def test_an_impossible_config_names_the_field_the_value_and_the_bound(change, message):
    with pytest.raises(LensingError) as caught:
        get_config(GOOD | change)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_field_an_unknown_version_and_broken_json_are_named():
    with pytest.raises(LensingError, match="field 'npix' is missing"):
        get_config({"name": "wide"})
    with pytest.raises(LensingError, match="unknown version 'v99'; the versions are v1, v2, .*v8"):
        get_config("v99")
    with pytest.raises(LensingError, match="not valid JSON"):
        get_config('{"name": wide}')


def test_a_config_is_frozen_through_and_through():
    counts = {"train": 1, "validation": 1, "test": 1}
    config = LensingConfig("tiny", npix=8, lx=1.0, num_examples=counts)
    counts["train"] = 7
    assert config.num_examples["train"] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.npix = 9


def test_differences_name_each_field_with_both_values():
    assert differences({"seed": 0, "npix": 8, "old": 1}, {"seed": 7, "npix": 8}) == (
        "seed: 0 -> 7; old: 1 -> None"
    )
    assert differences({"seed": 0}, {"seed": 0}) == ""
