"""Tasks of all sizes, for tests of networks."""

from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.task import Task


def task(npix: int, stokes: str = "T") -> Task:
    """κ from maps of a dataset that nobody has built."""
    return Task(LensingConfig(name="any", npix=npix, lx=10.0, stokes=stokes), DATASET_VERSION)
