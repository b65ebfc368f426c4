"""Training examples, and what they are drawn from, for networks that begin as an estimator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from estimators.iterated.fitting import Examples
from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky.spectra import PowerSpectra

_Fit = TypeVar("_Fit")


@dataclasses.dataclass(frozen=True)
class Sample:
    """Examples of a dataset's training split; nothing is read before it is asked for.

    Attributes:
      table: reads the spectra of its cosmology.
      first: streams so many examples from the first on, each time; fewer if there are no more.
    """

    table: Callable[[], PowerSpectra]
    first: Callable[[int], Examples]
    _fits: dict[Any, Any] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def fitted(self, fit: Callable[[LensingConfig, Sample], _Fit], config: LensingConfig) -> _Fit:
        """Returns what is fitted to the examples, once for all networks of a search.

        Args:
          fit: fits it.
          config: of the examples.
        """
        if (fit, config) not in self._fits:
            self._fits[fit, config] = fit(config, self)
        found: _Fit = self._fits[fit, config]
        return found
