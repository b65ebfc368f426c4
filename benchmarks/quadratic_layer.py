"""The layer of the quadratic estimator beside the estimator itself, on one core.

    python -m benchmarks.quadratic_layer v11 v12 v10

From the modes of observed fields to those of κ̂: all pairs of a version, each for itself. Layers
are one function that TensorFlow compiles, as in a network. Its Fourier transforms are timed alone
too: the bound of what faster arithmetic around them could reach. Processor seconds are for 1,000
examples; the ratios are to the estimators', with the lowest and highest of the rounds; the
difference is the largest of any mode of κ̂, over the rms of its pair.
"""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.pixell_lensing import rate
from estimators.quadratic.fields import fields_of
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator, pairs_of
from lensing_tfds import VERSIONS, LensingConfig, simulate
from lensing_tfds.cosmology import spectra_of

ROUNDS = 5
MAPS = 16  # estimated together


class Both:
    """A version's quadratic estimators and their layers, and the modes of the same maps.

    Args:
      config: the version.
      maps: of its test split.
    """

    def __init__(self, config: LensingConfig, maps: int = MAPS):
        import tensorflow as tf

        from trainer.networks import quadratic_layers

        sky, observation = config.sky, Observation.of(config, spectra_of(config))
        lensed = simulate(config, "test", range(maps))["lensed"]
        self._fields = fields_of(lensed, config.channels, sky)
        self._estimators = [QuadraticEstimator(pair, observation) for pair in pairs_of(config)]
        layers = [quadratic_layers.QuadraticEstimator.of(one) for one in self._estimators]
        modes = {}
        for name, half in self._fields.items():
            whole = full_plane(half)
            modes[name] = tf.constant(whole.real), tf.constant(whole.imag)

        @tf.function
        def estimates() -> list[Any]:
            return [layer(*(modes[name] for name in layer.pair)) for layer in layers]

        self._estimates = estimates
        operations = estimates.get_concrete_function().graph.get_operations()
        self.transforms_a_call = found = Counter(
            tuple(op.inputs[0].shape) for op in operations if op.type == "FFT2D"
        )
        planes = [tf.zeros(shape, tf.complex64) for shape in found]

        @tf.function
        def transformed() -> list[Any]:
            results = []
            for plane, number in zip(planes, found.values(), strict=True):
                for _ in range(number):
                    plane = tf.signal.fft2d(plane)
                results.append(plane)
            return results

        self._transformed = transformed

    def estimators(self) -> list[NDArray[np.complex64]]:
        """The half planes of κ̂, (maps, npix, npix // 2 + 1), of each pair."""
        return [one.kappa(self._fields) for one in self._estimators]

    def layers(self) -> list[tuple[Any, Any]]:
        """The real and imaginary parts of whole planes, of each pair."""
        return self._estimates()

    def transforms(self) -> list[Any]:
        """Planes of zeros, transformed as often as the layers transform planes of their size."""
        return self._transformed()

    def difference(self) -> float:
        """The largest of any mode, over the rms of its pair's."""
        worst = 0.0
        for half, (re, im) in zip(self.estimators(), self.layers(), strict=True):
            found = (re.numpy() + 1j * im.numpy())[..., : half.shape[-1]]
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
    codes = both.layers, both.transforms, both.estimators
    table = np.array([[rate(code, MAPS) for code in codes] for _ in range(rounds)])
    layers, transforms, estimators = 1000 / np.median(table, axis=0)
    print(
        f"| {version} | {layers:.1f} | {transforms:.1f} | {estimators:.1f} | "
        f"{_ratio(table[:, 2] / table[:, 0])} | {_ratio(table[:, 2] / table[:, 1])} | "
        f"{difference:.0e} |",
        flush=True,
    )


def _ratio(rounds: NDArray[np.float64]) -> str:
    return f"{np.median(rounds):.2f} ({rounds.min():.2f}–{rounds.max():.2f})"


def main(versions: Sequence[str]) -> None:
    import tensorflow as tf

    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
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
