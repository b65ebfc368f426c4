"""Faults of masks, noise, splits, tensors and modulation are found, each by its name.

The configs and their right examples are those of `test_verdict`, where they pass.
"""

import dataclasses
import functools
import operator

import numpy as np
import pytest
from scipy import stats

from lensing_tfds import simulate
from lensing_tfds.config_fields.mask import Mask
from lensing_tfds.config_fields.one_over_f import OneOverF
from lensing_tfds.configs import SPLITS
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.sky.random_numbers import NormalStream
from lensing_tfds.telescope import Telescope
from pipelines.validation.effects import Effects
from pipelines.validation.moments import Moments
from pipelines.validation.observables import Observables

from .conftest import CONFIGS, COUNTS


def words(verdict):
    return [test.message for test in verdict.failures]


def of_another(name, **changes):
    """Examples of a config that differs, with all that it lacks beside what the config has."""
    config = dataclasses.replace(CONFIGS[name], **changes)
    return {split: simulate(config, split, range(COUNTS[split])) for split in SPLITS}


@pytest.fixture
def found(judged, altered):
    """Returns the names of the tests that fail where one feature is changed by a function."""

    def of(name, feature, change):
        return {t.name for t in judged(CONFIGS[name], altered(name, feature, change)).failures}

    return of


@pytest.mark.parametrize(
    ("name", "knees"), [("masked", {"P_knee": 200}), ("deep", {"T_knee": 700, "P_knee": 700})]
)
def test_a_knee_elsewhere(name, knees, judged):
    failed = words(judged(CONFIGS[name], of_another(name, one_over_f=knees)))
    assert any(text.startswith("noise ") and " below theory at l = " in text for text in failed)


def test_noise_of_another_depth_under_the_mask(judged):
    failed = words(judged(CONFIGS["masked"], of_another("masked", noise_uK_arcmin=5.2)))
    assert any(text.startswith("noise in zones: 1.") for text in failed)


def test_a_depth_that_does_not_vary(judged, simulated):
    """With the right variance map beside it."""
    flat = of_another("deep", hits={"contrast": 1})
    for split, maps in simulated("deep").items():
        flat[split]["noise_variance"] = maps["noise_variance"]
    names = {test.name for test in judged(CONFIGS["deep"], flat).failures}
    assert "noise in zones" in names and "noise variance" not in names


def test_a_variance_map_that_is_not_the_configs(found):
    assert found("deep", "noise_variance", lambda maps: 1.01 * maps) == {"noise variance"}


def test_splits_that_share_noise(altered, judged, simulated):
    """A tenth of each one's noise is the other's; their mean is what it was."""
    lensed = {split: maps["lensed"] for split, maps in simulated("deep").items()}

    def shared(splits):
        mean = next(m for m in lensed.values() if len(m) == len(splits))
        mean = np.concatenate([mean, mean], axis=-1)
        return mean + 0.9 * (splits - mean)

    failed = words(judged(CONFIGS["deep"], altered("deep", "splits", shared)))
    assert any(text.startswith("noise between splits, TT: ") for text in failed)
    assert not any(text.startswith("lensed") for text in failed)


def test_splits_whose_mean_is_not_the_map(found):
    assert "splits' mean" in found("deep", "splits", lambda maps: 1.001 * maps)


def test_a_mask_that_moved(found):
    for name in ("masked", "deep"):
        assert "mask" in found(name, "mask", lambda maps: np.roll(maps, 1, axis=1))


def test_holes_that_are_not_in_the_maps(judged, simulated):
    """Masks that say what was not done."""
    other = of_another("deep", mask=dataclasses.replace(CONFIGS["deep"].mask, holes=1))
    for split, maps in other.items():
        maps["mask"] = simulated("deep")[split]["mask"]
    assert "masked map" in {test.name for test in judged(CONFIGS["deep"], other).failures}


def test_holes_that_are_too_few_or_in_one_place(judged, altered):
    few = of_another("deep", mask=dataclasses.replace(CONFIGS["deep"].mask, holes=3))
    assert "holes in nine parts" in {t.name for t in judged(CONFIGS["deep"], few).failures}

    def of_the_first(maps):  # the same holes in all examples
        return np.repeat(maps[:1], len(maps), axis=0)

    names = {
        t.name for t in judged(CONFIGS["deep"], altered("deep", "mask", of_the_first)).failures
    }
    assert "holes in nine parts" in names


def test_tensors_of_another_strength(judged):
    """The r that is stored is right, and the maps are those of twice as much."""
    strong = of_another("masked", tensors={"r_min": 2e-4, "r_max": 1.0})
    for maps in strong.values():
        maps["r"] = maps["r"] / np.float32(2)
    names = {test.name for test in judged(CONFIGS["masked"], strong).failures}
    assert {"unlensed BB", "r with B"} & names


def test_ratios_that_are_anothers_or_out_of_range(found):
    assert "r with B" in found("masked", "r", lambda r: np.roll(r, 1))
    assert "r" in found("masked", "r", lambda r: 1.5 * r)
    assert "root of r" in found("masked", "r", lambda r: r**2)


@pytest.mark.parametrize(("feature", "name"), [("rotation", "αα"), ("tau", "ττ")])
def test_a_modulating_field_that_is_too_strong(feature, name, found):
    assert name in found("turned", feature, lambda maps: 1.03 * maps)


@pytest.mark.parametrize(
    "changes", [{"rotation": {"amplitude": 2e-5}}, {"optical_depth": {"rms": 0.01, "L_c": 400}}]
)
def test_a_sky_that_was_turned_or_dimmed_less(changes, judged, simulated):
    other = of_another("turned", **changes)
    for split, maps in other.items():
        maps |= {name: simulated("turned")[split][name] for name in ("rotation", "tau")}
    failed = words(judged(CONFIGS["turned"], other))
    assert failed and all("lensed" in text for text in failed)


def noise_of(config, number):
    """Examples of noise alone, as a telescope adds it."""
    telescope = Telescope(config, NormalStream((0,)))
    blocks = []
    for start in range(0, number, 64):
        indices = range(start, min(start + 64, number))
        lensed = np.zeros((len(config.channels), len(indices), config.npix, config.npix), "f4")
        normals = np.empty(len(indices) * telescope.normals_needed, np.float32)
        found = telescope.observe(indices, lensed, normals)
        blocks.append(found | {"lensed": np.ascontiguousarray(np.moveaxis(lensed, 0, -1))})
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def test_right_noise_in_zones_is_as_rarely_off_as_it_should_be_however_few_examples_there_are():
    """Of plain mean squares, whose few large waves are not Gaussian, 10 of 200 were below 0.01."""
    config = dataclasses.replace(
        CONFIGS["deep"],
        npix=32,
        lx=32 * 4 / 60,
        one_over_f=OneOverF(1500, 1500, -4),
        mask=Mask(border=0.2, edge=0.2, holes=2, hole_radius_arcmin=8),
    )
    blocks, of_each = 200, 16
    effects = Effects(Observables.of(config, of_each), spectra_of(config))
    maps, p_values = noise_of(config, blocks * of_each), []
    for start in range(0, blocks * of_each, of_each):
        rows = []
        for i in range(start, start + of_each):
            example = {name: values[i] for name, values in maps.items()}
            rows.append(effects.rows(example, effects.noise_maps(example), {})["noise in zones"])
        moments = functools.reduce(operator.add, map(Moments.of, rows))
        (trial,) = effects.trials({"noise in zones": moments})
        p_values.append(trial.p_value)
    assert stats.binomtest(np.sum(np.array(p_values) < 0.01), blocks, 0.01).pvalue > 1e-3
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3
