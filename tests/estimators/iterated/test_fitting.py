"""Gains do not show how memory, threads and the stream of examples were used."""

import tracemalloc

import numpy as np
import pytest

from estimators.iterated.fitting import each_stage, fit
from estimators.iterated.iterated_estimator import ByTemplate
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import spectra

TABLE = spectra.fiducial()
CONFIG = LensingConfig(
    "qu", npix=48, lx=48 * 2.5 / 60, stokes="QU", oversampling=2, beam_arcmin=1.5,
    noise_uK_arcmin=1.0,
)  # fmt: skip
SKY_BYTES = 9 * CONFIG.sky.ell.size * 8  # E, B, κ and six features of a later stage


@pytest.fixture(scope="module")
def maps():
    return simulate(CONFIG, "train", range(45))


class Streamed:
    """Examples in batches; counts how often they are streamed, and how many were taken."""

    def __init__(self, maps, size=7, times=1):
        self.maps, self.size, self.times = maps, size, times
        self.streams = self.taken = 0

    def __call__(self):
        self.streams += 1
        for _ in range(self.times):
            for start in range(0, len(self.maps["index"]), self.size):
                part = slice(start, start + self.size)
                self.taken += len(self.maps["index"][part])
                yield {name: self.maps[name][part] for name in ("lensed", "kappa")}


def fitted(maps, **options):
    return fit(CONFIG, TABLE, Streamed(maps), most_stages=3, least_gain=-1.0, **options).stages


def assert_same(stages, others):
    assert len(stages) == len(others)
    for stage, other in zip(stages, others, strict=True):
        np.testing.assert_array_equal(stage.gains, other.gains)
        np.testing.assert_array_equal(stage.residual_b, other.residual_b)


@pytest.mark.parametrize("memory", [0, 10 * SKY_BYTES, 24 * SKY_BYTES, 2**28])
@pytest.mark.parametrize("threads", [1, 3])
def test_neither_memory_nor_threads_change_what_is_fitted(maps, memory, threads):
    assert_same(fitted(maps, memory=memory, threads=threads), fitted(maps, memory=0, threads=1))


def test_it_goes_on_from_stages_as_it_would_have(maps):
    whole = fitted(maps)
    for memory in (10 * SKY_BYTES, 2**28):
        stages = each_stage(CONFIG, TABLE, Streamed(maps), whole[:2], memory)
        assert_same([next(stages)[0]], whole[2:])


def test_examples_that_are_kept_are_not_streamed_again(maps):
    examples = Streamed(maps)
    fit(CONFIG, TABLE, examples, most_stages=3, least_gain=-1.0)
    assert (examples.streams, examples.taken) == (1, 45)


def test_the_residual_power_is_that_of_the_same_skies_in_any_batches(maps, monkeypatch):
    monkeypatch.setattr(ByTemplate, "power_modes", 1)  # the fewest skies, 16, are enough
    few = {name: values[:16] for name, values in maps.items()}
    (_, one), (_, other) = (
        fit(CONFIG, TABLE, Streamed(maps, size), most_stages=2, least_gain=-1.0).stages
        for size in (7, 45)
    )
    # To the rounding of single precision.
    np.testing.assert_allclose(one.residual_b, other.residual_b, rtol=1e-5)
    first = fitted(maps)[:1]
    of_few = next(each_stage(CONFIG, TABLE, Streamed(few), first))[0].residual_b
    np.testing.assert_allclose(one.residual_b, of_few, rtol=1e-5)


def test_memory_does_not_grow_with_the_skies(maps):
    """Beyond what is to be kept; with memory for all of them it does."""

    def peak(times, memory):
        examples = Streamed(maps, times=times)
        tracemalloc.start()
        fit(CONFIG, TABLE, examples, most_stages=2, least_gain=-1.0, memory=memory, threads=1)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    some = 20 * SKY_BYTES
    few, many, all_kept = peak(1, some), peak(4, some), peak(4, 2**28)
    assert many < few + 2 * SKY_BYTES
    assert all_kept > many + 120 * SKY_BYTES
    assert peak(4, 0) > many - some - 2 * SKY_BYTES


def test_no_examples_are_refused(maps):
    with pytest.raises(LensingError, match="there is none, and gains need examples"):
        fit(CONFIG, TABLE, lambda: iter(()))
