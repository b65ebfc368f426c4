"""Correlations with κ that the maximum a posteriori was measured to have, on the versions' skies.

It takes minutes an example, so that it is not judged anew beside every run: the numbers are a file
of this package, which `python -m benchmarks.maximum_a_posteriori` writes.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.resampling import Measured
from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky.binning import Bins
from lensing_tfds.versions import VERSIONS

FILE = "measured.json"

_NOT_THE_SKY = ("name", "num_examples", "unlensed_E")


@dataclasses.dataclass(frozen=True, eq=False)
class MeasuredPosterior:
    """Correlations with κ of the maximum a posteriori; its bands are its own.

    Attributes:
      num_examples: how many test examples.
      ell: mean multipoles of the bands, (bands,).
      rho_ell: in the bands, with errors from the scatter of examples.
      map_correlation: of maps, over all modes.
      forecast: the iterated forecast in the same bands, (bands,).
    """

    num_examples: int
    ell: NDArray[np.float64]
    rho_ell: Measured
    map_correlation: Measured
    forecast: NDArray[np.float64]


def measured_posterior(config: LensingConfig) -> MeasuredPosterior | None:
    """Returns what was measured on skies of a config; None if nothing was.

    Args:
      config: a version, or one that differs in its name, examples and labels alone.
    """
    file = importlib.resources.files("estimators.posterior").joinpath(FILE)
    table = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    for name, found in table.items():
        if _sky(VERSIONS[name]) == _sky(config):
            scores = found["scores"]["maximum a posteriori"]
            return MeasuredPosterior(
                found["examples"],
                Bins.between(np.maximum(found["edges"], 1), config.sky).ell,  # no monopole
                _measured(scores["bands"]),
                _measured(scores["all"]),
                np.array(found["forecast"]["bands"]),
            )
    return None


def _measured(found: Mapping[str, Any]) -> Measured:
    return Measured(np.array(found["value"]), np.array(found["error"]))


def _sky(config: LensingConfig) -> dict[str, object]:
    return {name: v for name, v in config.to_json().items() if name not in _NOT_THE_SKY}
