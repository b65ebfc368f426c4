import os

import hypothesis
import pytest

# Test processes run side by side: threads of NaMaster's in each would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# No deadlines: a busy machine is not a bug. The same examples everywhere: failures can be repeated.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.load_profile("repeatable")


# The package is imported in the fixtures, after the environment is set.
@pytest.fixture(scope="session")
def tiny():
    """The config of the dataset in `data_dir`."""
    from lensing_tfds.configs import LensingConfig

    return LensingConfig(
        name="tiny",
        npix=16,
        lx=10.0,
        kappa_exaggeration_factor=10.0,
        seed=3,
        num_examples={"train": 50, "validation": 10, "test": 11},
    )


@pytest.fixture(scope="session")
def data_dir(tiny, tmp_path_factory) -> str:
    """A folder with `lensing/tiny`, in three shards a split."""
    import tensorflow_datasets as tfds

    import lensing_tfds  # noqa: F401  registers the dataset

    folder = str(tmp_path_factory.mktemp("data"))
    tfds.builder("lensing", config=tiny, data_dir=folder).download_and_prepare(
        download_config=tfds.download.DownloadConfig(num_shards=3)
    )
    return folder
