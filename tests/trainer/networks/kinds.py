"""Small configs of every version's kind, and training examples of them as a run gives them."""

import dataclasses

from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky import spectra
from lensing_tfds.versions import VERSIONS
from trainer.networks.sample import Sample

TABLE = spectra.fiducial()


def sample_of(maps):
    """Maps of `simulate` as a dataset's training examples."""
    return Sample(lambda: TABLE, lambda number: lambda: [{k: v[:number] for k, v in maps.items()}])


def smaller(config, npix):
    """The same pixels, fewer of them, with edges that are as much narrower as the patch is."""
    part = npix / config.npix
    fewer = {"npix": npix, "num_examples": {"train": 64, "validation": 8, "test": 8}}
    side = {} if config.lx is None else {"lx": config.lx * part}
    edges = {"taper": config.taper * part}
    if config.mask is not None:
        lengths = ("border", "edge", "hole_radius_arcmin")
        narrower = {name: getattr(config.mask, name) * part for name in lengths}
        edges["mask"] = dataclasses.replace(config.mask, **narrower)
    return dataclasses.replace(config, name=f"like_{config.name}", **fewer, **side, **edges)


EDGES = LensingConfig(
    "edges", npix=32, lx=2.0, stokes="TQU", oversampling=2, beam_arcmin=1.5, noise_uK_arcmin=1.0,
    padding=2.0, taper=0.3,
)  # fmt: skip
KINDS = {name: smaller(config, 33 if name == "v2" else 32) for name, config in VERSIONS.items()}
KINDS["edges"] = EDGES
