"""Response and power of each estimator on each version's skies, example by example."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.misspecification.made import Made
from estimators.coverage import CoverageMeter
from estimators.ensemble import SkyEnsemble
from estimators.power_spectra import Bands
from estimators.resampling import ExampleMeans, Measured
from lensing_tfds.configs import KAPPA, LENSED, LensingConfig
from lensing_tfds.simulation import simulate
from lensing_tfds.sky.binning import Bins

EDGES = (40.0, 100.0, 200.0, 400.0, 700.0, 1000.0, 1500.0, 2000.0, 3000.0)
"""Of the bands of L."""

_BATCH = 4
_QUANTITIES = 3  # κκ, κ̂κ, κ̂κ̂


@dataclasses.dataclass(frozen=True)
class OnSkies:
    """An estimator's scores on one version's skies, (bands,) each.

    Attributes:
      rho: ρ_L, correlation with the true κ.
      bias: of the cross-spectrum with κ: R_L / R_L° − 1, where R_L = <C^κ̂κ> / <C^κκ>, and R_L° is
        that on the first version's skies.
      excess: <C^κ̂κ̂> / R_L°² − <C^κκ> less the same on the first version's skies, in units of
        <C^κκ>: what the spectrum is off by once the noise bias that it has there is subtracted.
      coverage: the share of modes that its intervals of 68 % hold; None where it gives none.
    """

    rho: Measured
    bias: Measured
    excess: Measured
    coverage: Measured | None


def measure(
    configs: Sequence[LensingConfig],
    estimators: Sequence[Made],
    number: int,
    edges: Sequence[float] = EDGES,
) -> dict[tuple[str, str], OnSkies]:
    """Measures estimators on the first test examples of each version.

    Args:
      configs: the versions, whose patches are alike; the first is what the others are compared
        with.
      estimators: at least one.
      number: of examples.
      edges: of the bands of L.

    Returns:
      By the name of the version and of the estimator: its scores there. Errors are of a bootstrap
      over the numbers of examples, the same for all versions: of skies that share CMB, κ and noise
      those of differences are errors of pairs.
    """
    means, coverages = ExampleMeans(), _meters(configs, estimators, edges)
    for start in range(0, number, _BATCH):
        indices = range(start, min(start + _BATCH, number))
        powers = [
            _powers(config, estimators, indices, edges, meters)
            for config, meters in zip(configs, coverages, strict=True)
        ]
        means.add(*powers)

    def statistics(rows: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        shape = (len(configs), len(estimators), _QUANTITIES, len(edges) - 1)
        true, cross, power = np.moveaxis(rows.reshape(*rows.shape[:-1], *shape), -2, 0)
        response = cross / true
        first = response[..., :1, :, :]
        left = power / first**2 - true
        return {
            "rho": cross / np.sqrt(true * power),
            "bias": response / first - 1,
            "excess": (left - left[..., :1, :, :]) / true,
        }

    found = means.statistics(statistics, np.random.default_rng(0))
    return {
        (config.name, made.estimator.name): OnSkies(
            **{
                name: Measured(one.value[i, j], one.resamples[:, i, j].std(axis=0))
                for name, one in found.items()
            },
            coverage=_coverage(coverages[i][j]),
        )
        for i, config in enumerate(configs)
        for j, made in enumerate(estimators)
    }


def _meters(
    configs: Sequence[LensingConfig], estimators: Sequence[Made], edges: Sequence[float]
) -> list[list[CoverageMeter | None]]:
    """For each version and estimator, what measures the coverage of its intervals there."""
    found = []
    for config in configs:
        bands, power = Bands(config.sky, np.array(edges)), SkyEnsemble.of(config).kappa_power
        errors = [made.estimator.uncertainty for made in estimators]
        found.append([None if one is None else CoverageMeter(one, bands, power) for one in errors])
    return found


def _coverage(meter: CoverageMeter | None) -> Measured | None:
    return None if meter is None else meter.result(np.random.default_rng(0))[0].modes


def _powers(
    config: LensingConfig,
    estimators: Sequence[Made],
    indices: range,
    edges: Sequence[float],
    coverages: Sequence[CoverageMeter | None],
) -> NDArray[np.float64]:
    """Spectra of each example, (examples, estimators, quantities, bands)."""
    sky, bands = config.sky, Bins.between(edges, config.sky)
    batch: Mapping[str, NDArray] = simulate(config, "test", indices)
    kappa = batch[KAPPA][..., 0].astype(float)
    true = bands.gather(sky.to_modes(kappa))
    found = []
    for made, coverage in zip(estimators, coverages, strict=True):
        estimate = made.estimator.kappa(batch[LENSED], batch["index"])
        if coverage is not None:
            coverage.add(kappa, estimate)
        modes = bands.gather(sky.to_modes(estimate.astype(float)))
        products = (np.abs(true) ** 2, (modes * true.conj()).real, np.abs(modes) ** 2)
        found.append(np.stack([bands.average(product) for product in products], axis=1))
    return np.stack(found, axis=1)
