import dataclasses
import functools

import pytest

from estimators.bandpowers.measurement import Numbers, measure
from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator
from estimators.quadratic.fields import fields_of
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from lensing_tfds.configs import LensingConfig
from lensing_tfds.records.shard_summary import ShardSummary

CONFIG = LensingConfig(
    name="little",
    npix=32,
    lx=1.0,
    stokes="QU",
    oversampling=2,
    beam_arcmin=2.0,
    noise_uK_arcmin=1.0,
    num_examples={"train": 8, "validation": 8, "test": 8},
)


@dataclasses.dataclass(frozen=True)
class Little:
    """The quadratic estimate of EE and EB of `CONFIG`; `shrunk` like a network's, if not 1."""

    shrunk: float = 1.0

    @property
    def quadratic(self):
        return self.shrunk == 1

    @property
    def digest(self):
        return f"little {self.shrunk}"

    @functools.cached_property
    def ensemble(self):
        return SkyEnsemble.of(CONFIG)

    def combination(self):
        return MinimumVariance(("EE", "EB"), Observation.of(CONFIG, self.ensemble.theory))

    def estimator(self):
        combination = self.combination()

        def predict(batch):
            modes = combination.kappa(fields_of(batch["lensed"], CONFIG.channels, CONFIG.sky))
            return self.shrunk * CONFIG.sky.to_map(modes)[..., None]

        return Estimator("little", "little", predict)


def one_by_one(write, plans):
    """An executor: a loop."""
    return ShardSummary.of(
        write(spec, lambda count: None) for plan in plans for spec in plan.shards()
    )


NUMBERS = Numbers(data=64, simulations=96, scaled=64, rdn0=8)


@pytest.fixture(scope="session")
def measured(tmp_path_factory):
    """Spectra of `Little`."""
    folder = str(tmp_path_factory.mktemp("spectra"))
    return measure("little", Little(), NUMBERS, folder, execute=one_by_one)


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """Spectra of an estimate that nobody knows to be quadratic, of 0.6 times the response."""
    folder = str(tmp_path_factory.mktemp("network"))
    return measure("network", Little(0.6), NUMBERS, folder, execute=one_by_one)
