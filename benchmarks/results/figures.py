"""The figures of a version's cells and of what they stand beside."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.results.cost import Spent

QE, QE_ALL, ITERATED = "QE", "QE, all modes", "iterated"
"""References: the quadratic estimator of ordinary modes and of all, and the iterated estimator."""

REFERENCES = (QE, QE_ALL, ITERATED)

BAND_SIGMAS = 3.0
"""Of a difference in a band: one of 20 bands is that far off by chance in one of 20 comparisons."""


class Difference(NamedTuple):
    """A difference of map-level correlations on the same examples, with the error of pairs."""

    value: float
    error: float


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Correlations of an estimate with κ.

    Attributes:
      rho: of maps; rho_error: its standard error, as of the next.
      rho_ell: in each band; of a forecast errors are 0.
    """

    rho: float
    rho_error: float
    rho_ell: tuple[float, ...]
    rho_ell_error: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Posterior:
    """The maximum a posteriori, of other and fewer examples."""

    rho: float
    rho_error: float
    num_examples: int


@dataclasses.dataclass(frozen=True)
class Made:
    """A cell that was trained and judged.

    Attributes:
      model: the network's name.
      column: of `Cell.column`.
      command: that makes it.
      minutes: that it was given; None if it is fitted.
      seed: of weights, order and augmentation.
      examples: seen in training, each as often as it was.
      steps: of the optimizer; None if it is fitted.
      parameters: that are trained or fitted; None if nobody counted.
      training: what each session of training spent.
      judging: what judging spent; None where that is not known, of a run that another command made.
      estimate: how it did.
      above_iterated: its ρ less the iterated estimator's; None without that.
      above_quadratic: bands where it is above every quadratic estimator by `BAND_SIGMAS`; None
        where that is not known.
      below_quadratic: bands where it is below one of them by as much, by their place.
      coverage: share of modes within the intervals of 68 and 95 % that it gives, in each band, by
        "68" and "95"; None if it gives none.
      fingerprint: SHA-256 of the network that was judged; None in files of an earlier release.
    """

    model: str
    column: str
    command: str
    minutes: float | None
    seed: int
    examples: int
    steps: int | None
    parameters: int | None
    training: tuple[Spent, ...]
    judging: Spent | None
    estimate: Estimate
    above_iterated: Difference | None
    above_quadratic: int | None
    below_quadratic: tuple[int, ...] | None
    coverage: Mapping[str, tuple[float, ...]] | None
    fingerprint: str | None = None


@dataclasses.dataclass(frozen=True)
class Failed:
    """A cell that has no figures, and the line that says why."""

    model: str
    column: str
    command: str
    line: str


@dataclasses.dataclass(frozen=True)
class OfVersion:
    """All that is known of a version.

    Attributes:
      version: its name.
      num_examples: of the test split, that all were judged on.
      ell_edges: of the judge's bands.
      references: what needs no network, by name.
      forecast: of the iterated estimator; None where theory does not hold.
      posterior: the maximum a posteriori; None where nobody measured it.
      made: the cells.
      failed: those without figures.
    """

    version: str
    num_examples: int
    ell_edges: tuple[float, ...]
    references: Mapping[str, Estimate]
    forecast: Estimate | None
    posterior: Posterior | None
    made: tuple[Made, ...]
    failed: tuple[Failed, ...]

    @property
    def cells(self) -> tuple[Made | Failed, ...]:
        """All, those without figures last."""
        return (*self.made, *self.failed)


def band_names(version: OfVersion) -> list[str]:
    """Names the judge's bands of a version by their edges: "40–80"."""
    edges = [f"{edge:.0f}" for edge in version.ell_edges]
    return [f"{low}–{high}" for low, high in zip(edges[:-1], edges[1:], strict=True)]
