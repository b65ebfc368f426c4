"""Verdicts: does an estimator beat the Wiener-filtered quadratic ones, which need no training?"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from estimators.resampling import Measured
from estimators.skill import Skill, difference

if TYPE_CHECKING:
    from estimators.judge import Evaluation, Judged

_SIGNIFICANT = 2.0  # sigma, for one estimator to beat another
_KNOWN_WELL = 0.1  # largest error of a difference that shows a match, relative to the baseline's ρ


@dataclasses.dataclass(frozen=True, eq=False)
class BaselineComparison:
    """An estimator beside one baseline.

    Attributes:
      label: of the estimator in question.
      baseline: what stands beside it.
      above: the map-level correlation less the baseline's, with the error of pairs.
    """

    label: str
    baseline: Judged
    above: Measured

    @property
    def verdict(self) -> str | None:
        """A verb: "beats", "matches", "is beaten by", or "cannot be told from".

        None where the baseline could not be normalised: its estimate is then zero by default, and
        nothing is won by beating it.
        """
        if not self.baseline.estimator.is_normalised:
            return None
        above, error = float(self.above.value), float(self.above.error)
        if error > 0 and abs(above) >= _SIGNIFICANT * error:
            return "beats" if above > 0 else "is beaten by"
        rho = float(self.baseline.skill.map_correlation.value)
        return "matches" if error <= _KNOWN_WELL * abs(rho) else "cannot be told from"

    @property
    def sentence(self) -> str:
        """The verdict, with its numbers, as a sentence."""
        name, basis = self.baseline.estimator.label, self.baseline.estimator.basis
        if self.verdict is None:
            return (
                f"No verdict on the {self.label} and {name}, which could not be normalised: its "
                f"response to κ was not found above zero ({basis})."
            )
        above, error = float(self.above.value), float(self.above.error)
        numbers = f"map-level ρ differs by {above:+.4f} ± {error:.4f}"
        return f"The {self.label} {self.verdict} {name}: {numbers}."


def beside_baselines(evaluation: Evaluation) -> list[BaselineComparison]:
    """Compares the first estimator with each Wiener-filtered quadratic one."""
    return [
        beside(evaluation.judged[0].estimator.label, evaluation.skill, other)
        for other in evaluation.others
        if is_baseline(other)
    ]


def is_baseline(judged: Judged) -> bool:
    """Says whether a verdict is due: on Wiener-filtered estimates, which are meant to be near κ."""
    return judged.estimator.name.endswith("_wiener")


def beside(label: str, skill: Skill, baseline: Judged) -> BaselineComparison:
    """Compares one skill with a baseline's, on the same examples."""
    return BaselineComparison(label, baseline, difference(skill, baseline.skill))
