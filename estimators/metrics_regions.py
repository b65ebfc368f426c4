"""The section of metrics.json on the regions of a patch that differ in noise."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from estimators.estimator import NETWORK
from estimators.metrics_numbers import (
    ROUNDING,
    measured_bands,
    measured_scalar,
    refuse_outside,
    scalar,
    typed,
    with_errors,
)
from estimators.metrics_scores import measured_of
from estimators.regions import NAMES
from estimators.resampling import Measured
from lensing_tfds.errors import LensingError

if TYPE_CHECKING:
    from estimators.judge import Evaluation

_SCALARS, _SPECTRA = ("map_correlation", "mse"), ("rho_ell", "noise_ell")

Scores = Mapping[str, Measured]


@dataclasses.dataclass(frozen=True, eq=False)
class RegionMetrics:
    """The worth of estimates in a region.

    Attributes:
      name: of the region.
      noise: rms of its noise over that of the whole patch.
      share_of_map: as of `Region.share`.
      scores: map_correlation, mse, rho_ell and noise_ell by the estimators' names; that of the
        subject is "network".
    """

    name: str
    noise: float
    share_of_map: float
    scores: Mapping[str, Scores]

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types; NaN becomes null."""
        return {
            "name": self.name,
            "noise": self.noise,
            "share_of_map": self.share_of_map,
            "estimators": {name: with_errors(scores) for name, scores in self.scores.items()},
        }

    @classmethod
    def from_json(cls, values: Any, num_bands: int) -> RegionMetrics:
        """Reads what `to_json` gave.

        Raises:
          LensingError: something is missing, or not what it should be.
        """
        noise, share = scalar(values, "noise"), scalar(values, "share_of_map")
        refuse_outside("noise", np.array(noise), 0)
        refuse_outside("share_of_map", np.array(share), 0, 1)
        scores = {}
        for name, entry in typed(values, "estimators", dict).items():
            found = {key: measured_scalar(entry, key) for key in _SCALARS}
            # A difference of sums: that of a perfect estimate is zero but for rounding.
            refuse_outside("mse", found["mse"].value, -(ROUNDING**2))
            scores[name] = found | {key: measured_bands(entry, key, num_bands) for key in _SPECTRA}
        if NETWORK not in scores:
            raise LensingError(f"'estimators' has no {NETWORK!r}")
        return cls(typed(values, "name", str), noise, share, scores)


def regions_of(evaluation: Evaluation) -> tuple[RegionMetrics, ...]:
    """Gathers the metrics of an evaluation's regions."""
    names = [NETWORK, *(judged.estimator.name for judged in evaluation.others)]
    found = []
    for number, region in enumerate(evaluation.regions):
        scores = {}
        for name, judged in zip(names, evaluation.judged, strict=True):
            measured = measured_of(judged.regions[number])
            scores[name] = {key: measured[key] for key in (*_SCALARS, *_SPECTRA)}
        found.append(RegionMetrics(region.name, region.noise, region.share, scores))
    return tuple(found)


def regions_from(values: Mapping[str, Any], num_bands: int) -> tuple[RegionMetrics, ...]:
    """Reads the regions; none where the noise is the same, and in metrics of an earlier release.

    Raises:
      LensingError: something is missing, or not what it should be.
    """
    found = []
    for entry in typed({"regions": [], **values}, "regions", list):
        try:
            found.append(RegionMetrics.from_json(entry, num_bands))
        except LensingError as error:
            raise LensingError(f"regions: {error}") from error
    names = tuple(region.name for region in found)
    if names not in ((), NAMES):
        raise LensingError(f"regions: {', '.join(names)} are not {', '.join(NAMES)}, in this order")
    return tuple(found)
