"""Fresh skies as a source: simulated examples, none stored, the same after a stop."""

import dataclasses
import os

import numpy as np
import pytest

from lensing_tfds import LensingConfig, LensingError, simulate
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.simulation import Simulator
from lensing_tfds.simulators import SimulatedBlock
from lensing_tfds.symmetries import transform
from lensing_tfds.task import Task
from trainer.data import sources, stream
from trainer.data.fresh import FreshSkies
from trainer.settings.config import TrainerConfig, resolve

SURVEY = LensingConfig(
    "survey",
    npix=16,
    lx=2.0,
    stokes="QU",
    noise_uK_arcmin=1.0,
    num_examples={"train": 30, "validation": 2, "test": 2},
)


def settings(**changes) -> TrainerConfig:
    fields = {"model": "1x2-3", "batch_size": 4, "epochs": 2, "seed": 1, "fresh": True}
    return resolve("lensing/survey", "", SURVEY, **(fields | changes))


def source_of(config: TrainerConfig) -> FreshSkies:
    return FreshSkies(Task(SURVEY, DATASET_VERSION), spectra_of(SURVEY), config, simulators=1)


@pytest.fixture(scope="module")
def reused():
    """Passes of 21 looks at 11 skies: the last look leaves one out."""
    config = settings(reuse=2, max_examples=21)
    with (source := source_of(config)).running():
        yield source, config


def arrays(source, config, steps: range) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(stream.training_batches(source, config, steps))


def test_a_sky_serves_twice_with_new_noise_and_another_symmetry(reused):
    batches = arrays(*reused, range(12))  # two passes
    assert [len(lensed) for lensed, _ in batches] == [4, 4, 4, 4, 4, 1] * 2
    lensed, kappa = (np.concatenate(maps) for maps in zip(*batches, strict=True))
    first = 30 + 2**31
    for number in (0, 1):
        indices = range(first + 11 * number, first + 11 * (number + 1))
        ((looks, labels),) = Simulator(SURVEY, "train").looks(indices, 2)
        symmetry = np.full(11, 1)
        expected = np.concatenate([looks[0], transform(looks[1], ("Q", "U"), symmetry)])[:21]
        labels = np.concatenate([labels, transform(labels, ("kappa",), symmetry)])[:21]
        np.testing.assert_array_equal(lensed[21 * number : 21 * (number + 1)], expected)
        np.testing.assert_array_equal(kappa[21 * number : 21 * (number + 1)], labels)


@pytest.mark.parametrize("start", [0, 9])
def test_skies_of_several_blocks_are_seen_again_after_the_last_of_them(start):
    """A window of 150 skies is simulated in blocks of 64."""
    config = settings(batch_size=32, reuse=3, max_examples=450, augment=False)
    with (source := source_of(config)).running():
        batches = arrays(source, config, range(start, 15))
    first = 30 + 2**31
    parts = [looks for looks, _ in Simulator(SURVEY, "train").looks(range(first, first + 150), 3)]
    expected = np.concatenate([np.concatenate(look) for look in zip(*parts, strict=True)])
    lensed = np.concatenate([lensed for lensed, _ in batches])
    np.testing.assert_array_equal(lensed, expected[32 * start :])


@pytest.mark.parametrize("start", [3, 8])
def test_a_resumed_stream_goes_on_within_a_pass(reused, start):
    whole, rest = arrays(*reused, range(12)), arrays(*reused, range(start, 12))
    for batch, other in zip(whole[start:], rest, strict=True):
        for maps, others in zip(batch, other, strict=True):
            np.testing.assert_array_equal(maps, others)


def test_a_stream_that_was_left_alone_gives_no_batch_of_another(reused):
    source, _ = reused
    old = source.pairs(range(12))
    first, _ = next(old)
    (new,) = source.pairs(range(6, 7))
    np.testing.assert_array_equal(first, next(source.pairs(range(1)))[0])
    assert not np.array_equal(first, new[0])
    assert list(old) == []


@pytest.mark.parametrize("reuse", [1, 2])
def test_skies_stay_in_memory_until_the_last_of_their_block_is_taken(reuse, monkeypatch):
    given_back = SimulatedBlock.release

    def overwritten(block: SimulatedBlock) -> None:
        """As by a process that simulates the next block at once."""
        block.lensed[:] = block.kappa[:] = np.nan
        given_back(block)

    monkeypatch.setattr(SimulatedBlock, "release", overwritten)
    # Blocks of 64 skies, and of 11 in a second window: no batch ends where one of them does.
    source = source_of(settings(batch_size=9, reuse=reuse, max_examples=75 * reuse))
    with source.running():
        taken = [maps for pair in source.pairs(range(5, 9 * reuse)) for maps in pair]
    assert len(taken) > 4 and all(np.isfinite(maps).all() for maps in taken)


def test_measured_are_the_first_fresh_skies(reused):
    source, _ = reused
    batches = list(source.first(70))
    indices = np.concatenate([batch["index"] for batch in batches])
    np.testing.assert_array_equal(indices, range(30 + 2**31, 100 + 2**31))
    expected = simulate(SURVEY, "train", indices)
    for name in ("lensed", "kappa"):
        maps = np.concatenate([batch[name] for batch in batches])
        np.testing.assert_array_equal(maps, expected[name])


def test_what_went_wrong_with_the_simulators_is_said(monkeypatch):
    monkeypatch.setattr("lensing_tfds.simulators._CODE", "raise SystemExit('no luck')")
    source = source_of(config := settings())
    with pytest.raises(LensingError, match="simulators died .*: no luck"), source.running():
        arrays(source, config, range(1))


CORES = len(os.sched_getaffinity(0))
SILENT = dataclasses.replace(SURVEY, noise_uK_arcmin=0.0)


@pytest.mark.parametrize(
    ("lensing", "changes", "simulators", "message"),
    [
        (SURVEY, {}, CORES + 1, f"simulators is {CORES + 1}: must be from 1 to {CORES}, the cores"),
        (SURVEY, {}, 0, f"simulators is 0: must be from 1 to {CORES}"),
        (SURVEY, {"fresh": None}, 1, "simulators is 1: is for skies that are --fresh"),
        (SURVEY, {"fresh": None, "max_examples": 31}, None, "max_examples is 31: lensing/survey"),
        (
            dataclasses.replace(SURVEY, fixed_unlensed=True),
            {},
            None,
            "fresh: all examples of lensing/survey lens one unlensed sky",
        ),
        (SILENT, {"reuse": 9}, None, "reuse is 9: must be at most 8, as lensing/survey has no noi"),
        (SILENT, {"reuse": 2, "augment": False}, None, "reuse is 2: must be at most 1, as"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_a_line(lensing, changes, simulators, message):
    with pytest.raises(LensingError, match=message) as refused:
        sources.refuse_impossible(settings(**changes), lensing, simulators)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reuse": 0}, "reuse is 0: must be at least 1"),
        ({"reuse": 2, "fresh": None}, "reuse is 2: is for skies that are --fresh"),
        ({"model": "iterated"}, "is for networks that are trained: iterated is fitted"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, message):
    with pytest.raises(LensingError, match=message):
        settings(**changes)


def test_more_memory_than_there_is_is_refused_with_the_remedy(stored, changed, monkeypatch):
    monkeypatch.setattr(sources, "available_memory", lambda: 1e6)
    with pytest.raises(LensingError, match=r"need 0.3 GB .* are 0.0 GB: take fewer --simulators"):
        sources.source_of(changed(fresh=True), stored, 1)


def test_memory_is_bounded_and_said():
    source = source_of(settings(batch_size=32, reuse=4, max_examples=4096))
    of_a_look = 4 * 16**2 * 3
    # Two windows of 4 batches of skies, in blocks of 64, and a page.
    assert source.memory == 2 * 2 * 64 * 4 * of_a_look + 4096
    assert f"simulators: 1; {source.memory / 1e6:.0f} MB of shared" in source.description
