"""The TFDS dataset: what is loaded is what is simulated, and no build reuses another's data."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from matplotlib import pyplot

import lensing_tfds
from lensing_tfds import LensingConfig, LensingError, release
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.records.datasets import open_built
from lensing_tfds.records.reading import evaluation_batches
from pipelines import croissant
from tests.old_datasets import make_old


def build(config, folder, **download_config):
    builder = Builder(config=config, data_dir=folder)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(**download_config))
    return builder


with tfds.core.registered.skip_registration():

    class BuilderWithASmallVersion(Builder):
        """TFDS's own test case takes the configs of the class by name."""

        name = "lensing"  # which its files must say
        BUILDER_CONFIGS = [
            LensingConfig(
                "small",
                npix=8,
                nside_equiv=128,
                T_lmax=383,
                noise_uK_arcmin=1.0,
                num_examples={"train": 6, "validation": 4, "test": 3},
            )
        ]


class TestTfdsOwnTestCase(tfds.testing.DatasetBuilderTestCase):
    """TFDS's DatasetBuilderTestCase, run as it stands."""

    DATASET_CLASS = BuilderWithASmallVersion
    SPLITS = {"train": 6, "validation": 4, "test": 3}
    EXAMPLE_DIR = pathlib.Path(__file__).parent  # nothing is read: there is no dummy data


def test_every_split_loads_as_it_is_simulated_bit_for_bit(tmp_path, tiny):
    build(tiny, tmp_path)
    for split, count in tiny.num_examples.items():
        expected = lensing_tfds.simulate(tiny, split, range(count))
        loaded = tfds.load("lensing/tiny", split=split, data_dir=tmp_path)
        examples = list(loaded.as_numpy_iterator())
        for name in expected:
            np.testing.assert_array_equal([e[name] for e in examples], expected[name])


def test_metadata_features_and_supervised_keys(tmp_path, tiny):
    build(tiny, tmp_path)
    builder = tfds.builder("lensing/tiny", data_dir=tmp_path)  # knows only what is on disk
    assert LensingConfig.from_json(builder.info.metadata["config"]).to_json() == tiny.to_json()
    assert builder.info.supervised_keys == ("lensed", "kappa")
    features = builder.info.features
    assert set(features) == {"lensed", "unlensed", "kappa", "index"}
    for name in ("lensed", "unlensed", "kappa"):
        assert features[name].shape == (16, 16, 1) and features[name].np_dtype == np.float32
        assert features[name].doc.desc
    assert features["lensed"].doc.value_range == "µK"
    assert "convergence" in builder.info.description and "@" in builder.info.citation


def test_channels_of_a_polarized_dataset(tmp_path):
    config = LensingConfig(
        "polarized",
        npix=16,
        lx=2.0,
        stokes="TQU",
        oversampling=2,
        unlensed_E=True,
        num_examples={"train": 5, "validation": 2, "test": 2},
    )
    build(config, tmp_path)
    builder = tfds.builder("lensing/polarized", data_dir=tmp_path)
    metadata, features = builder.info.metadata, builder.info.features
    stokes = ["T", "Q", "U"]
    assert metadata["channels"] == {
        "lensed": stokes, "unlensed": stokes, "kappa": ["kappa"], "unlensed_E": ["E"],
    }  # fmt: skip
    assert metadata["units"]["lensed"] == metadata["units"]["unlensed_E"] == "µK"
    for name, channels in metadata["channels"].items():
        assert features[name].shape == (16, 16, len(channels))
    assert "T, Q, U" in features["lensed"].doc.desc
    expected = lensing_tfds.simulate(config, "train", range(5))
    examples = list(builder.as_dataset(split="train").as_numpy_iterator())
    for name in expected:
        np.testing.assert_array_equal([e[name] for e in examples], expected[name])


def test_every_feature_of_masks_noise_and_tensors_comes_back(tmp_path):
    """By TFDS and without it, a scalar among them, bit for bit; and in the Croissant metadata."""
    config = LensingConfig(
        "everything",
        npix=16,
        lx=4.0,
        stokes="TQU",
        noise_uK_arcmin=5.0,
        one_over_f={"P_knee": 300},
        hits={"contrast": 4},
        mask={"border": 0.5, "holes": 2, "hole_radius_arcmin": 15},
        tensors={"r_min": 0, "r_max": 0.1},
        rotation={"amplitude": 1e-4},
        optical_depth={"rms": 0.01, "L_c": 400},
        splits=2,
        num_examples={"train": 5, "validation": 2, "test": 2},
    )
    build(config, tmp_path)
    builder = tfds.builder("lensing/everything", data_dir=tmp_path)
    assert builder.info.features["r"].shape == ()
    assert builder.info.metadata["channels"]["splits"] == ["T", "Q", "U", "T", "Q", "U"]
    expected = lensing_tfds.simulate(config, "train", range(5))
    assert expected["r"].shape == (5,) and expected["splits"].shape == (5, 16, 16, 6)
    examples = list(builder.as_dataset(split="train").as_numpy_iterator())
    stored = open_built("everything", str(tmp_path))
    (ours,) = evaluation_batches(stored, "train", 5)
    for name in expected:
        np.testing.assert_array_equal([e[name] for e in examples], expected[name])
        np.testing.assert_array_equal(ours[name], expected[name])
    files = [
        croissant.data_file(spec.path, split)
        for split, plan in stored.plans.items()
        for spec in plan.shards()
    ]
    text = croissant.croissant(stored, files, croissant.TFRECORD)
    assert "train/r" in text and "train/mask" in text


def test_a_dataset_keeps_the_name_of_the_release_that_built_it(tmp_path, tiny, monkeypatch):
    first = build(tiny, tmp_path)
    before = {path.name: path.read_bytes() for path in pathlib.Path(first.data_path).iterdir()}
    monkeypatch.setattr(release, "__version__", "9.9.9")
    again = Builder(config=tiny, data_dir=tmp_path)
    again.check_shards = True
    again.download_and_prepare()
    assert before == {p.name: p.read_bytes() for p in pathlib.Path(first.data_path).iterdir()}


def test_a_dataset_built_before_a_field_was_added_is_still_known(tmp_path, tiny):
    builder = build(tiny, tmp_path)
    path = builder.data_path / "metadata.json"
    stored = json.loads(path.read_text())
    assert stored["lensing_tfds_version"] == lensing_tfds.__version__
    del stored["config"]["stokes"], stored["config"]["oversampling"]
    path.write_text(json.dumps(stored))
    make_old(pathlib.Path(builder.data_path))
    again = Builder(config=tiny, data_dir=tmp_path)
    again.check_shards = True
    again.download_and_prepare()
    assert again.summary.total.reused == again.summary.total.shards


@pytest.mark.parametrize("version", lensing_tfds.VERSIONS)
def test_every_version_builds_and_loads(tmp_path, version):
    """Three examples a split here; the sizes of the versions are their configs'."""
    build(version, tmp_path, max_examples_per_split=3)
    expected = lensing_tfds.simulate(version, "train", range(3))
    builder = tfds.builder(f"lensing/{version}", data_dir=tmp_path)
    loaded = list(builder.as_dataset(split="train", as_supervised=True).as_numpy_iterator())
    np.testing.assert_array_equal([lensed for lensed, _ in loaded], expected["lensed"])
    np.testing.assert_array_equal([kappa for _, kappa in loaded], expected["kappa"])


def test_shard_count_does_not_change_the_examples(tmp_path, tiny):
    few = build(tiny, tmp_path / "few")
    many = build(tiny, tmp_path / "many", num_shards=6)
    assert few.info.splits["train"].num_shards == 1
    assert many.info.splits["train"].num_shards == 6
    assert many.info.splits["test"].num_shards == 5  # five examples, no empty shard
    for split in tiny.num_examples:
        pairs = zip(few.as_dataset(split=split), many.as_dataset(split=split), strict=True)
        for one, other in pairs:
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])


def test_a_folder_with_another_config_of_the_name_is_refused(tmp_path, tiny):
    build(tiny, tmp_path)
    build(tiny, tmp_path)  # the same again is fine
    other = dataclasses.replace(tiny, seed=7, noise_uK_arcmin=2.0)
    with pytest.raises(LensingError, match=r"noise_uK_arcmin: 0.0 -> 2.0; seed: 0 -> 7"):
        build(other, tmp_path)
    enlarged = dataclasses.replace(tiny, num_examples=dict(tiny.num_examples, train=41))
    with pytest.raises(LensingError, match="num_examples"):
        build(enlarged, tmp_path)


@pytest.mark.parametrize("num_shards", [0, -1])
def test_a_number_of_shards_that_cannot_be_is_named(tmp_path, tiny, num_shards):
    with pytest.raises(LensingError, match=f"num_shards is {num_shards}: must be at least 1"):
        build(tiny, tmp_path, num_shards=num_shards)
    assert not (tmp_path / "lensing").exists()


def test_tfds_largest_size_of_shards_is_kept(tmp_path, tiny):
    builder = build(tiny, tmp_path, max_shard_size=10 * 3 * 4 * 16**2)
    assert builder.info.splits["train"].num_shards == 4  # of 40 examples


def test_overwriting_starts_anew(tmp_path, tiny):
    build(tiny, tmp_path)
    other = dataclasses.replace(tiny, seed=7)
    builder = build(other, tmp_path, download_mode=tfds.GenerateMode.REUSE_CACHE_IF_EXISTS)
    assert builder.summary.total.reused == 0
    (example,) = builder.as_dataset(split="train").take(1)
    np.testing.assert_array_equal(
        example["kappa"], lensing_tfds.simulate(other, "train", [0])["kappa"][0]
    )


def test_what_was_done_is_reported(tmp_path, tiny, capsys):
    builder = build(tiny, tmp_path)
    assert builder.summary["train"].num_examples == 40
    paths = (tmp_path / "lensing" / "tiny" / DATASET_VERSION).glob("*-of-00001")
    assert builder.info.dataset_size == sum(path.stat().st_size for path in paths)
    assert "lensing/tiny: 52 examples, 0 MB, 3 shards; a shard took" in capsys.readouterr().err


def test_a_config_is_taken_as_json_too(tmp_path, tiny):
    for config in (json.dumps(tiny.to_json()), tiny.to_json()):
        builder = tfds.builder("lensing", config=config, data_dir=tmp_path)
        assert builder.builder_config.to_json() == tiny.to_json()


@pytest.mark.parametrize("config", ["v7", "lensing/v7", lensing_tfds.VERSIONS["v7"].to_json()])
def test_a_version_is_taken_in_every_form(tmp_path, config):
    builder = tfds.builder("lensing", config=config, data_dir=tmp_path)
    assert builder.builder_config is lensing_tfds.VERSIONS["v7"]


@pytest.mark.parametrize("config", [["v7"], 7, "[1]", {"name": "v7", "npix": 16, "lx": 5}])
def test_what_is_no_config_is_one_line(tmp_path, config):
    with pytest.raises(LensingError) as caught:
        tfds.builder("lensing", config=config, data_dir=tmp_path)
    assert "\n" not in str(caught.value)


def test_a_shortened_debugging_build_is_not_taken_for_the_whole(tmp_path, tiny):
    build(tiny, tmp_path, max_examples_per_split=2)
    build(tiny, tmp_path, max_examples_per_split=2)  # the same again is fine
    with pytest.raises(LensingError, match="num_examples"):
        build(tiny, tmp_path)


def test_names_of_versions_are_taken(tmp_path, tiny):
    same = LensingConfig.from_json(lensing_tfds.VERSIONS["v7"].to_json())
    assert Builder(config=same, data_dir=tmp_path).builder_config == lensing_tfds.VERSIONS["v7"]
    with pytest.raises(LensingError, match="'v7' is taken"):
        Builder(config=dataclasses.replace(tiny, name="v7"), data_dir=tmp_path)


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path, tiny):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LensingError, match=f"data_dir {tmp_path}/file cannot be written"):
        build(tiny, tmp_path / "file")


def tfds_build(folder, config):
    return subprocess.run(
        [str(pathlib.Path(sys.executable).with_name("tfds")), "build", "lensing_tfds"]
        + ["--config", config, "--data_dir", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_tfds_command_builds_a_custom_config_and_reports_bad_ones_in_one_line(tmp_path, tiny):
    good = tfds_build(tmp_path, json.dumps(tiny.to_json()))
    assert good.returncode == 0, good.stderr
    assert (tmp_path / "lensing" / "tiny" / DATASET_VERSION / "dataset_info.json").exists()
    bad = tfds_build(tmp_path, '{"name": "x", "npix": 0, "lx": 5}')
    assert bad.returncode != 0
    assert bad.stderr.splitlines()[-1].startswith("error: config 'x': npix is 0")
    assert "Traceback" not in bad.stderr
    twice = tfds_build(tmp_path, '{"name": "x", "npix": 16, "lx": 5, "npix": 20}')
    assert twice.returncode != 0
    assert twice.stderr.splitlines()[-1].endswith("the key 'npix' is there twice: 16 and 20")
    assert not (tmp_path / "lensing" / "x").exists()


@pytest.mark.parametrize(("stokes", "panels"), [("T", 3), ("TQU", 8)])
@pytest.mark.parametrize("by_name", [True, False])
def test_tfds_shows_examples(tmp_path, stokes, panels, by_name):
    config = LensingConfig(
        "shown",
        npix=16,
        lx=5.0,
        stokes=stokes,
        unlensed_E=stokes == "TQU",
        num_examples={"train": 4, "validation": 2, "test": 2},
    )
    builder = build(config, tmp_path)
    if by_name:
        builder = tfds.builder("lensing/shown", data_dir=tmp_path)  # knows only what is on disk
    figure = tfds.show_examples(builder.as_dataset(split="train"), builder.info, rows=2)
    titles = [panel.get_title() for panel in figure.axes]
    assert len(titles) == 2 * panels
    assert any(title.startswith("kappa (±") for title in titles)
    (image,) = figure.axes[0].get_images()
    first = next(iter(tfds.as_numpy(builder.as_dataset(split="train"))))
    np.testing.assert_array_equal(image.get_array(), first["lensed"][..., 0])
    pyplot.close(figure)
