"""The memory that training a network needs, estimated from its layers' sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

_FLOAT_BYTES = 4
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclasses.dataclass(frozen=True)
class MemoryEstimate:
    """Bytes needed at the height of a training step.

    Attributes:
      parameters: the weights.
      gradients: one for each weight.
      optimizer: its moments, as many for each weight as its algorithm keeps, and their average.
      activations: the input and every layer's output, kept for the backward pass, and the gradients
        of the two largest neighbours, which exist together.
    """

    parameters: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All of them; the libraries themselves and convolution workspaces come on top."""
        return self.parameters + self.gradients + self.optimizer + self.activations


@dataclasses.dataclass(frozen=True)
class Footprint:
    """Numbers that a network keeps.

    Attributes:
      parameters: its weights.
      activations: of one example, at the height of a training step.
    """

    parameters: int
    activations: int

    @classmethod
    def of_chain(cls, parameters: int, outputs: Sequence[int]) -> Footprint:
        """Counts a network whose layers form one chain.

        Args:
          parameters: its weights.
          outputs: numbers in one example's input and in every layer's output, in order.
        """
        neighbours = max(a + b for a, b in zip(outputs, outputs[1:], strict=False))
        return cls(parameters, sum(outputs) + neighbours)

    def in_training(
        self, batch_size: int, optimizer: str, precision: str = "float32", averaged: bool = False
    ) -> MemoryEstimate:
        """Estimates the memory of a training step.

        Args:
          batch_size: examples a step.
          optimizer: "adam", "adamw" or "sgd", the last with momentum.
          precision: of layers' outputs: "float32", "bfloat16" or "float16".
          averaged: whether a moving average of the weights is kept.
        """
        parameters = self.parameters * _FLOAT_BYTES
        slots = {"adam": 2, "adamw": 2, "sgd": 1}[optimizer] + averaged  # arrays for each parameter
        return MemoryEstimate(
            parameters=parameters,
            gradients=parameters,
            optimizer=slots * parameters,
            activations=self.activations * batch_size * _BYTES[precision],
        )
