"""Estimators, each with the version that it was made for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator, Observed
from estimators.quadratic.fields import fields_of
from estimators.quadratic.hardened import HardenedEstimator
from estimators.quadratic.observation import Observation
from estimators.quadratic.wiener import wiener_filter
from estimators.references import fitted_iterated, quadratic_references
from estimators.references import iterated as as_estimator
from lensing_tfds.config_differences import map_differences
from lensing_tfds.configs import LENSED, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from trainer.networks import families, iterated
from trainer.pretrained_models import has_pretrained, pretrained
from trainer.runs.run import Run, load_run

HARDENED_LMAX = 3500.0
"""Modes of T above it are not used by the hardened estimator: foregrounds are most of them."""

FITTED = 64
"""Skies to which an iterated estimator is fitted that there is no run of."""

_BATCH = 8


@dataclasses.dataclass(frozen=True)
class Made:
    """An estimator and what it was made for.

    Attributes:
      home: the config whose spectra or skies it rests on.
      estimator: which; its name is its own among those of all homes.
      basis: what it was made of, a phrase.
    """

    home: LensingConfig
    estimator: Estimator
    basis: str


def made(configs: Sequence[LensingConfig], models: Sequence[str], results: Path) -> list[Made]:
    """Gathers the estimators that there are.

    Args:
      configs: the versions, the one that the others are departures from first.
      models: networks' names; those that were trained are looked for in `results`, and gains of the
        iterated estimator in the package too, or they are fitted here.
      results: a folder of `benchmarks.results`.

    Raises:
      LensingError: a run is damaged, or of other maps than its folder's name says.
    """
    networks = [list(_networks(config, models, results)) for config in configs]
    theories: list[LensingConfig] = []
    found: list[Made] = []
    for config, of_config in zip(configs, networks, strict=True):
        # Of configs with the same theory one quadratic estimator is all.
        if not any(one.foregrounds == config.foregrounds for one in theories):
            theories.append(config)
            found += _quadratic(config)
        found += of_config
    return found


def _quadratic(config: LensingConfig) -> Iterator[Made]:
    ensemble = SkyEnsemble.of(config)
    wanted = {"qe_mv_wiener", "qe_tt_wiener"}
    for one in quadratic_references(ensemble, lambda: (), "no examples"):
        if one.name in wanted:
            yield _named(config, one, one.label.removesuffix(", Wiener"), "spectra")
    if config.foregrounds is not None:
        label = "QE TT, source-hardened"
        yield _named(config, _hardened(ensemble), label, f"spectra, T to l = {HARDENED_LMAX:.0f}")


def _hardened(ensemble: SkyEnsemble) -> Estimator:
    """The source-hardened estimator, Wiener-filtered."""
    config = ensemble.config
    quadratic = HardenedEstimator(Observation.of(config, ensemble.theory, HARDENED_LMAX))
    wiener = wiener_filter(ensemble.kappa_power, quadratic.noise)

    def predict(batch: Observed) -> NDArray[np.float32]:
        modes = quadratic.kappa(fields_of(batch[LENSED], config.channels, config.sky))
        return config.sky.to_map(modes * wiener.astype(modes.real.dtype))[..., None]

    return Estimator("qe_tt_hardened_wiener", "", predict)


def _networks(config: LensingConfig, models: Sequence[str], results: Path) -> Iterator[Made]:
    for model in models:
        folder = results / f"{config.name}-{model}"
        if folder.is_dir():
            run = load_run(folder)
            if run.name != model:
                raise LensingError(f"{folder} holds {run.name}, not {model}")
            if changed := map_differences(run.lensing, config):
                raise LensingError(f"{folder} is not of lensing/{config.name}: {changed}")
            yield _named(config, run.estimator("test", 1), model, _basis(run))
        elif model == iterated.NAME and has_pretrained(config):
            known = pretrained(f"lensing/{config.name}")
            one = as_estimator(config, known.staged, "")
            one = dataclasses.replace(one, uncertainty=known.uncertainty)
            yield _named(config, one, model, "gains that come with the package")
        elif model == iterated.NAME:
            yield _named(config, _fitted(config), model, f"gains fitted to {FITTED} skies")


def _fitted(config: LensingConfig) -> Estimator:
    """The iterated estimator, fitted to training skies that are simulated here."""
    starts = range(0, FITTED, _BATCH)
    batches = [simulate(config, "train", range(start, start + _BATCH)) for start in starts]
    return fitted_iterated(SkyEnsemble.of(config), lambda: batches, "the training skies")


def _basis(run: Run) -> str:
    """Says what a run was made of."""
    settings = run.config
    if families.is_fitted(run.name):
        return (
            f"gains fitted to {run.lensing.number_of_first('train', settings.max_examples)} skies"
        )
    if settings.minutes is not None:
        return f"{settings.minutes:g} minutes of training"
    return f"{settings.epochs} epochs of training"


def _named(home: LensingConfig, one: Estimator, label: str, basis: str) -> Made:
    name = f"{home.name}_{one.name}_{label}"
    return Made(home, dataclasses.replace(one, name=name, label=label), basis)
