"""The correlation of estimators with κ on a dataset's own examples, beside what theory expects."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from estimators.dataset import Dataset
from estimators.judge import baselines_of
from estimators.quadratic.measured import MIN_EXAMPLES
from estimators.reach import leading
from estimators.resampling import ExampleMeans, Measured
from estimators.skill import NUM_MOMENTS, map_correlation, moments
from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import KAPPA, LENSED
from lensing_tfds.sky.binning import Bins

_JUDGED = 200  # examples: they give the map-level ρ to 0.002


@dataclasses.dataclass(frozen=True, eq=False)
class MeasuredReach:
    """The measured reach of an estimator.

    Attributes:
      group: of `reach.leading`.
      label: the estimator's.
      basis: what it rests on.
      map_correlation: of maps, over all modes.
      rho: ρ_L in each ring.
      num_examples: how many were judged.
    """

    group: str
    label: str
    basis: str
    map_correlation: Measured
    rho: Measured
    num_examples: int


def measured(dataset: Dataset, rings: Bins) -> list[MeasuredReach]:
    """Judges the leading estimators on the first test examples; none where examples are too few.

    Args:
      dataset: built.
      rings: of modes.

    Raises:
      LensingError: its examples cannot be read.
    """
    number = min(_JUDGED, dataset.num_examples("test"))
    if dataset.num_examples("train") < MIN_EXAMPLES or number < 2:
        return []
    found = {e.name: e for e in baselines_of(dataset, "test") if e.is_normalised}
    groups = leading(found)
    estimators = [found[name] for name in groups.values()]
    means = [ExampleMeans() for _ in estimators]
    sky, inside = dataset.config.sky, dataset.ensemble.window
    window: NDArray[np.floating] = np.ones((sky.npix, sky.npix), np.float32)
    if inside is not None:
        window = inside.astype(np.float32)
    for batch in dataset.batches("test", number):
        kappa = batch[KAPPA][..., 0] * window
        true = sky.to_modes(np.ascontiguousarray(kappa))
        for estimator, rows in zip(estimators, means, strict=True):
            maps = estimator.kappa(batch[LENSED], batch["index"], batch.get(MASK))
            estimate = np.ascontiguousarray(maps * window)
            guess = sky.to_modes(estimate.astype(kappa.dtype, copy=False))
            products = (np.abs(true) ** 2, (guess * true.conj()).real, np.abs(guess) ** 2)
            rows.add(moments(kappa, estimate), *(rings.mean(product) for product in products))
    return [
        MeasuredReach(
            group,
            estimator.label.removesuffix(", Wiener"),
            estimator.basis,
            rows.measure(_map, np.random.default_rng(0)),
            rows.measure(_rings, np.random.default_rng(0)),
            number,
        )
        for group, estimator, rows in zip(groups, estimators, means, strict=True)
    ]


def _map(means: NDArray[np.float64]) -> NDArray[np.float64]:
    return map_correlation(means[..., :NUM_MOMENTS])


def _rings(means: NDArray[np.float64]) -> NDArray[np.float64]:
    true, cross, power = np.split(means[..., NUM_MOMENTS:], 3, axis=-1)
    norm = np.sqrt(true * power)
    return np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
