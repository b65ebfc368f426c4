"""Configs: the versions are those of the study, and an impossible config says what is wrong."""

import dataclasses
import hashlib
import json
import math
import pickle

import numpy as np
import pytest

from lensing_tfds.config_differences import differences, map_differences
from lensing_tfds.configs import DATASET_VERSION, SPLITS, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records.shard_plans import ShardSpec
from lensing_tfds.simulation import simulate
from lensing_tfds.sky.kaiser_bessel import fine_size
from lensing_tfds.sky.spectra import fiducial
from lensing_tfds.versions import VERSIONS, get_config

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


def test_survey_versions_are_those_of_the_table():
    """(stokes, npix, pixel', internal pixel', beam', noise µK', unlensed E)."""
    table = {
        "v9": ("T", 256, 2.0, 1.0, 1.4, 6.0, False),
        "v10": ("TQU", 256, 2.0, 1.0, 1.4, 1.0, True),
        "v11": ("QU", 128, 2.34375, 1.171875, 1.0, 1.0, True),
        "v12": ("QU", 256, 2.0, 1.0, 2.0, 1.0, False),
        "v16": ("TQU", 256, 2.0, 1.0, 1.4, 1.0, True),
        "v17": ("TQU", 256, 2.0, 1.0, 1.4, 1.0, True),
    }
    for name, row in table.items():
        c = VERSIONS[name]
        internal = math.degrees(c.internal.pixel) * 60
        assert row[1] == c.npix and (row[0], row[6]) == (c.stokes, c.unlensed_E)
        assert (row[2], row[3]) == pytest.approx((c.pixel_arcmin, internal))
        assert row[4:6] == (c.beam_arcmin, c.noise_uK_arcmin)
        assert c.num_examples == {"train": 4_000, "validation": 500, "test": 500}
        assert (c.padding, c.taper, c.T_lmax, c.kappa_lmax) == (1, 0, None, None)


def test_versions_where_theory_gives_up_are_those_of_the_table():
    v13, v14, v15 = (VERSIONS[name] for name in ("v13", "v14", "v15"))
    assert (v13.stokes, v13.npix, v13.beam_arcmin, v13.noise_uK_arcmin) == ("QU", 256, 2.0, 1.0)
    assert (v13.one_over_f.P_knee, v13.one_over_f.slope, v13.kappa_lmax) == (100, -3, 3000)
    assert (v13.mask.border, v13.mask.edge, v13.mask.multiplies) == (0.4, 0.6, "signal")
    assert (v13.tensors.r_min, v13.tensors.r_max) == (1e-6, 0.1)
    assert (v14.stokes, v14.npix, v14.beam_arcmin, v14.taper) == ("QU", 128, 1.0, 1.5)
    assert {"rotation", "tau", "unlensed_E"} <= v14.map_features.keys()
    assert (v15.stokes, v15.npix, v15.beam_arcmin, v15.noise_uK_arcmin) == ("TQU", 256, 1.4, 6)
    assert (v15.one_over_f.T_knee, v15.one_over_f.P_knee, v15.hits.contrast) == (1000, 700, 4)
    assert (v15.mask.holes, v15.mask.hole_radius_arcmin, v15.splits) == (30, 5, 2)
    assert v15.map_features["splits"] == 6
    assert all(c.oversampling == 2 and c.pixel_arcmin <= 2.35 for c in (v13, v14, v15))


def test_the_simulated_box():
    config = get_config(GOOD | {"padding": 1.5, "oversampling": 3, "stokes": "TQU"})
    assert (config.sky.npix, config.box.npix, config.internal.npix) == (192, 288, 864)
    assert config.box.pixel == pytest.approx(config.sky.pixel)
    assert config.internal.side == config.box.side == pytest.approx(1.5 * config.side)
    assert config.channels == ("T", "Q", "U")
    assert config.map_features == {"lensed": 3, "unlensed": 3, "kappa": 1}


def test_what_examples_are_a_function_of_grows_no_longer_when_fields_are_added():
    """Else every seal of an older build would be void, and its shards written again."""
    assert VERSIONS["v8"].to_json_of_examples() == {
        "npix": 50,
        "lx": 22.9,
        "kappa_lmax": 50,
        "noise_uK_arcmin": 5.0,
    }


@pytest.mark.parametrize(
    ("name", "fingerprint", "json_digest"),
    [
        ("v1", "badac55b010783ca", "928942650a653d98"),
        ("v2", "1634be88c074828a", "8127c0aa82b2f0a1"),
        ("v3", "2c01678c38979568", "a0f98116f24c8e80"),
        ("v4", "c83f4251b041dac0", "33380de59254f39c"),
        ("v5", "b01e240e25ffb530", "9d99ef499cdead51"),
        ("v6", "4c39a6268e1eb131", "40960ff7c52a6668"),
        ("v7", "9b3f7e8e3bd307c8", "24f2c4c85473336b"),
        ("v8", "3a2f8c97d897d469", "d84bf9402c48890d"),
        ("v9", "296fd9885c76360a", "b4f92a58a957d27d"),
        ("v10", "1e7be4982ff73970", "4bde825545c3e852"),
        ("v11", "20196ca3124596c0", "acabe57998a78bab"),
        ("v12", "d02948247fd8c9a5", "646f2ba268de727d"),
    ],
)
def test_a_new_field_leaves_fingerprints_and_json_of_the_older_versions(
    name, fingerprint, json_digest
):
    """Those of the release with twelve versions: datasets, seals and runs stay what they are."""
    config = VERSIONS[name]
    assert ShardSpec(config, "train", 0, 4, "x").fingerprint[:16] == fingerprint
    text = json.dumps(config.to_json())
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == json_digest


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
        ({"stokes": "QU", "T_lmax": 20}, "T_lmax is 20, must be an integer from 26 to"),
        ({"kappa_lmax": 17}, "kappa_lmax is 17, must be an integer from 18 to 16000"),
        ({"T_lmax": 16_001}, "T_lmax is 16001, must be an integer from 18 to 16000"),
        ({"lx": 0.02, "T_lmax": 9000}, "longest wave, l = 18000, is beyond the spectra's 16000"),
        ({"lx": 0.001}, "lx is 0.001, must be such that the patch, of 0.001 degrees, has power"),
        ({"lx": None, "nside_equiv": 2**20}, "nside_equiv is 1048576, must be such that the patch"),
        ({"beam_arcmin": 10_000}, "beam_arcmin is 10000, must be a number from 0 to 3051.98"),
        ({"lx": 90, "padding": 8, "T_lmax": 1}, "T_lmax is 1, must be an integer from 2 to"),
        ({"noise_uK_arcmin": -5}, "noise_uK_arcmin is -5, must be a number from 0"),
        ({"kappa_exaggeration_factor": 0}, "kappa_exaggeration_factor is 0"),
        ({"fixed_unlensed": 1}, "fixed_unlensed is 1, must be true or false"),
        ({"seed": -1}, "seed is -1"),
        ({"num_examples": {"train": 5}}, "a number for each of train, validation, test"),
        ({"num_examples": {"train": 0, "validation": 1, "test": 1}}, "integers from 1 to 1,099,"),
        ({"num_examples": {"train": 2**63, "validation": 1, "test": 1}}, "from 1 to 1,099,511,"),
        ({"num_examples": {"train": 10**30, "validation": 1, "test": 1}}, "from 1 to 1,099,511,"),
        ({"name": "a/b"}, "name is 'a/b'"),
        ({"name": "-x"}, "name is '-x', must be letters, digits, '_', '-' and '.', the first one"),
        ({"name": ".x"}, "the first one a to z, A to Z or a digit"),
        ({"name": ".."}, "the first one a to z, A to Z or a digit"),
        ({"name": "x" * 101}, "of 101 bytes, must have at most 100"),
        ({"name": "x" + "ö" * 50}, "of 101 bytes, must have at most 100"),
        ({"name": "v7"}, "the name 'v7' is taken by another version (npix: 50 -> 192; lx: 22.9"),
        ({"kappa_exaggeration_factor": 2e5}, "kappa_exaggeration_factor is 200000.0, must be at"),
        ({"npx": 12}, "unknown field 'npx'; the fields are name, npix"),
        ({"stokes": "TE"}, "stokes is 'TE', must be one of 'T', 'TQU', 'QU'"),
        ({"oversampling": 0}, "oversampling is 0, must be an integer from 1 to 16"),
        ({"npix": 4096, "oversampling": 4}, "at most 8192 internal pixels on a side, not 16384"),
        ({"padding": 0.5}, "padding is 0.5, must be a number from 1 to 8"),
        ({"padding": 1.001}, "padding is 1.001, must be such that npix x padding is whole (192"),
        ({"beam_arcmin": -1}, "beam_arcmin is -1, must be a number from 0"),
        ({"taper": 10.5}, "taper is 10.5, must be a number from 0 to 10"),
        ({"unlensed_E": 1, "stokes": "QU"}, "unlensed_E is 1, must be true or false"),
        ({"unlensed_E": True}, "unlensed_E is True, must be false where stokes has no 'QU'"),
        ({"cosmology": {}}, "cosmology is {}, must be null, or CAMB's parameters"),
        ({"cosmology": {"H0": None}}, "a finite number for 'H0', not None"),
        ({"cosmology": {"H0": "70"}}, "a finite number for 'H0', not '70'"),
        ({"cosmology": {"H0": True}}, "a finite number for 'H0', not True"),
        ({"cosmology": {"H0": math.nan}}, "a finite number for 'H0', not nan"),
        ({"cosmology": {"H0": 10**400}}, "a finite number for 'H0', not 1000"),
        ({"cosmology": {"H0": [70]}}, "a finite number for 'H0', not [70]"),
        ({"cosmology": {"halofit_version": 5}}, "a text for 'halofit_version', not 5"),
        ({"cosmology": {7: 1}}, "of parameters that the maps follow, not 7"),
    ],
)
def test_an_impossible_config_names_the_field_the_value_and_the_bound(change, message):
    with pytest.raises(LensingError) as caught:
        get_config(GOOD | change)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_longest_name_is_one_that_files_can_have(tmp_path):
    name = get_config(GOOD | {"name": "x" * 100}).name
    shard = tmp_path / name / f"lensing-validation-{name}.tfrecord-00000-of-99999.crc32c.partial"
    shard.parent.mkdir()
    shard.touch()


def test_numpys_numbers_are_numbers_of_json():
    config = get_config(GOOD | {"cosmology": {"H0": np.float32(70), "omch2": np.float64(0.11)}})
    assert json.loads(json.dumps(config.to_json()))["cosmology"] == {"H0": 70.0, "omch2": 0.11}


def test_no_patch_without_exaggeration_deflects_too_far():
    """The smallest pixels of all sizes; and a hundred times more is fine where pixels are large."""
    for lx in np.geomspace(0.0225, 90, 12):
        LensingConfig("x", npix=4096, oversampling=2, lx=float(lx)).check_deflection(fiducial())
    get_config(GOOD | {"kappa_exaggeration_factor": 100})


def test_the_bound_of_the_exaggeration_is_that_of_the_rms_deflection():
    """By the sum over the grid's own modes, where the bound has that over multipoles."""
    with pytest.raises(LensingError, match="must be at most ([^:]*): ") as caught:
        get_config(GOOD | {"kappa_exaggeration_factor": 1e6})
    bound = float(str(caught.value).partition("at most ")[2].partition(":")[0])
    get_config(GOOD | {"kappa_exaggeration_factor": 0.99 * bound})
    config = get_config(GOOD)
    n = np.fft.fftfreq(192, 1 / 192)
    ell = np.hypot(n[:, None], n) * 2 * np.pi / config.side
    ell[0, 0] = np.inf
    c_ell = np.interp(ell, np.arange(len(fiducial().kappa)), fiducial().kappa, right=0)
    rms = np.sqrt(np.sum(4 * c_ell / ell**2)) / config.side / config.sky.pixel
    assert bound * rms == pytest.approx(1e-3 / 2**-23 / 5, rel=0.1)  # a dozen modes carry most


@pytest.mark.parametrize("form", ["v7", "lensing/v7"])
def test_a_version_has_its_name_or_the_datasets(form):
    assert get_config(form) is VERSIONS["v7"]


def test_json_may_begin_as_editors_begin_files():
    assert get_config("\ufeff" + json.dumps(GOOD)) == get_config(GOOD)


@pytest.mark.parametrize("text", ["[1]", "null", '"v7"', "7", " [", "true"])
def test_json_that_is_no_object_is_not_a_versions_name(text):
    with pytest.raises(LensingError, match="config: not ") as caught:
        get_config(text)
    assert "\n" not in str(caught.value) and "unknown version" not in str(caught.value)


@pytest.mark.parametrize("taker", [get_config, lambda config: simulate(config, "train", [0])])
def test_the_path_of_a_file_is_no_config(taker, tmp_path, monkeypatch):
    path = tmp_path / "my wide.json"
    path.write_text(json.dumps(GOOD))
    with pytest.raises(LensingError, match="config is the path of a file") as caught:
        taker(str(path))
    assert f"""--config "$(cat '{path}')\"""" in str(caught.value)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LensingError, match="config is the path of a file"):
        taker("my wide.json")


def test_a_versions_name_is_taken_for_whoever_asks():
    """The version itself, said in full, is the version."""
    other = {"name": "v7", "npix": 16, "lx": 5}
    for config in (other, json.dumps(other), LensingConfig(**other)):
        for taker in (get_config, lambda c: simulate(c, "train", [0])):
            with pytest.raises(LensingError, match="the name 'v7' is taken by another version"):
                taker(config)
    assert get_config(VERSIONS["v7"].to_json()) is VERSIONS["v7"]


def test_a_missing_field_an_unknown_version_and_broken_json_are_named():
    with pytest.raises(LensingError, match="field 'npix' is missing"):
        get_config({"name": "wide"})
    with pytest.raises(LensingError, match="unknown version 'v99'; the versions are v1, v2, .*v8"):
        get_config("v99")
    with pytest.raises(LensingError, match="not valid JSON"):
        get_config('{"name": wide}')


@pytest.mark.parametrize("nothing", [None, [1], 7, b"v1", ("v1",)])
def test_what_is_no_config_at_all_is_one_line(nothing):
    with pytest.raises(LensingError, match="give a version's name, JSON, a mapping or a Lens"):
        get_config(nothing)


def test_a_key_given_twice_is_refused_and_not_the_last_one_taken():
    with pytest.raises(LensingError, match="the key 'npix' is there twice: 16 and 20"):
        get_config('{"name": "wide", "npix": 16, "npix": 20, "lx": 5}')
    with pytest.raises(LensingError, match="the key 'H0' is there twice"):
        get_config('{"name": "w", "npix": 16, "lx": 5, "cosmology": {"H0": 70, "H0": 67}}')


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


def test_configs_whose_examples_were_once_wrong_are_those_whose_wrap_rounded_below_one():
    """None of the versions; and shards know it."""
    for npix in range(8, 8193):
        fine = np.float32(fine_size(npix))
        wrong = fine * np.float32(1 / fine) < 1
        oversampling = 1 if npix <= 4096 else 2
        if npix % oversampling:
            continue
        config = LensingConfig("x", npix=npix // oversampling, oversampling=oversampling, lx=5.0)
        assert config.internal.npix == npix
        assert bool(config.corrections) == wrong, npix
    assert not any(config.corrections for config in VERSIONS.values())


def test_shards_from_before_a_correction_hold_other_examples():
    config = LensingConfig("x", npix=172, oversampling=2, lx=5.0)
    spec = ShardSpec(config, "train", 0, 2, "x")
    content = [DATASET_VERSION, config.to_json_of_examples(), "train", 0, 2]
    before = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    assert spec.fingerprint != before
    unchanged = dataclasses.replace(config, npix=128)
    content[1] = unchanged.to_json_of_examples()
    before = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    assert dataclasses.replace(spec, config=unchanged).fingerprint == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"npix": 64, "lx": 2.5}, "npix: 128 -> 64"),
        ({"lx": 6.0}, "pixel_arcmin: 2.34375 -> 2.8125"),
        ({"stokes": "TQU"}, "stokes: 'QU' -> 'TQU'"),
        ({"beam_arcmin": 2.0}, "beam_arcmin: 1.0 -> 2.0"),
        ({"noise_uK_arcmin": 5.0}, "noise_uK_arcmin: 1.0 -> 5.0"),
        ({"cosmology": {"H0": 70.0}}, "cosmology: None -> {'H0': 70.0}"),
        ({"seed": 3, "unlensed_E": False, "num_examples": dict.fromkeys(SPLITS, 4)}, ""),
    ],
)
def test_what_makes_other_maps_is_named_and_nothing_else(change, said):
    other = dataclasses.replace(VERSIONS["v11"], name="other", **change)
    assert map_differences(VERSIONS["v11"], other) == said


def test_a_patch_is_the_same_however_it_is_given():
    side = VERSIONS["v1"].side
    alike = dataclasses.replace(VERSIONS["v1"], nside_equiv=None, lx=math.degrees(side))
    assert map_differences(VERSIONS["v1"], alike) == ""
