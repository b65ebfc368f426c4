"""The frozen protocol agrees with the code, and with examples that are simulated here."""

import dataclasses
import hashlib
import importlib.resources

import numpy as np
import pytest

from estimators.benchmark.digests import Agreement, Digest, digests
from estimators.benchmark.protocol import FILE, FrozenSplit, protocol, text_of
from estimators.ensemble import SkyEnsemble, bands_of
from estimators.out_of_distribution import changed_skies
from lensing_tfds import VERSIONS, simulate
from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.errors import LensingError

FROZEN = protocol()
NAMES = [*FROZEN.splits]


def test_the_file_is_what_the_protocol_says():
    file = importlib.resources.files("estimators.benchmark").joinpath(FILE)
    assert file.read_text("utf-8") == text_of(FROZEN)
    assert FROZEN.dataset_version == DATASET_VERSION
    assert NAMES == ["v9", "v10", "v11", "v12"]


@pytest.mark.parametrize("name", NAMES)
def test_the_judges_bands_are_the_frozen_ones(name):
    split = FROZEN.split_of(VERSIONS[name])
    split.refuse_other_bands(bands_of(VERSIONS[name]).edges)
    with pytest.raises(LensingError, match="in other bands"):
        split.refuse_other_bands(bands_of(VERSIONS[name]).edges * 1.001)
    for digest in split.arrays.values():
        assert digest.shape[:2] == (VERSIONS[name].num_examples[FROZEN.split], VERSIONS[name].npix)


@pytest.mark.parametrize("name", NAMES)
def test_simulated_examples_are_the_frozen_ones(name):
    """Bit for bit on the processors that they were frozen on, and but for rounding on others."""
    split = FROZEN.splits[name]
    found = digests([simulate(name, FROZEN.split, range(split.num_first))])
    for array, digest in split.first.items():
        assert found[array].compared_with(digest) is not Agreement.DIFFERENT
    other = digests([simulate(name, "validation", range(split.num_first))])
    for array, digest in split.first.items():
        assert other[array].compared_with(digest) is Agreement.DIFFERENT


def test_the_other_skies_are_skies_that_the_checks_have():
    kinds = [kind.name for kind in changed_skies(SkyEnsemble.of(VERSIONS["v11"]))]
    assert set(FROZEN.other_skies) < set(kinds) and len(FROZEN.other_skies) == 3


def test_named_bands_follow_one_another_and_hold_every_mode_once():
    bands = FROZEN.named_bands
    assert bands[0].low == 0 and bands[-1].high is None
    assert [b.high for b in bands[:-1]] == [b.low for b in bands[1:]]
    ell, modes = np.array([100.0, 150.0, 300.0]), np.array([10, 30, 7])
    assert bands[0].weights(ell, modes).tolist() == [0.25, 0.75, 0]
    assert not bands[3].weights(ell, modes).any()


def test_only_the_versions_themselves_are_of_the_benchmark():
    with pytest.raises(LensingError, match="v8 is not of the benchmark: it has lensing/v9"):
        FROZEN.split_of(VERSIONS["v8"])
    with pytest.raises(LensingError, match="v11 is not the benchmark's: seed"):
        FROZEN.split_of(dataclasses.replace(VERSIONS["v11"], seed=7))
    # As it comes from the JSON of a run, which has no description.
    without = LensingConfig.from_json(VERSIONS["v11"].to_json())
    assert FROZEN.split_of(without) is FROZEN.splits["v11"]
    old = dataclasses.replace(FROZEN, dataset_version="1.0.0")
    with pytest.raises(LensingError, match="is of data version 1.0.0"):
        old.split_of(VERSIONS["v11"])


@pytest.fixture(name="batch")
def batch_fixture():
    rng = np.random.default_rng(0)
    maps = rng.standard_normal((2, 6, 8, 8, 1)).astype(np.float32)
    return {"lensed": maps[0], "kappa": maps[1], "index": np.arange(6)}


def test_a_hash_is_that_of_the_arrays_bytes_however_they_are_cut(batch):
    parts = [{name: x[i : i + 4] for name, x in batch.items()} for i in (0, 4)]
    assert digests(parts)["kappa"].sha256 == (
        hashlib.sha256(batch["kappa"].astype("<f4").tobytes()).hexdigest()
    )
    assert digests([batch])["lensed"].shape == (6, 8, 8, 1)
    assert Digest.from_json(digests([batch])["kappa"].to_json()) == digests([batch])["kappa"]


def test_rounding_is_told_from_another_example(batch):
    digest = digests([batch])["kappa"]
    rounded = batch | {"kappa": batch["kappa"] * np.float32(1 + 1e-6)}
    assert digest.compared_with(digests([rounded])["kappa"]) is Agreement.ROUNDING
    swapped = batch | {"kappa": batch["kappa"][[1, 0, 2, 3, 4, 5]]}
    assert digest.compared_with(digests([swapped])["kappa"]) is Agreement.DIFFERENT
    fewer = {name: x[:5] for name, x in batch.items()}
    assert digest.compared_with(digests([fewer])["kappa"]) is Agreement.DIFFERENT


def test_examples_in_another_order_are_refused(batch):
    with pytest.raises(LensingError, match="the examples from 0 on have other indices"):
        digests([batch | {"index": batch["index"][::-1]}])


def test_a_split_survives_its_json():
    split = FROZEN.splits["v11"]
    assert FrozenSplit.from_json("v11", split.to_json()) == split
