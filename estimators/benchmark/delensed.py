"""The lensing B modes that a submission's estimates leave, as its file has them."""

from __future__ import annotations

import dataclasses
from typing import Any

from estimators.delensing.residual_b_modes import Delensing
from estimators.metrics_numbers import measured_scalar, number_list, typed, with_errors
from estimators.resampling import Measured
from lensing_tfds import realism
from lensing_tfds.configs import LensingConfig

NUM_DELENSED = 200
"""Number of examples that are delensed, the first ones: errors of a few per cent."""


def has_b_modes(config: LensingConfig) -> bool:
    """Says whether a version's estimates are judged by the B modes that they leave."""
    return realism.b_is_lensings(config)


@dataclasses.dataclass(frozen=True)
class BModesLeft:
    """The share of lensing B power that is left, see `estimators.delensing.residual_b_modes`.

    Attributes:
      num_examples: how many skies.
      l_range: lowest and highest multipole of the B modes.
      residual: the share.
      moved_noise: the same with the estimate's noise moved.
    """

    num_examples: int
    l_range: tuple[float, float]
    residual: Measured
    moved_noise: Measured

    @classmethod
    def of(cls, found: Delensing, name: str) -> BModesLeft:
        """Takes an estimator's shares out of those of several, by its name."""
        shares = (found.residual[name], found.moved_noise[name])
        return cls(found.num_examples, found.l_range, *shares)

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types."""
        shares = {"residual": self.residual, "moved_noise": self.moved_noise}
        head = {"num_examples": self.num_examples, "l_range": list(self.l_range)}
        return head | with_errors(shares)

    @classmethod
    def from_json(cls, values: Any) -> BModesLeft:
        """Reads what `to_json` gave.

        Raises:
          LensingError: something is missing, or is what no estimate leaves.
        """
        low, high = number_list(values, "l_range", 2).tolist()
        shares = (measured_scalar(values, name) for name in ("residual", "moved_noise"))
        return cls(typed(values, "num_examples", int), (low, high), *shares)
