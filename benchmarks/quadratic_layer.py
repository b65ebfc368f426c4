"""The layer of the quadratic estimator beside the estimator itself, on one core.

    python -m benchmarks.quadratic_layer v11 v12 v10

From the modes of observed fields to those of κ̂: all pairs of a version, each for itself. Layers
are one function that TensorFlow compiles, as in a network. Its Fourier transforms are timed alone
too, of as many maps together: the bound of what faster arithmetic around them could reach. With
KERAS_BACKEND=jax XLA compiles the layers, and nothing is timed alone. Processor seconds are for
1,000 examples; the ratios are to the estimators', with the lowest and highest of the rounds; the
difference is the largest of any mode of κ̂, over the rms of its pair.
"""

import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from benchmarks.pixell_lensing import rate
from estimators.quadratic.fields import fields_of
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator, pairs_of
from lensing_tfds import VERSIONS, LensingConfig, simulate
from lensing_tfds.cosmology import spectra_of
from trainer.networks import quadratic_layers
from trainer.networks.by_example import is_by_example

ROUNDS = 5
MAPS = 16  # estimated together

Fields = dict[str, tuple[Any, Any]]


class Both:
    """A version's quadratic estimators and their layers, and the modes of the same maps.

    Args:
      config: the version.
      maps: of its test split.

    Attributes:
      transforms: planes of zeros, transformed as often as the layers transform planes of their
        size; None where Keras's backend is not TensorFlow.
      transforms_of_one: by the shape of a plane, how often the layers transform one of an example.
    """

    transforms: Callable[[], Any] | None = None

    def __init__(self, config: LensingConfig, maps: int = MAPS):
        sky, observation = config.sky, Observation.of(config, spectra_of(config))
        lensed = simulate(config, "test", range(maps))["lensed"]
        self._fields = fields_of(lensed, config.channels, sky)
        self._estimators = [QuadraticEstimator(pair, observation) for pair in pairs_of(config)]
        layers = [quadratic_layers.QuadraticEstimator.of(one) for one in self._estimators]
        modes = {}
        for name, half in self._fields.items():
            whole = full_plane(half)
            modes[name] = tuple(map(keras.ops.convert_to_tensor, (whole.real, whole.imag)))

        def estimates(fields: Fields) -> list[Any]:
            return [layer(*(fields[name] for name in layer.pair)) for layer in layers]

        if keras.backend.backend() == "jax":
            import jax

            compiled = jax.jit(estimates)
            self._estimates = lambda: jax.block_until_ready(compiled(modes))
            return
        import tensorflow as tf

        self._estimates = tf.function(lambda: estimates(modes), autograph=False)
        one = {name: (re[:1], im[:1]) for name, (re, im) in modes.items()}
        operations = tf.function(estimates).get_concrete_function(one).graph.get_operations()
        self.transforms_of_one = found = Counter(
            tuple(op.inputs[0].shape)[1:] for op in operations if op.type == "FFT2D"
        )
        together = {side: 1 if is_by_example(side) else maps for side, _ in found}
        planes = [tf.zeros((together[side], side, side), tf.complex64) for side, _ in found]

        @tf.function
        def transformed() -> list[Any]:
            results = []
            for plane, number in zip(planes, found.values(), strict=True):
                for _ in range(number * maps // len(plane)):
                    plane = tf.signal.fft2d(plane)
                results.append(plane)
            return results

        self.transforms = transformed

    def estimators(self) -> list[NDArray[np.complex64]]:
        """The half planes of κ̂, (maps, npix, npix // 2 + 1), of each pair."""
        return [one.kappa(self._fields) for one in self._estimators]

    def layers(self) -> list[tuple[Any, Any]]:
        """The real and imaginary parts of whole planes, of each pair."""
        return self._estimates()

    def difference(self) -> float:
        """The largest of any mode, over the rms of its pair's."""
        worst = 0.0
        for half, (re, im) in zip(self.estimators(), self.layers(), strict=True):
            found = (np.asarray(re) + 1j * np.asarray(im))[..., : half.shape[-1]]
            worst = max(worst, np.abs(found - half).max() / np.sqrt(np.mean(np.abs(half) ** 2)))
        return worst


def full_plane(half: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
    """The whole plane of real maps' modes, (n, npix, npix)."""
    npix = half.shape[-2]
    inner = half[..., 1 : (npix + 1) // 2]
    mirrored = np.roll(inner[..., ::-1, ::-1], 1, axis=-2).conj()
    return np.concatenate([half, mirrored], axis=-1)


def compare(version: str, rounds: int = ROUNDS) -> None:
    """Prints a row."""
    both = Both(VERSIONS[version])
    difference = both.difference()  # and compiles
    codes = [both.layers, both.estimators, *([both.transforms] if both.transforms else ())]
    table = np.array([[rate(code, MAPS) for code in codes] for _ in range(rounds)])
    layers, estimators, *transforms = 1000 / np.median(table, axis=0)
    alone = [f"{seconds:.1f}" for seconds in transforms]
    cells = (
        *(version, f"{layers:.1f}", *(alone or "–"), f"{estimators:.1f}"),
        _ratio(table[:, 1] / table[:, 0]),
        _ratio(table[:, 1] / table[:, 2]) if transforms else "–",
        f"{difference:.0e}",
    )
    print(f"| {' | '.join(cells)} |", flush=True)


def _ratio(rounds: NDArray[np.float64]) -> str:
    return f"{np.median(rounds):.2f} ({rounds.min():.2f}–{rounds.max():.2f})"


def main(versions: Sequence[str]) -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    print(
        "| | layers, s per 1,000 | their FFTs alone | estimators | ratio | of FFTs alone "
        "| difference |\n| --- |" + " ---: |" * 6
    )
    for version in versions:
        compare(version)


if __name__ == "__main__":
    main(sys.argv[1:] or ("v11", "v12", "v10"))
