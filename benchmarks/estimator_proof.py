"""The quadratic estimators on simulated skies of v9 to v12: normalisation, noise, correlation.

    python -m benchmarks.estimator_proof [--pairs 200] [--versions v9 v10 v11 v12]

Skies come in pairs that share κ, but neither the CMB nor the noise. From them, in bands of L:

- Normalisation: the cross-spectrum of the estimate with the true κ, over κ's own spectrum.
- Noise: what of the estimate's spectrum does not go with κ, over N0.
- N0 + N1 by simulation (Story et al. 2015, arXiv:1412.4760, section 3.2). N1 is what the estimate
  takes for κ at L of the lensing by other modes of κ (Kesden, Cooray & Kamionkowski 2003,
  astro-ph/0302536). With κ̂₁₂ the estimate from the first field of one sky of a pair and the
  second field of the other, whose CMBs have nothing in common but κ,

      N0 + N1 = ⟨|κ̂₁₂|² + κ̂₁₂ κ̂₂₁*⟩ = ⟨|κ̂₁₂ + κ̂₂₁|²⟩ / 2,

  and κ̂₁₂ + κ̂₂₁ is the estimate from the two skies' sum, less those from either.
- N2: at fixed κ the CMB's average of the estimate is κ only to first order. What is of higher order
  and does not go with κ (Hanson et al. 2011, arXiv:1008.4403) is the same in both skies of a pair:
  N2 = ⟨κ̂₁ κ̂₂*⟩ less its part that goes with κ.
- Pearson's correlation of the Wiener-filtered estimate's map with κ's.

At fixed κ the lensed CMB is Gaussian, so N0 + N1 + N2, each taken with all its higher orders as
here, are all the noise there is. Errors are those of the mean over the pairs. About a minute on one
core.
"""

import argparse
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.quadratic import wiener
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import PAIRS, QuadraticEstimator
from lensing_tfds import VERSIONS, LensingConfig
from lensing_tfds.cosmology import kappa_power, spectra_of
from lensing_tfds.field_numbers import KAPPA
from lensing_tfds.simulation import Simulator
from lensing_tfds.sky import polarization
from lensing_tfds.sky.flat_sky import FlatSky

NAMES = ("v9", "v10", "v11", "v12")
EDGES = (100, 200, 400, 700, 1000, 1500, 2000)
CHUNK = 16  # skies in memory at a time

Fields = dict[str, NDArray[np.complexfloating]]


class PairedSimulator(Simulator):
    """A simulator whose examples 2i and 2i + 1 share κ, and nothing else."""

    def _draw(
        self, indices: Sequence[int], scratch: Any
    ) -> tuple[NDArray[np.complex64], dict[str, NDArray[np.complex64]]]:
        _, fields = super()._draw(indices, scratch)
        self._stream.fill([index // 2 for index in indices], KAPPA, scratch.normals[0])
        return self._kappa.seed(scratch.normals[0]), fields


@dataclasses.dataclass(frozen=True)
class Proof:
    """An estimator's response and noise in bands of L, with standard errors.

    Attributes:
      normalisation: cross-spectrum with κ / κ's spectrum, shape (bands,).
      normalisation_error: its standard error.
      noise: (spectrum of κ̂ − cross² / κ's) / N0.
      noise_error: its standard error.
      n0_n1: (N0 + N1) / N0.
      n0_n1_error: its standard error.
      n2: N2 / N0.
      n2_error: its standard error.
      rest_error: the standard error of `noise` − `n0_n1` − `n2`, which share skies.
      correlation: of the Wiener-filtered maps with κ's.
      correlation_error: its standard error.
      correlation_n0: what it would be, were N0 all the noise.
      correlation_n1: the same with N0 + N1.
    """

    normalisation: NDArray[np.float64]
    normalisation_error: NDArray[np.float64]
    noise: NDArray[np.float64]
    noise_error: NDArray[np.float64]
    n0_n1: NDArray[np.float64]
    n0_n1_error: NDArray[np.float64]
    n2: NDArray[np.float64]
    n2_error: NDArray[np.float64]
    rest_error: NDArray[np.float64]
    correlation: float
    correlation_error: float
    correlation_n0: float
    correlation_n1: float


class _Sums:
    """Sums over the modes of each pair of skies, for one estimator.

    Args:
      estimator: of κ.
      sky: the patch.
      kappa_power: C_κκ on its half plane.
      edges: of the bands of L.
    """

    def __init__(
        self,
        estimator: QuadraticEstimator | MinimumVariance,
        sky: FlatSky,
        kappa_power: NDArray[np.float64],
        edges: Sequence[float],
    ):
        self.estimator, self._sky, self._kappa_power = estimator, sky, kappa_power
        self._filter = wiener.wiener_filter(kappa_power, estimator.noise)
        self._known = np.isfinite(estimator.noise)
        self._weight = np.divide(1, estimator.noise, out=np.zeros(sky.ell.shape), where=self._known)
        self._bands = [
            self._known & (sky.ell >= low) & (sky.ell < high)
            for low, high in zip(edges[:-1], edges[1:], strict=True)
        ]
        self._rows: list[NDArray[np.float64]] = []
        self._maps: list[NDArray[np.float64]] = []
        self._plane, self._count = np.zeros(sky.ell.shape), 0

    def add(self, fields: Fields, kappa: NDArray[np.complexfloating]) -> None:
        """Adds skies, of which 2i and 2i + 1 are a pair."""
        alone = self.estimator.kappa(fields)
        both = self.estimator.kappa({name: m[0::2] + m[1::2] for name, m in fields.items()})
        mixed = np.abs(both - alone[0::2] - alone[1::2]) ** 2 / 2 * self._sky.area
        self._plane += mixed.sum(axis=0)
        self._count += len(mixed)
        planes = [(alone * kappa.conj()).real, np.abs(kappa) ** 2, np.abs(alone) ** 2]
        of_pairs = [(plane[0::2] + plane[1::2]) / 2 * self._sky.area for plane in planes]
        of_pairs += [mixed, (alone[0::2] * alone[1::2].conj()).real * self._sky.area]
        # Over N0, so that every mode counts alike in the noise.
        self._rows.append(
            np.stack(
                [
                    [(plane * self._weight)[:, band].mean(axis=1) for band in self._bands]
                    for plane in of_pairs
                ],
                axis=-1,
            ).swapaxes(0, 1)
        )
        estimate = self._sky.to_map(alone * self._filter.astype(alone.real.dtype))
        truth = self._sky.to_map(kappa)
        products = [(estimate * truth), estimate**2, truth**2]
        means = [product.mean(axis=(1, 2), dtype=float) for product in products]
        self._maps.append(np.stack(means, axis=-1).reshape(-1, 2, 3).mean(axis=1))

    def proof(self) -> Proof:
        """Returns what the sums say."""
        rows, maps = np.concatenate(self._rows), np.concatenate(self._maps)
        rho, rho_error = _jackknife(maps, lambda s: s[0] / np.sqrt(s[1] * s[2]))
        _, rest_error = _jackknife(rows, lambda s: s[:, 2] - s[:, 3] - s[:, 4])
        return Proof(
            *_jackknife(rows, lambda s: s[:, 0] / s[:, 1]),
            *_jackknife(rows, lambda s: s[:, 2] - _of_kappa(s)),
            *_jackknife(rows, lambda s: s[:, 3]),
            *_jackknife(rows, lambda s: s[:, 4] - _of_kappa(s)),
            rest_error,
            float(rho),
            float(rho_error),
            wiener.expected_map_correlation(self._kappa_power, self.estimator.noise, self._sky),
            self._expected(self._noise()),
        )

    def _noise(self) -> NDArray[np.float64]:
        """N0 + N1 of each mode: N0 times the mean ratio in its ring of L; zero if not estimated."""
        known, ratio = self._known, self._plane / self._count * self._weight
        ring = (self._sky.ell / (4 * self._sky.fundamental)).astype(int)
        total, modes = (np.bincount(ring[known], of, ring.max() + 1) for of in (ratio[known], None))
        mean = total / np.maximum(modes, 1)
        return np.where(known, self.estimator.noise, 0.0) * mean[ring]

    def _expected(self, noise: NDArray[np.float64]) -> float:
        """Returns the correlation of the maps, filtered for N0, if this is their noise."""
        weight = self._sky.mode_counts
        shared = np.sum(weight * self._kappa_power * self._filter)
        estimate = np.sum(weight * self._filter**2 * (self._kappa_power + noise))
        return float(shared / np.sqrt(estimate * np.sum(weight * self._kappa_power)))


def _of_kappa(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of the estimate's spectrum that goes with κ."""
    return sums[:, 0] ** 2 / sums[:, 1]


def _jackknife(rows, statistic) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A function of the mean row, and its standard error, leaving out one row after the other."""
    n = len(rows)
    total = rows.sum(axis=0)
    without = np.array([statistic((total - row) / (n - 1)) for row in rows])
    return statistic(total / n), np.sqrt((n - 1) * without.var(axis=0))


def prove(
    config: LensingConfig,
    estimators: Mapping[str, QuadraticEstimator | MinimumVariance],
    pairs: int,
    edges: Sequence[float] = EDGES,
) -> dict[str, Proof]:
    """Puts estimators to the test on simulated skies of a config.

    Args:
      config: without padding or taper.
      estimators: by name.
      pairs: how many pairs of skies.
      edges: of the bands of L.

    Returns:
      By the estimators' names.
    """
    sky = config.sky
    power = kappa_power(config, spectra_of(config), sky.ell)
    sums = {name: _Sums(one, sky, power, edges) for name, one in estimators.items()}
    for fields, kappa in _skies(config, 2 * pairs):
        for one in sums.values():
            one.add(fields, kappa)
    return {name: one.proof() for name, one in sums.items()}


def observation(config: LensingConfig) -> Observation:
    """Returns what the lensed maps of a config hold."""
    return Observation.of(config, spectra_of(config))


def _skies(config: LensingConfig, n: int) -> Iterator[tuple[Fields, NDArray]]:
    """Yields the modes of T, E and B, and of κ, of skies in pairs, chunk by chunk."""
    simulator, sky = PairedSimulator(config, "test"), config.sky
    for start in range(0, n, CHUNK):
        blocks = list(simulator.examples(range(start, min(start + CHUNK, n))))
        lensed = np.concatenate([block["lensed"] for block in blocks])
        modes = {
            name: sky.to_modes(np.ascontiguousarray(lensed[..., i]))
            for i, name in enumerate(config.channels)
        }
        if "Q" in modes:
            modes["E"], modes["B"] = polarization.to_eb(modes.pop("Q"), modes.pop("U"), sky)
        kappa = sky.to_modes(np.concatenate([block["kappa"] for block in blocks])[..., 0])
        yield modes, kappa


def estimators_of(config: LensingConfig) -> dict[str, QuadraticEstimator | MinimumVariance]:
    """Every pair that the config's channels allow, and all of them combined."""
    seen = observation(config)
    fields = ("T" * ("T" in config.channels)) + ("EB" * ("Q" in config.channels))
    pairs = [pair for pair in PAIRS if set(pair) <= set(fields)]
    if len(pairs) == 1:
        return {pairs[0]: QuadraticEstimator(pairs[0], seen)}
    combined = MinimumVariance(pairs, seen)
    return dict(zip(pairs, combined.estimators, strict=True)) | {"MV": combined}


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the command line and prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimator_proof")
    parser.add_argument("--pairs", type=int, default=200, help="pairs of skies of each version")
    parser.add_argument("--versions", nargs="+", default=NAMES, choices=NAMES)
    arguments = parser.parse_args(argv)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print_tables(arguments.versions, arguments.pairs)


def print_tables(versions: Sequence[str], pairs: int) -> None:
    """Prints tables of some versions, each from so many pairs of skies."""
    proofs: dict[tuple[str, str], Proof] = {}
    for version in versions:
        config = VERSIONS[version]
        found = prove(config, estimators_of(config), pairs)
        proofs |= {(version, name): proof for name, proof in found.items()}
    bands = [f"{low}–{high}" for low, high in zip(EDGES[:-1], EDGES[1:], strict=True)]
    cell = "{:.3f} ± {:.3f}".format

    def table(title: str, columns: Sequence[str], cells: Callable[[Proof], Iterable[str]]) -> None:
        print(f"\n{title}\n\n| | {' | '.join(columns)} |\n| --- |{' ---: |' * len(columns)}")
        for (version, name), proof in proofs.items():
            print(f"| {version} {name} | {' | '.join(cells(proof))} |")

    table(
        "Normalisation: cross-spectrum with κ / κ's own, by L",
        bands,
        lambda proof: map(cell, proof.normalisation, proof.normalisation_error),
    )
    table(
        "Noise / N0, by L: measured",
        bands,
        lambda proof: map(cell, proof.noise, proof.noise_error),
    )
    table(
        "(N0 + N1) / N0 + N2 / N0, by L, and the error of what the noise is more than that",
        bands,
        lambda proof: map(
            "{:.3f} + {:.3f} ± {:.3f}".format, proof.n0_n1, proof.n2, proof.rest_error
        ),
    )
    table(
        "Correlation of Wiener-filtered maps with κ's",
        ("N0 alone", "N0 + N1", "measured"),
        lambda proof: (
            f"{proof.correlation_n0:.4f}",
            f"{proof.correlation_n1:.4f}",
            f"{proof.correlation:.4f} ± {proof.correlation_error:.4f}",
        ),
    )


if __name__ == "__main__":
    main()
