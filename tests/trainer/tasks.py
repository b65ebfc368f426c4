"""Tasks of all sizes, for tests of networks."""

from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.sky.binning import Bins
from lensing_tfds.task import Task
from trainer.networks.families import family_of
from trainer.networks.scaling import Scaling
from trainer.networks.statistics import Statistics, fields
from trainer.settings.recipes import RECIPES

_NAMES = {recipe.model for recipes in RECIPES.values() for recipe in recipes}
TRAINED = sorted(name for name in _NAMES if family_of(name) in ("stack", "unet"))
"""The networks of all versions' recipes, but for those that are, or begin as, an estimator: these
see spectra, and are tested on skies that have some."""


def task(npix: int, stokes: str = "T") -> Task:
    """κ from maps of a dataset that nobody has built."""
    return Task(LensingConfig(name="any", npix=npix, lx=10.0, stokes=stokes), DATASET_VERSION)


def scaling(of: Task) -> Scaling:
    """Means and standard deviations that differ from channel to channel."""
    channels = range(len(of.inputs.channels))
    return Scaling(
        tuple(10.0 - 4 * i for i in channels),
        tuple(50.0 / (1 + i) for i in channels),
        (-0.1,),
        (0.2,),
    )


def statistics(of: Task, given: Scaling | None = None) -> Statistics:
    """Statistics with a scaling, `scaling(of)` if none is given, and power that falls with l."""
    rings = Bins.fundamental(of.lensing.sky).num
    power = tuple(1e-3 / (1 + i) ** 2 for i in range(rings))
    return Statistics(given or scaling(of), dict.fromkeys(fields(of), power))
