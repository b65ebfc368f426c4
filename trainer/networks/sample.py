"""Training examples, and what they are drawn from, for networks that begin as an estimator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from estimators.iterated.fitting import Examples
from lensing_tfds.sky.spectra import PowerSpectra


@dataclasses.dataclass(frozen=True)
class Sample:
    """Examples of a dataset's training split; nothing is read before it is asked for.

    Attributes:
      table: reads the spectra of its cosmology.
      first: streams so many examples from the first on, each time; fewer if there are no more.
    """

    table: Callable[[], PowerSpectra]
    first: Callable[[int], Examples]
