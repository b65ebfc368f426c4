"""The memory that training a network needs, estimated from its layers."""

from __future__ import annotations

import dataclasses
import math

import keras

_FLOAT_BYTES = 4


@dataclasses.dataclass(frozen=True)
class MemoryEstimate:
    """Bytes needed at the height of a training step.

    Attributes:
      parameters: the weights.
      gradients: one for each weight.
      optimizer: its moments, as many for each weight as its algorithm keeps.
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


def estimate_memory(model: keras.Model, batch_size: int, optimizer: str) -> MemoryEstimate:
    """Estimates the memory of a float32 training step.

    Args:
      model: a network whose layers form one chain, as those of `trainer.networks.models` do.
      batch_size: examples a step.
      optimizer: "adam" or "sgd", the latter with momentum.
    """
    outputs = [math.prod(layer.output.shape[1:]) for layer in model.layers]
    neighbours = max(a + b for a, b in zip(outputs, outputs[1:], strict=False))
    parameters = model.count_params() * _FLOAT_BYTES
    slots = {"adam": 2, "sgd": 1}[optimizer]  # arrays that it keeps for each parameter
    return MemoryEstimate(
        parameters=parameters,
        gradients=parameters,
        optimizer=slots * parameters,
        activations=(sum(outputs) + neighbours) * batch_size * _FLOAT_BYTES,
    )
