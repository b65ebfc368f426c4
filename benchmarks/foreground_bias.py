"""Bias of κ from temperature by foregrounds on v16, plain and hardened, band by band.

Each sky is estimated with its foregrounds and without them, so that the difference of the two
estimates is what foregrounds do, and little else. Printed is the cross-spectrum of that difference
with the true κ, over κ's own spectrum: the bias of a cross-correlation with κ; and N0 of each
estimator over that of the plain one.

    python -m benchmarks.foreground_bias --examples 200
"""

import argparse
from collections.abc import Sequence

import numpy as np

from estimators.quadratic.hardened import PROFILES, HardenedEstimator
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from lensing_tfds import VERSIONS
from lensing_tfds.config_fields.foregrounds import FOREGROUNDS
from lensing_tfds.configs import KAPPA, LENSED, LensingConfig
from lensing_tfds.simulation import Simulator
from lensing_tfds.sky import spectra
from lensing_tfds.sky.binning import Bins

EDGES = np.array([100.0, 200, 400, 700, 1000, 1500, 2000])
LMAX = 3500.0


def biases(
    config: LensingConfig, examples: int, lmax: float = LMAX, edges: Sequence[float] = tuple(EDGES)
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Measures the bias of each estimator.

    Args:
      config: a config with foregrounds.
      examples: of the test split.
      lmax: modes of T above it are not used.
      edges: of the bands of L.

    Returns:
      By estimator: the bias, its error, and N0 over that of the plain one, a number a band.
    """
    sky = config.sky
    observation = Observation.of(config, spectra.fiducial(), lmax)
    estimators = {"plain": QuadraticEstimator("TT", observation)} | {
        f"{profile}-hardened": HardenedEstimator(observation, profile) for profile in PROFILES
    }
    bands = Bins.between(np.array(edges), sky)
    crosses: dict[str, list[np.ndarray]] = {name: [] for name in estimators}
    powers = []
    for block in Simulator(config, "test").examples(range(examples)):
        seen = block[LENSED][..., 0].astype(float)
        of_sky = seen - block[FOREGROUNDS][..., 0]
        fields = sky.to_modes(np.concatenate([seen, of_sky]))
        kappa = sky.to_modes(block[KAPPA][..., 0].astype(float))
        powers += [bands.average(bands.gather(np.abs(one) ** 2)) for one in kappa]
        for name, estimator in estimators.items():
            with_foregrounds, without = np.split(estimator.kappa({"T": fields}), 2)
            products = ((with_foregrounds - without) * kappa.conj()).real
            crosses[name] += [bands.average(bands.gather(one)) for one in products]
    power = np.mean(powers, axis=0)
    noise = {name: bands.average(bands.gather(one.noise)) for name, one in estimators.items()}
    return {
        name: (
            np.mean(found, axis=0) / power,
            np.std(found, axis=0) / np.sqrt(len(found)) / power,
            noise[name] / noise["plain"],
        )
        for name, found in crosses.items()
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.foreground_bias")
    parser.add_argument("--examples", type=int, default=200)
    arguments = parser.parse_args(argv)
    found = biases(VERSIONS["v16"], arguments.examples)
    print(f"v16, T to l = {LMAX:.0f}, {arguments.examples} test examples: bias, and N0 / plain N0")
    titles = [f"{low:.0f}-{high:.0f}" for low, high in zip(EDGES, EDGES[1:], strict=False)]
    print(f"{'L':>16}" + "".join(f"{title:>24}" for title in titles))
    for name, columns in found.items():
        cells = [
            f"{bias:+.4f} ± {error:.4f}, {ratio:4.2f}"
            for bias, error, ratio in zip(*columns, strict=True)
        ]
        print(f"{name:>16}" + "".join(f"{cell:>24}" for cell in cells))


if __name__ == "__main__":
    main()
