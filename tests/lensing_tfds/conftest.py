import pytest

from lensing_tfds.configs import LensingConfig


@pytest.fixture
def tiny() -> LensingConfig:
    """A config whose whole dataset takes a moment."""
    return LensingConfig(
        "tiny", npix=16, lx=5.0, num_examples={"train": 40, "validation": 7, "test": 5}
    )
