"""The scores of an estimate in metrics.json, and of the estimators that it is judged beside."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from estimators.baselines import beside, is_baseline
from estimators.estimator import is_normalised
from estimators.metrics_numbers import (
    ROUNDING,
    measured_bands,
    measured_scalar,
    refuse_outside,
    scalar,
    typed,
    with_errors,
)
from estimators.resampling import Measured
from estimators.skill import Skill, difference_ell

if TYPE_CHECKING:
    from estimators.judge import Judged

_SCALARS = ("mse", "zero_mse", "map_correlation")
_SPECTRA = (
    "true_cl",
    "estimate_cl",
    "cross_cl",
    "residual_cl",
    "rho_ell",
    "transfer_ell",
    "noise_ell",
)


@dataclasses.dataclass(frozen=True, eq=False)
class BaselineMetrics:
    """An estimator that a subject was judged beside; see the module's docstring.

    Attributes:
      label: what it is, for people.
      basis: what its normalisation or its filter rests on.
      normalised_share: of κ's power.
      verdict: how the subject does beside it, a verb; None where there is no verdict.
      difference: the subject's map_correlation less this one's.
      difference_ell: the subject's rho_ell less this one's; None in metrics of an earlier release.
      measured: map_correlation, rho_ell, ... by name.
    """

    label: str
    basis: str
    normalised_share: float
    verdict: str | None
    difference: Measured
    difference_ell: Measured | None
    measured: Mapping[str, Measured]

    @property
    def is_normalised(self) -> bool:
        """As of `estimators.estimator.Estimator`."""
        return is_normalised(self.normalised_share)

    @property
    def differences(self) -> dict[str, Measured]:
        """By their names in the file."""
        found = {"difference": self.difference, "difference_ell": self.difference_ell}
        return {name: measured for name, measured in found.items() if measured is not None}

    @classmethod
    def of(cls, model: str, skill: Skill, other: Judged) -> BaselineMetrics:
        """Gathers the metrics of an estimator.

        Args:
          model: the subject's name.
          skill: the subject's.
          other: the estimator, judged.
        """
        compared = beside(model, skill, other)
        return cls(
            label=other.estimator.label,
            basis=other.estimator.basis,
            normalised_share=other.estimator.normalised_share,
            verdict=compared.verdict if is_baseline(other) else None,
            difference=compared.above,
            difference_ell=difference_ell(skill, other.skill),
            measured=measured_of(other.skill),
        )

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types; NaN becomes null."""
        return {
            "label": self.label,
            "basis": self.basis,
            "normalised_share": self.normalised_share,
            "verdict": self.verdict,
            **with_errors(self.differences),
            **with_errors(self.measured),
        }

    @classmethod
    def from_json(cls, values: Any, num_bands: int) -> BaselineMetrics:
        """Reads what `to_json` gave, of this release or an earlier one.

        Raises:
          LensingError: something is missing, or not what it should be.
        """
        return cls(
            label=typed(values, "label", str),
            basis=typed(values, "basis", str),
            # Earlier releases had neither.
            normalised_share=_share({"normalised_share": 1.0, **values}),
            verdict=None if values.get("verdict") is None else typed(values, "verdict", str),
            difference=measured_scalar(values, "difference"),
            difference_ell=(
                measured_bands(values, "difference_ell", num_bands)
                if "difference_ell" in values
                else None
            ),
            measured=measured_from(values, num_bands),
        )


def measured_of(skill: Skill) -> dict[str, Measured]:
    """Returns what was measured, by its name in the file."""
    fields = {field.name: getattr(skill, field.name) for field in dataclasses.fields(skill)}
    return {name: value for name, value in fields.items() if isinstance(value, Measured)}


def _share(values: Mapping[str, Any]) -> float:
    share = scalar(values, "normalised_share")
    refuse_outside("normalised_share", np.array(share), 0, 1 + ROUNDING)
    return share


def measured_from(values: Mapping[str, Any], num_bands: int) -> dict[str, Measured]:
    """Reads what `measured_of` returned.

    Args:
      values: of the file, each beside its error.
      num_bands: of those that are a number a band.

    Raises:
      LensingError: something is missing, or is what no estimate has.
    """
    measured = {name: measured_scalar(values, name) for name in _SCALARS}
    for name in _SPECTRA:
        measured[name] = measured_bands(values, name, num_bands)
    refuse_outside("zero_mse", measured["zero_mse"].value, 0)
    for name, of_zero in (
        ("mse", "zero_mse"),
        ("residual_cl", "true_cl"),
        ("noise_ell", "true_cl"),
    ):
        # Differences of sums: those of a perfect estimate are zero but for rounding.
        refuse_outside(name, measured[name].value, -ROUNDING * measured[of_zero].value)
    return measured
