"""A quick config, shared by the trainer's tests."""

import dataclasses

import pytest

from lensing_tfds.configs import LensingConfig
from trainer.settings.config import TrainerConfig, resolve


@pytest.fixture(scope="session", autouse=True)
def _unmeasured(unmeasured):
    """Trainings here are given their pace, unless a test measures it."""


@pytest.fixture(scope="session")
def config(tiny: LensingConfig, data_dir: str) -> TrainerConfig:
    """Two quick epochs of four steps each, the last step smaller."""
    return resolve("lensing/tiny", data_dir, tiny, model="1x4-3", batch_size=16, epochs=2, seed=5)


@pytest.fixture
def changed(config: TrainerConfig):
    """A function that gives the quick config with some fields changed."""
    return lambda **fields: dataclasses.replace(config, **fields)
