"""lensing-tfds: simulated pairs of lensed CMB maps and convergence maps.

    from lensing_tfds import simulate
    maps = simulate("v7", "train", range(16))  # NumPy arrays; needs no TensorFlow

    import lensing_tfds, tensorflow_datasets as tfds
    tfds.load("lensing/v7")  # after `tfds build lensing_tfds --config v7`

Public: `simulate`, `LensingConfig`, `VERSIONS`, `LensingError`; the physics, module by module, in
`flat_sky`, `spectra`, `random_numbers`, `gaussian_fields`, `lensing`, `nufft` and `instrument`.
"""

from lensing_tfds.configs import VERSIONS, LensingConfig, LensingError
from lensing_tfds.simulation import simulate

try:  # register the dataset where TFDS is installed; maps alone do not need it
    import tensorflow_datasets  # noqa: F401
except ImportError:
    pass
else:
    from lensing_tfds import lensing_tfds_dataset_builder  # noqa: F401

__all__ = ["VERSIONS", "LensingConfig", "LensingError", "simulate"]
