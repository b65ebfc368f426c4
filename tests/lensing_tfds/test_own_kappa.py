"""Skies lensed by κ maps from files: which map is whose, and files that are none."""

import dataclasses
import json

import numpy as np
import pytest

from lensing_tfds import LensingConfig, simulate
from lensing_tfds.errors import LensingError
from lensing_tfds.records.shard_plans import ShardSpec
from lensing_tfds.versions import get_config

FIELDS = {"name": "own", "npix": 16, "lx": 2.0, "oversampling": 2, "stokes": "T"}
NPIX = 32
PLAIN = get_config(FIELDS | {"name": "plain"})


def some_maps(count, seed):
    maps = np.random.default_rng(seed).normal(0, 0.05, (count, NPIX, NPIX))
    return maps - maps.mean((1, 2), keepdims=True)


@pytest.fixture
def folder(tmp_path):
    """κ maps of three splits: a stack of two and a single one, a named array, and FITS."""
    fits = pytest.importorskip("astropy.io.fits")
    np.save(tmp_path / "two.npy", some_maps(2, 1))
    np.save(tmp_path / "one.npy", some_maps(1, 2)[0].astype(np.float32))
    np.savez(tmp_path / "named.npz", kappa=some_maps(1, 3), other=np.zeros(3))
    fits.PrimaryHDU(some_maps(3, 4)).writeto(tmp_path / "maps.fits")
    return tmp_path


@pytest.fixture
def files(folder):
    return {
        "train": [str(folder / "two.npy"), str(folder / "one.npy")],
        "validation": [str(folder / "named.npz")],
        "test": [str(folder / "maps.fits")],
    }


def test_an_example_has_the_map_of_its_index(files):
    config = get_config(FIELDS | {"kappa_files": files})
    train = np.concatenate([some_maps(2, 1), some_maps(1, 2)])
    for split, maps in (
        ("train", train),
        ("validation", some_maps(1, 3)),
        ("test", some_maps(3, 4)),
    ):
        indices = [0, 1, 2, 3, 2**40]
        examples = simulate(config, split, indices)
        internal, sky = config.internal, config.sky
        for index, kappa in zip(indices, examples["kappa"][..., 0], strict=True):
            modes = internal.to_modes(maps[index % len(maps)])
            ours = sky.to_modes(kappa.astype(float))
            half = slice(0, sky.npix // 2)
            np.testing.assert_allclose(ours[half, half], modes[half, half], atol=1e-9)
        np.testing.assert_array_equal(
            simulate(config, split, [2**40])["lensed"][0], examples["lensed"][4]
        )
        np.testing.assert_array_equal(
            examples["unlensed"], simulate(PLAIN, split, indices)["unlensed"]
        )


def test_a_map_that_is_the_same_everywhere_is_refused(files, tmp_path):
    """Its labels would be zero: an image that was never written, above all."""
    np.save(tmp_path / "empty.npy", np.zeros((NPIX, NPIX)))
    with pytest.raises(LensingError, match="empty.npy: map 0 is 0 in every pixel"):
        get_config(FIELDS | {"kappa_files": files | {"test": [str(tmp_path / "empty.npy")]}})


def test_lensed_by_the_drawn_kappa_from_a_file_is_the_drawn_sky(tmp_path):
    """The simulator's own κ of example 5, written to a file and read back."""
    from lensing_tfds.simulation import Simulator

    simulator = Simulator(PLAIN, "train")
    scratch = simulator._scratch()
    seed, _ = simulator._draw([5] * simulator.block_size, scratch)
    np.save(tmp_path / "drawn.npy", PLAIN.internal.to_map(seed[:1]))
    for split in ("validation", "test"):
        np.save(tmp_path / f"{split}.npy", some_maps(1, len(split)))
    paths = {"train": "drawn", "validation": "validation", "test": "test"}
    given = {split: [str(tmp_path / f"{name}.npy")] for split, name in paths.items()}
    own = simulate(FIELDS | {"kappa_files": given}, "train", [5])
    drawn = simulate(PLAIN, "train", [5])
    np.testing.assert_allclose(own["lensed"], drawn["lensed"], atol=1e-3)
    assert np.std(drawn["lensed"] - drawn["unlensed"]) > 0.1


def test_exaggeration_and_cut_hold_for_files_too(files):
    config = get_config(
        FIELDS | {"kappa_files": files, "kappa_exaggeration_factor": 2, "kappa_lmax": 900}
    )
    plain = get_config(FIELDS | {"kappa_files": files})
    ours, theirs = (
        c.sky.to_modes(simulate(c, "train", [0])["kappa"][0, ..., 0].astype(float))
        for c in (config, plain)
    )
    kept = config.sky.ell <= 900
    np.testing.assert_allclose(ours[kept], 2 * theirs[kept], atol=1e-9)
    assert np.abs(ours[~kept]).max() < 1e-9


def fingerprint(config):
    return ShardSpec(config, "train", 0, 4, "x").fingerprint


def test_a_fingerprint_is_of_contents_and_not_of_places(files, folder):
    config = get_config(FIELDS | {"kappa_files": files})
    (folder / "elsewhere").mkdir()
    moved = {
        split: [str(folder / "elsewhere" / path.rpartition("/")[2]) for path in paths]
        for split, paths in files.items()
    }
    for old, new in zip(sum(files.values(), []), sum(moved.values(), []), strict=True):
        with open(old, "rb") as source, open(new, "wb") as target:
            target.write(source.read())
    assert fingerprint(get_config(FIELDS | {"kappa_files": moved})) == fingerprint(config)
    np.save(moved["train"][1], some_maps(1, 9)[0])
    assert fingerprint(get_config(FIELDS | {"kappa_files": moved})) != fingerprint(config)
    assert fingerprint(config) != fingerprint(PLAIN)


def test_json_gives_the_config_back_where_the_files_are_not(files, folder):
    config = get_config(FIELDS | {"kappa_files": files})
    text = json.dumps(config.to_json())
    (folder / "one.npy").unlink()
    again = get_config(text)
    assert again == config and hash(again) == hash(config)
    with pytest.raises(LensingError, match=r"one.npy: there is no such file of κ maps"):
        simulate(again, "train", [0])
    np.save(folder / "one.npy", some_maps(1, 7)[0])
    with pytest.raises(LensingError, match="is not the file that the config was made with"):
        simulate(again, "train", [0])
    assert len(simulate(again, "validation", [0])["kappa"]) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.zeros((16, 16)), r"shape \(1, 16, 16\), must be \(32, 32\).*32 internal pixels"),
        (np.zeros((2, 3, 32, 32)), r"shape \(2, 3, 32, 32\)"),
        (np.where(np.arange(1024).reshape(32, 32) == 7, np.nan, 0.0), "map 0 has NaN"),
        (np.full((32, 32), 50.0), "up to 50, must be at most 10"),
        (np.zeros((32, 32), int), "numbers of type int64"),
    ],
)
def test_files_that_hold_no_such_maps_are_named_when_the_config_is_made(files, content, words):
    np.save(files["train"][1], content)
    with pytest.raises(LensingError, match=words) as caught:
        get_config(FIELDS | {"kappa_files": files})
    assert str(caught.value).startswith("config 'own': ") and "one.npy" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train": []}, "train is [], must be a list of at least one path"),
        ({"train": "maps.npy"}, "train is 'maps.npy', must be a list"),
        ({"train": [{"path": "maps.npy"}]}, "must be a list of at least one path"),
        ({"train": ["no such.npy"]}, "no such.npy"),
        ({"train": ["maps.txt"]}, "maps.txt: κ maps are read from .npy, .npz, .fits"),
        ({"nights": []}, "unknown field 'nights'"),
    ],
)
def test_lists_of_files_that_are_none(files, changes, words):
    with pytest.raises(LensingError) as caught:
        get_config(FIELDS | {"kappa_files": files | changes})
    assert words in str(caught.value)


def test_splits_share_no_file_and_nothing_else_makes_kappa(files):
    with pytest.raises(LensingError, match=r"is in test, and the same maps in train"):
        get_config(FIELDS | {"kappa_files": files | {"test": files["train"]}})
    for other in ({"foregrounds": {}}, {"kappa": {"skewness": 0.05}}):
        with pytest.raises(LensingError, match="is given too, which goes with a κ that is drawn"):
            get_config(FIELDS | {"kappa_files": files} | other)


def test_pages_say_where_kappa_is_from(files):
    from lensing_tfds import realism

    config = get_config(FIELDS | {"kappa_files": files})
    assert "κ is that of files" in realism.why_not_camb(config)
    assert "3 maps from files" in " ".join(d.text for d in realism.departures(config))
    assert isinstance(dataclasses.replace(config, seed=3), LensingConfig)
