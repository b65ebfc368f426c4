"""The tiny dataset, opened, and a quick config, shared by the trainer's tests."""

import dataclasses

import pytest
import tensorflow_datasets as tfds

from lensing_tfds.configs import LensingConfig
from trainer.config import TrainerConfig, resolve


@pytest.fixture(scope="session")
def builder(tiny: LensingConfig, data_dir: str) -> tfds.core.DatasetBuilder:
    from trainer.dataset import open_dataset

    return open_dataset(tiny, data_dir)


@pytest.fixture(scope="session")
def polarized_builder(data_dir: str) -> tfds.core.DatasetBuilder:
    """T, Q, U and unlensed E of a small survey."""
    survey = LensingConfig(
        name="polarized",
        npix=16,
        lx=2.0,
        stokes="TQU",
        oversampling=2,
        beam_arcmin=10.0,
        noise_uK_arcmin=1.0,
        unlensed_E=True,
        kappa_exaggeration_factor=3.0,
        num_examples={"train": 50, "validation": 10, "test": 11},
    )
    builder = tfds.builder("lensing", config=survey, data_dir=data_dir)
    builder.download_and_prepare()
    return builder


@pytest.fixture(scope="session")
def config(tiny: LensingConfig, data_dir: str) -> TrainerConfig:
    """Two quick epochs of four steps each, the last step smaller."""
    return resolve("lensing/tiny", data_dir, tiny, model="1x4-3", batch_size=16, epochs=2, seed=5)


@pytest.fixture
def changed(config: TrainerConfig):
    """A function that gives the quick config with some fields changed."""
    return lambda **fields: dataclasses.replace(config, **fields)
