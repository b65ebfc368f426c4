"""A tiny real dataset and a quick config, shared by the trainer's tests."""

import dataclasses

import pytest
import tensorflow_datasets as tfds

from lensing_tfds.configs import LensingConfig
from trainer.config import TrainerConfig, resolve

TINY = LensingConfig(
    name="tiny",
    npix=16,
    lx=10.0,
    kappa_exaggeration_factor=10.0,
    seed=3,
    num_examples={"train": 50, "validation": 10, "test": 11},
)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> str:
    """A folder with `lensing/tiny`, in three shards a split."""
    import lensing_tfds  # noqa: F401  registers the dataset

    folder = str(tmp_path_factory.mktemp("data"))
    tfds.builder("lensing", config=TINY, data_dir=folder).download_and_prepare(
        download_config=tfds.download.DownloadConfig(num_shards=3)
    )
    return folder


@pytest.fixture(scope="session")
def builder(data_dir: str) -> tfds.core.DatasetBuilder:
    from trainer.dataset import open_dataset

    return open_dataset(TINY, data_dir)


@pytest.fixture(scope="session")
def config(data_dir: str) -> TrainerConfig:
    """Two quick epochs of four steps each, the last step smaller."""
    return resolve("lensing/tiny", data_dir, TINY, model="1x4-3", batch_size=16, epochs=2, seed=5)


@pytest.fixture
def changed(config: TrainerConfig):
    """A function that gives the quick config with some fields changed."""
    return lambda **fields: dataclasses.replace(config, **fields)
