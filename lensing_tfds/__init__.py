"""lensing-tfds: simulated pairs of lensed CMB maps and convergence maps.

    from lensing_tfds import simulate
    maps = simulate("v7", "train", range(16))  # NumPy arrays; needs no TensorFlow

    import lensing_tfds, tensorflow_datasets as tfds
    tfds.load("lensing/v7")  # after `tfds build lensing_tfds --config v7`

    versions    `VERSIONS`: each a `LensingConfig`, as one's own
    maps        `simulate`: a version's examples; `lens`: maps of one's own, lensed
    sources     `StoredSource`, `SimulatedSource`: examples by their place, for PyTorch and Grain
    datasets    `lensing_tfds.records.datasets.open_built` and `.reading.evaluation_batches` read
                what `tfds build` wrote, without TFDS
    errors      `LensingError`: bad input, in one line

The physics is in `lensing_tfds.sky`, module by module.
"""

import importlib
import importlib.util
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from lensing_tfds.public_names import imported_when_used
from lensing_tfds.release import __version__ as __version__

if TYPE_CHECKING:
    from lensing_tfds.configs import LensingConfig
    from lensing_tfds.errors import LensingError
    from lensing_tfds.own_maps import lens
    from lensing_tfds.simulation import simulate
    from lensing_tfds.sources import SimulatedSource, StoredSource
    from lensing_tfds.versions import VERSIONS

__all__ = [
    "LensingConfig",
    "LensingError",
    "SimulatedSource",
    "StoredSource",
    "VERSIONS",
    "lens",
    "simulate",
]

__getattr__, __dir__ = imported_when_used(
    __name__,
    {
        "LensingConfig": ".configs",
        "LensingError": ".errors",
        "SimulatedSource": ".sources",
        "StoredSource": ".sources",
        "VERSIONS": ".versions",
        "lens": ".own_maps",
        "simulate": ".simulation",
    },
)


def _register(tfds: ModuleType) -> None:
    """Registers the dataset, once TFDS is there."""
    del tfds
    importlib.import_module("lensing_tfds.lensing_tfds_dataset_builder")


if importlib.util.find_spec("fsspec") is not None:
    # TFDS reaches buckets through epath, and epath through TensorFlow where it is installed, which
    # knows no s3:// any more. Epath's other way is fsspec, and is what `storage` uses too.
    os.environ.setdefault("EPATH_USE_TF", "false")
    if (epath := sys.modules.get("etils.epath.gpath")) is not None:  # as within `tfds build`
        forget = getattr(getattr(epath, "_is_tf_installed", None), "cache_clear", None)
        if forget is not None:  # what it found before it could know better
            forget()

if importlib.util.find_spec("tensorflow_datasets") is not None:
    import wrapt

    # Now if TFDS is imported already, else when it is: who wants maps alone does not wait for it.
    wrapt.register_post_import_hook(_register, "tensorflow_datasets")

if os.path.basename(sys.argv[0]) == "tfds":  # the command line of others, but our users
    from lensing_tfds import command_line

    command_line.speak_for_tfds()
