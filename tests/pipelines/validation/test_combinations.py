"""Right datasets of any combination of a config's fields pass, with few examples and few waves.

False alarms and crashes came from combinations: one sky in a window, a beam wider than the patch,
rings that few waves make, a band without a mode to use. What is promised, a probability of 0.1 %
for a right dataset, is checked on the p-values of all tests together.
"""

import functools
import random

import numpy as np
import pytest

from lensing_tfds import LensingConfig, realism, simulate
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.errors import LensingError
from pipelines.validation.moments import Moments
from pipelines.validation.observables import Observables
from pipelines.validation.statistics import ADDRESS, Measurement, Statistics, content_hash
from pipelines.validation.verdict import judge

NAMED = {
    "one sky in a tapered window": {
        "npix": 16, "lx": 16 / 3, "stokes": "QU", "fixed_unlensed": True, "padding": 2.0,
        "taper": 1.0, "oversampling": 2, "noise_uK_arcmin": 1.0,
    },
    "one sky of eight waves": {
        "npix": 32, "lx": 32 / 15, "stokes": "TQU", "fixed_unlensed": True, "oversampling": 4,
        "T_lmax": 240, "noise_uK_arcmin": 0.01,
    },
    "one sky, cut within a ring": {
        "npix": 24, "lx": 12.0, "fixed_unlensed": True, "T_lmax": 170,
    },
    "a beam as wide as the patch": {
        "npix": 12, "lx": 2.0, "stokes": "TQU", "beam_arcmin": 200.0, "noise_uK_arcmin": 1.0,
    },
    "a beam beyond single precision": {
        "npix": 8, "lx": 4 / 15, "padding": 3.0, "oversampling": 3, "beam_arcmin": 120.0,
        "noise_uK_arcmin": 1000.0,
    },
    "a kappa of four waves in a larger box": {
        "npix": 12, "lx": 0.4, "stokes": "T", "padding": 2.0, "kappa_lmax": 500,
        "kappa_exaggeration_factor": 0.01,
    },
    "no mode for an estimate": {
        "npix": 16, "lx": 4 / 15, "stokes": "TQU", "padding": 1.5, "oversampling": 2,
        "T_lmax": 1300, "noise_uK_arcmin": 0.01,
    },
    "lensing of thousands of times": {
        "npix": 16, "lx": 16 / 15, "stokes": "QU", "kappa_exaggeration_factor": 1000.0,
        "noise_uK_arcmin": 1.0,
    },
    "holes on its own pixels, in three splits": {
        "npix": 16, "lx": 4.0, "stokes": "QU", "noise_uK_arcmin": 3.0, "splits": 3,
        "mask": {"holes": 3, "hole_radius_arcmin": 20}, "one_over_f": {"P_knee": 500},
    },
    "uneven noise and a masked signal in a larger box": {
        "npix": 16, "lx": 2.0, "stokes": "TQU", "padding": 2.0, "noise_uK_arcmin": 5.0,
        "hits": {"contrast": 9}, "mask": {"border": 0.3, "multiplies": "signal"},
    },
    "uneven noise alone": {
        "npix": 24, "lx": 2.0, "stokes": "T", "noise_uK_arcmin": 20.0, "hits": {"contrast": 20},
    },
    "tensors in temperature alone": {
        "npix": 16, "lx": 20.0, "tensors": {"r_min": 0.5, "r_max": 0.5}, "beam_arcmin": 60.0,
    },
    "tensors in a larger box, with edges": {
        "npix": 12, "lx": 8.0, "stokes": "QU", "padding": 2.0, "taper": 1.0,
        "tensors": {"r_min": 0, "r_max": 1}, "noise_uK_arcmin": 1.0, "T_lmax": 300,
    },
    "a sky that is turned and dimmed on its own pixels": {
        "npix": 16, "lx": 4.0, "stokes": "TQU", "rotation": {"amplitude": 1e-3},
        "optical_depth": {"rms": 0.2, "L_c": 300}, "noise_uK_arcmin": 1.0, "padding": 1.5,
    },
}  # fmt: skip


def draws(count):
    """Fields of all kinds, drawn at random but the same each time."""
    rng = random.Random(7)
    found = {}
    while len(found) < count:
        npix, pixel = rng.choice([8, 9, 12, 16, 24]), rng.choice([0.5, 1.0, 2.0, 4.0, 10.0, 27.0])
        fields = {
            "npix": npix,
            "lx": npix * pixel / 60,
            "stokes": rng.choice(["T", "QU", "TQU"]),
            "padding": rng.choice([1, 1, 1.5, 2.0]),
            "taper": rng.choice([0, 0, 0.2]) * npix * pixel / 60,
            "fixed_unlensed": rng.random() < 0.3,
            "oversampling": rng.choice([1, 1, 2, 4]),
            "beam_arcmin": rng.choice([0, 0, 1.0, 5.0, 30.0]),
            "T_lmax": rng.choice([None, None, 200, 1000, 3000]),
            "kappa_lmax": rng.choice([None, None, 100, 500, 2000]),
            "kappa_exaggeration_factor": rng.choice([1, 1, 10.0, 30.0]),
            "noise_uK_arcmin": rng.choice([0, 0.01, 1.0]),
            "unlensed_E": rng.random() < 0.3,
            "seed": rng.randrange(1000),
        }
        fields["unlensed_E"] &= fields["stokes"] != "T"
        try:
            config = LensingConfig("any", **fields)
        except LensingError:  # a cut below the patch's longest wave
            continue
        if config.internal.npix <= 96:
            found[f"{len(found)}"] = fields
    return found


ALL = NAMED | draws(16)


def verdict(name, factor=1.0):
    """The verdict on a dataset of a kind, in memory, whose lensed maps are multiplied by a factor.

    It has 24 examples, the fewest that there may be, or some more.
    """
    config = LensingConfig("any", **ALL[name])
    count = (24, 40, 120)[list(ALL).index(name) % 3]
    maps = examples(name, count)
    maps = maps | {"lensed": np.float32(factor) * maps["lensed"]}
    observables, table = Observables.of(config, count), spectra_of(config)
    measurement = Measurement(observables, table)
    moments: dict[str, Moments] = {}
    addresses = []
    for number in range(count):
        one = {feature: values[number] for feature, values in maps.items() if feature != "index"}
        addresses.append((0, number, content_hash(one["kappa"])))
        for key, row in measurement.rows(one).items():
            moments[key] = moments[key] + Moments.of(row) if key in moments else Moments.of(row)
    statistics = Statistics(moments, np.array(addresses, ADDRESS))
    return judge(statistics, observables, table, {"train": count})


@functools.cache
def examples(name, count):
    return simulate(LensingConfig("any", **ALL[name]), "train", range(count))


right = functools.cache(verdict)


@pytest.mark.parametrize("name", ALL)
def test_a_right_dataset_of_any_kind_passes(name):
    assert not [test.message for test in right(name).failures]
    assert {"finite", "indices", "duplicates"} <= {test.name for test in right(name).tests}


def test_p_values_are_those_of_chance():
    """A share p of them is below p, and not more."""
    tests = [test for name in ALL for test in right(name).tests]
    values = np.array([test.p_value for test in tests if test.p_value is not None])
    assert len(values) > 200
    for level in (0.01, 0.1):
        assert (values < level).mean() < level + 4 * (level / len(values)) ** 0.5


def test_lensed_maps_too_high_fail_wherever_a_spectrum_can_tell():
    """By a half, which is far beyond the scatter of a power in any bin that is tested."""
    told = []
    for name in ALL:
        curves = [
            curve
            for curve in right(name).curves
            if curve.spectrum.is_auto and curve.spectrum.first.feature == "lensed"
        ]
        if any(curve.compared and curve.tested.any() for curve in curves):
            failed = verdict(name, 1.5).failures
            assert any(test.message.startswith("lensed") for test in failed), name
            told.append(name)
    assert len(told) >= 6


def test_what_is_said_of_the_lensed_spectra_is_what_cards_and_reports_say():
    """See tests/test_realism.py: validation expects CAMB's skies where they call it one."""
    for name in ALL:
        config, found = LensingConfig("any", **ALL[name]), right(name)
        reason = realism.why_not_camb(config)
        said = dict(found.numbers).get("lensed spectra", "")
        assert said == (f"not CAMB's: {reason}" if reason else "")
        for test in found.tests:
            if "response" in test.name:
                assert ("should be 1 within" in test.message) == realism.follows_camb(config)
    assert {True, False} == {realism.follows_camb(LensingConfig("a", **ALL[n])) for n in ALL}
