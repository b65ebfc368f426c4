"""Small skies, and datasets of them, right and wrong."""

import dataclasses
import functools
import hashlib
import operator
from typing import Any

import numpy as np
import pytest

from lensing_tfds import LensingConfig, simulate
from lensing_tfds.config_fields.foregrounds import Foregrounds
from lensing_tfds.config_fields.hits import Hits
from lensing_tfds.config_fields.kappa_distribution import KappaDistribution
from lensing_tfds.config_fields.mask import Mask
from lensing_tfds.config_fields.one_over_f import OneOverF
from lensing_tfds.config_fields.optical_depth import OpticalDepth
from lensing_tfds.config_fields.rotation import Rotation
from lensing_tfds.config_fields.tensors import Tensors
from lensing_tfds.configs import SPLITS
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.records import tfrecord
from lensing_tfds.records.shard_plans import SplitPlan

COUNTS = {"train": 180, "validation": 10, "test": 10}
GRID: dict[str, Any] = {"npix": 64, "lx": 64 * 4 / 60, "num_examples": COUNTS}
SURVEY: dict[str, Any] = GRID | {"oversampling": 4, "beam_arcmin": 4.0}

CONFIGS = {
    "T": LensingConfig("T", **SURVEY, noise_uK_arcmin=5.0),
    "TQU": LensingConfig("TQU", **SURVEY, noise_uK_arcmin=1.0, stokes="TQU", unlensed_E=True),
    "QU": LensingConfig("QU", **SURVEY, noise_uK_arcmin=1.0, stokes="QU"),
    "padded": LensingConfig(
        "padded", **SURVEY, noise_uK_arcmin=1.0, stokes="TQU", padding=1.5, taper=0.7
    ),
    "own": LensingConfig("own", **GRID, noise_uK_arcmin=1.0, T_lmax=2000),
    "one-sky": LensingConfig("one-sky", **GRID, fixed_unlensed=True),
    "foregrounds": LensingConfig(
        "foregrounds",
        **SURVEY,
        noise_uK_arcmin=1.0,
        foregrounds=Foregrounds(),
        kappa=KappaDistribution(skewness=0.1, correlated=True),
    ),
    "skewed": LensingConfig(
        "skewed",
        **SURVEY,
        noise_uK_arcmin=1.0,
        stokes="TQU",
        unlensed_E=True,
        kappa=KappaDistribution(skewness=0.3, correlated=True),
    ),
    "wide": LensingConfig(
        "wide",
        npix=32,
        lx=60.0,
        kappa_lmax=100,
        noise_uK_arcmin=1.0,
        num_examples=COUNTS,
        kappa=KappaDistribution(correlated=True),
    ),
    "masked": LensingConfig(
        "masked",
        **SURVEY,
        noise_uK_arcmin=5.0,
        stokes="QU",
        kappa_lmax=2000,
        one_over_f=OneOverF(P_knee=400),
        mask=Mask(border=0.3, edge=0.4, multiplies="signal"),
        tensors=Tensors(r_min=1e-4, r_max=0.5),
    ),
    "turned": LensingConfig(
        "turned",
        **SURVEY,
        noise_uK_arcmin=1.0,
        stokes="QU",
        unlensed_E=True,
        taper=0.7,
        rotation=Rotation(amplitude=1e-4),
        optical_depth=OpticalDepth(rms=0.05, L_c=400),
    ),
    "deep": LensingConfig(
        "deep",
        **SURVEY,
        noise_uK_arcmin=6.0,
        stokes="TQU",
        one_over_f=OneOverF(T_knee=1000, P_knee=700),
        hits=Hits(contrast=4),
        mask=Mask(border=0.2, edge=0.4, holes=6, hole_radius_arcmin=10),
        splits=2,
    ),
    "odd": LensingConfig("odd", **SURVEY | {"npix": 63, "lx": 63 * 4 / 60}),
}
"""A config of each kind."""


@pytest.fixture(scope="session")
def simulated():
    """Returns the examples of a config's splits, simulated once."""

    @functools.cache
    def of(name):
        config = CONFIGS[name]
        return {split: simulate(config, split, range(COUNTS[split])) for split in SPLITS}

    return of


@pytest.fixture
def write(tmp_path):
    """Writes examples as the shards of a dataset, and returns its plans."""

    def to_shards(config, examples, num_shards=2):
        plans = []
        for split, maps in examples.items():
            config = dataclasses.replace(
                config, num_examples=config.num_examples | {split: len(maps["index"])}
            )
            plan = SplitPlan(config, split, num_shards, f"{tmp_path}/lensing-{split}.tfrecord")
            for spec in plan.shards():
                part = {name: values[spec.start : spec.stop] for name, values in maps.items()}
                with open(spec.path, "wb") as file:
                    file.writelines(tfrecord.stretches([part]))
            plans.append(plan)
        return plans

    return to_shards


@pytest.fixture(scope="session")
def lensed_once():
    """Spares verdicts on the same config the lensed power of its box, which takes seconds."""
    from pipelines.validation import lensed_box

    known = {}

    def lensed(unlensed, kappa, sky):
        parts = [kappa.tobytes(), *(name.encode() + unlensed[name].tobytes() for name in unlensed)]
        key = hashlib.sha256(b"".join(parts)).hexdigest()
        if key not in known:
            known[key] = right(unlensed, kappa, sky)
        return known[key]

    right = lensed_box.lensed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lensed_box, "lensed", lensed)
        yield


@pytest.fixture
def judged(write, lensed_once):
    """Returns the verdict on examples, without Beam."""
    from pipelines.validation.observables import Observables
    from pipelines.validation.statistics import Measurement, measure_shard
    from pipelines.validation.verdict import judge

    def of(config, examples):
        plans = write(config, examples)
        counts = {plan.split: plan.num_examples for plan in plans}
        observables = Observables.of(config, sum(counts.values()))
        table = spectra_of(config)
        measurement = Measurement(observables, table)
        shards = [spec for plan in plans for spec in plan.shards()]
        parts = [measure_shard(spec, measurement) for spec in shards]
        return judge(functools.reduce(operator.add, parts), observables, table, counts)

    return of


@pytest.fixture
def altered(simulated):
    """Returns copies of a config's examples, with one feature changed by a function of its maps."""

    def of(name, feature, change):
        return {
            split: maps | {feature: change(maps[feature]).astype(np.float32)}
            for split, maps in simulated(name).items()
        }

    return of
