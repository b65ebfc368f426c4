"""Sources of the estimators whose band powers are measured; each worker process makes its own."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray

from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator, Observed
from estimators.filtering.masked_patch import is_filtered
from estimators.posterior.maximum_a_posteriori import MaximumAPosteriori
from estimators.references import fitted_iterated, iterated, quadratic_references
from lensing_tfds import __version__, realism, strict_json
from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records.stored_config import meant_config
from trainer.pretrained_models import has_pretrained, pretrained, stages_digest
from trainer.reconstruct import training_skies
from trainer.runs.run import load_run

QUADRATIC, ITERATED, MAP = "qe", "iterated", "map"
NAMED = (QUADRATIC, ITERATED, MAP)
"""Estimators that need no training."""


@dataclasses.dataclass(frozen=True)
class NamedSource:
    """A source of an estimator by its name.

    Attributes:
      name: one of `NAMED`.
      config: the version.
      folder: of a built dataset with a cosmology of its own; None for others.
    """

    name: str
    config: LensingConfig
    folder: str | None = None

    @classmethod
    def of(cls, name: str, dataset: str, data_dir: str | None = None) -> NamedSource:
        """Returns the source for a dataset.

        Args:
          name: one of `NAMED`.
          dataset: "lensing/v10", or a config's JSON.
          data_dir: where a dataset of somebody's own config was built.

        Raises:
          LensingError: there is no such dataset, or its skies have no such estimate.
        """
        config, folder = meant_config(dataset, data_dir)
        if name == MAP and not realism.estimator_theory_holds(config):
            raise LensingError(
                f"--estimator {MAP} is for periodic skies with noise that theory describes, which "
                f"those of lensing/{config.name} are not: choose {QUADRATIC} or {ITERATED}"
            )
        return cls(name, config, folder)

    @property
    def quadratic(self) -> bool:
        """Says whether estimates are quadratic in maps that have a sky each.

        Of skies with one unlensed sky in all no two are independent, as N0's must be; of those that
        are filtered by holes of their own, no two have one filter.
        """
        mask = self.config.mask
        holes = mask is not None and mask.holes > 0 and is_filtered(self.config)
        return self.name == QUADRATIC and not (self.config.fixed_unlensed or holes)

    @property
    def digest(self) -> str:
        """Hash of all that estimates depend on."""
        content = [__version__, DATASET_VERSION, self.name, self.config.to_json_of_examples()]
        if self.name == ITERATED and has_pretrained(self.config):
            content.append(stages_digest(self.config.name))
        return strict_json.digest(content)

    @functools.cached_property
    def ensemble(self) -> SkyEnsemble:
        """The ensemble of its skies."""
        return SkyEnsemble.of(self.config, self.folder)

    def estimator(self) -> Estimator:
        """Makes the estimator: the quadratic one as it is, the others Wiener-filtered."""
        held_out = functools.partial(training_skies, self.ensemble)
        if self.name == QUADRATIC:
            return quadratic_references(self.ensemble, held_out, "simulated skies")[0]
        if self.name == MAP:
            return _maximum_a_posteriori(self.ensemble)
        if has_pretrained(self.config):
            return iterated(self.config, pretrained(f"lensing/{self.config.name}").staged, "")
        return fitted_iterated(self.ensemble, held_out, "simulated skies")


@dataclasses.dataclass(frozen=True)
class RunSource:
    """A trained network as a source.

    Attributes:
      workdir: the run's folder.
      digest: of its best epoch.
    """

    workdir: str
    digest: str
    quadratic = False

    @classmethod
    def of(cls, workdir: str) -> RunSource:
        """Opens a run.

        Raises:
          LensingError: there is none, or no epoch of it is finished.
        """
        run = load_run(workdir)
        run.best_epoch()
        return cls(workdir, strict_json.digest([__version__, dict(run.fingerprint)]))

    @functools.cached_property
    def ensemble(self) -> SkyEnsemble:
        """The ensemble of the skies that it was trained on."""
        run = load_run(self.workdir)
        if run.lensing.cosmology is None:
            return SkyEnsemble.of(run.lensing)
        return run.dataset.ensemble

    def estimator(self) -> Estimator:
        """Loads the network of the best epoch."""
        return load_run(self.workdir).estimator("test", 1)


def _maximum_a_posteriori(ensemble: SkyEnsemble) -> Estimator:
    posterior = MaximumAPosteriori(ensemble.config, ensemble.theory)

    def predict(batch: Observed) -> NDArray[np.floating]:
        modes = np.stack([ascent.kappa for ascent in posterior.kappa(batch["lensed"])])
        return ensemble.config.sky.to_map(modes)[..., None]

    return Estimator(MAP, "maximum a posteriori", predict)
