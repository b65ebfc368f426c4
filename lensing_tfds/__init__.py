"""lensing-tfds: simulated pairs of lensed CMB maps and convergence maps.

    from lensing_tfds import simulate
    maps = simulate("v7", "train", range(16))  # NumPy arrays; needs no TensorFlow

    import lensing_tfds, tensorflow_datasets as tfds
    tfds.load("lensing/v7")  # after `tfds build lensing_tfds --config v7`

Public: `simulate`, `LensingConfig`, `VERSIONS`, `LensingError`; the physics, module by module, in
`flat_sky`, `spectra`, `random_numbers`, `gaussian_fields`, `lensing`, `nufft` and `instrument`.
"""

import importlib.util
import os

if importlib.util.find_spec("fsspec") is not None:
    # TFDS reaches buckets through epath, and epath through TensorFlow where it is installed, which
    # knows no s3:// any more. Epath's other way is fsspec, and is what `storage` uses too.
    os.environ.setdefault("EPATH_USE_TF", "false")

from lensing_tfds.configs import VERSIONS, LensingConfig, LensingError
from lensing_tfds.simulation import simulate

try:  # register the dataset where TFDS is installed; maps alone do not need it
    import tensorflow_datasets  # noqa: F401
except ImportError:
    pass
else:
    from lensing_tfds import lensing_tfds_dataset_builder  # noqa: F401

__all__ = ["VERSIONS", "LensingConfig", "LensingError", "simulate"]
