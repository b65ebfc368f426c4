"""Objects within a config: checked as the config is, given back as JSON, and absent by default."""

import json
import pickle

import pytest

from lensing_tfds.config_fields.mask import Mask
from lensing_tfds.errors import LensingError
from lensing_tfds.versions import get_config

SURVEY = {"name": "survey", "npix": 32, "lx": 4.0, "stokes": "QU", "noise_uK_arcmin": 1.0}
EVERYTHING = SURVEY | {
    "stokes": "TQU",
    "one_over_f": {"T_knee": 1000, "P_knee": 700, "slope": -2.5},
    "hits": {"contrast": 4},
    "mask": {"border": 0.4, "edge": 0.6, "holes": 3, "hole_radius_arcmin": 5},
    "splits": 2,
}


def test_json_and_pickle_give_the_objects_back():
    config = get_config(EVERYTHING)
    assert config.mask == Mask(border=0.4, edge=0.6, holes=3, hole_radius_arcmin=5.0)
    again = get_config(json.dumps(config.to_json()))
    assert again == config == pickle.loads(pickle.dumps(config))
    assert hash(again) == hash(config)
    assert json.loads(json.dumps(config.to_json()))["hits"] == {"contrast": 4.0}


def test_what_is_not_there_is_in_no_json_and_what_is_at_its_default_in_no_fingerprint():
    plain = get_config(SURVEY)
    assert not {"mask", "hits", "one_over_f", "splits"} & plain.to_json().keys()
    config = get_config(SURVEY | {"mask": {"border": 0.4}})
    assert config.to_json()["mask"]["multiplies"] == "observed"
    assert config.to_json_of_examples()["mask"] == {"border": 0.4}


def test_features_follow():
    assert get_config(EVERYTHING).map_features == {
        "lensed": 3,
        "unlensed": 3,
        "kappa": 1,
        "splits": 6,
        "noise_variance": 1,
        "mask": 1,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": {}}, "mask: border is 0.0, must be above 0, or edge or holes, or the mask hides"),
        ({"mask": {"border": -1}}, "mask: border is -1, must be a number from 0"),
        ({"mask": {"border": 2}}, "mask: border is 2.0, must be at most 1.875, or the mask leaves"),
        ({"mask": {"border": 1, "edge": 1.5}}, "mask: edge is 1.5, must be at most 1"),
        ({"mask": {"holes": 3}}, "mask: hole_radius_arcmin is 0.0, must be above 0 where there"),
        ({"mask": {"border": 1, "hole_radius_arcmin": 3}}, "hole_radius_arcmin is 3.0, must be"),
        ({"mask": {"holes": 99, "hole_radius_arcmin": 60}}, "mask: holes is 99, must be so few"),
        ({"mask": {"border": 1, "multiplies": "noise"}}, "multiplies is 'noise', must be one of"),
        ({"mask": {"bordr": 1}}, "mask: unknown field 'bordr'; the fields are border, edge"),
        ({"mask": 0.4}, "mask is 0.4, must be null, or an object of the fields border, edge"),
        ({"hits": {}}, "hits: the field 'contrast' is missing"),
        ({"hits": {"contrast": 0.5}}, "hits: contrast is 0.5, must be a number from 1 to 1000"),
        ({"hits": {"contrast": -4}}, "hits: contrast is -4, must be a number from 1"),
        ({"hits": {"contrast": 4}, "noise_uK_arcmin": 0}, "hits: noise_uK_arcmin is 0, and must"),
        ({"one_over_f": {}}, "one_over_f: give T_knee, P_knee or both; both are null"),
        ({"one_over_f": {"P_knee": -9}}, "one_over_f: P_knee is -9, must be a number from 1"),
        ({"one_over_f": {"T_knee": 9}}, "one_over_f: T_knee is 9.0, must be null where stokes"),
        ({"one_over_f": {"P_knee": 9, "slope": 3}}, "one_over_f: slope is 3, must be a number"),
        ({"splits": 0}, "splits is 0, must be an integer from 1 to 64"),
        ({"splits": 2, "noise_uK_arcmin": 0}, "splits is 2, must be 1 where noise_uK_arcmin is 0"),
    ],
)
def test_an_impossible_object_names_config_object_field_and_bound(change, message):
    with pytest.raises(LensingError) as caught:
        get_config(SURVEY | change)
    assert str(caught.value).startswith("config 'survey': ") and message in str(caught.value)
    assert "\n" not in str(caught.value)
