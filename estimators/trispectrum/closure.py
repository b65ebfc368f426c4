"""Does the power of quadratic estimates add up? |κ̂|² = N0 + N1 + C_κκ, on simulated skies.

From skies in fours (`crossed_skies`), with κ̂₁₂ + κ̂₂₁ the estimate from the sum of two skies less
those from either, and P their power, |κ̂₁₂ + κ̂₂₁|² / 2:

- N0, Gaussian: `noise_covariance` with the spectra that the skies have, ring by ring;
- N1, simulated: P of skies of the same κ, less P of the same CMBs with different κ;
- the response: the cross-spectrum with the true κ over κ's own power;
- closure: (⟨|κ̂|²⟩ − N0 − N1) / response² over κ's own power, so that neither κ's sample variance
  nor the estimate's normalisation, which `quadratic_estimator` names, is in it. With N1 summed
  (`n1`) what is left is the sky's own higher orders: N2 (Hanson et al. 2011, arXiv:1008.4403).

Errors are jackknives over blocks of skies, N0 measured anew without each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.quadratic.kernels import Plane
from estimators.quadratic.measured import MeasuredObservation
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from estimators.trispectrum.crossed_skies import crossed_skies
from estimators.trispectrum.n1 import n1
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power, spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.binning import Bins

BLOCKS = 16
"""Blocks of the jackknife."""

_SPECTRA = ("TT", "TE", "EE", "BB")

AnyEstimator = QuadraticEstimator | MinimumVariance


@dataclasses.dataclass(frozen=True)
class Closure:
    """The parts of an estimate's power, in bands of L, over the skies' own C_κκ.

    Attributes:
      power: ⟨|κ̂|²⟩, (bands,).
      n0: N0 of the skies' spectra.
      n1: N1, summed over the patch's modes.
      n1_simulated: N1 of the skies in fours.
      n1_error: its standard error.
      response: cross-spectrum with κ.
      closed: (power − n0 − n1) / response²: 1 if the parts are all there is.
      closed_error: its standard error.
      closed_simulated: the same with `n1_simulated`.
      closed_simulated_error: its standard error.
    """

    power: NDArray[np.float64]
    n0: NDArray[np.float64]
    n1: NDArray[np.float64]
    n1_simulated: NDArray[np.float64]
    n1_error: NDArray[np.float64]
    response: NDArray[np.float64]
    closed: NDArray[np.float64]
    closed_error: NDArray[np.float64]
    closed_simulated: NDArray[np.float64]
    closed_simulated_error: NDArray[np.float64]


def close(
    config: LensingConfig,
    estimators: Mapping[str, AnyEstimator],
    fours: int,
    edges: Sequence[float],
) -> dict[str, Closure]:
    """Adds up the power of estimates of simulated skies.

    Args:
      config: a periodic version that was lensed on finer pixels than its own.
      estimators: by name.
      fours: how many times four skies, at least `BLOCKS`.
      edges: of the bands of L.

    Returns:
      By the estimators' names.

    Raises:
      LensingError: too few skies, edges of the patch, or a band without a mode.
    """
    if fours < BLOCKS:
        raise LensingError(f"{fours} times four skies: the errors need {BLOCKS} at least")
    if config.padding > 1 or config.taper > 0:
        raise LensingError(f"{config.name!r} has edges: N0 and N1 are those of a periodic patch")
    sky = config.sky
    bands = Bins.between(edges, sky)
    if not bands.num_modes.all():
        empty = int(np.flatnonzero(bands.num_modes == 0)[0])
        raise LensingError(
            f"no mode of {config.name!r} lies in {edges[empty]:g} <= L < {edges[empty + 1]:g}: its "
            f"multipoles are {sky.fundamental:.0f} to {sky.nyquist:.0f} along an axis"
        )
    sums = {name: np.zeros((BLOCKS, 5, bands.num)) for name in estimators}
    powers: list[dict[str, NDArray[np.float64]]] = [{} for _ in range(BLOCKS)]
    counts = np.zeros(BLOCKS)
    rings = Bins.fundamental(sky)
    for number, (fields, kappa) in enumerate(crossed_skies(config, fours)):
        block = number * BLOCKS // fours
        counts[block] += 1
        for name in _SPECTRA:
            if name[0] in fields and name[1] in fields:
                product = (fields[name[0]] * fields[name[1]].conj()).real.astype(np.float64)
                so_far = powers[block].get(name, np.zeros(rings.num))
                powers[block][name] = so_far + rings.mean(product.mean(axis=0)) * sky.area
        for name, estimator in estimators.items():
            sums[name][block] += [
                bands.mean(x) * sky.area for x in _planes(estimator, fields, kappa)
            ]
    theory = spectra_of(config)
    lensing = kappa_power(config, theory, config.internal.ell)

    def without(block: int | None) -> tuple[Observation, NDArray[np.bool_]]:
        kept = np.arange(BLOCKS) != block
        number = counts[kept].sum()
        measured = {
            name: rings.spread(
                sum(p[name] for p, k in zip(powers, kept, strict=True) if k) / number
            )
            for name in powers[0]
        }
        return MeasuredObservation.of(config, theory, power=measured), kept

    found = {}
    seen = [without(block) for block in (None, *range(BLOCKS))]
    for name, estimator in estimators.items():
        first_order = bands.mean(_finite(n1(estimator, lensing, config.internal)))
        rows = []
        for observation, kept in seen:
            mean = sums[name][kept].sum(axis=0) / counts[kept].sum()
            rows.append(
                _parts(mean, bands.mean(_finite(_noise(estimator, observation))), first_order)
            )
        best, jackknife = rows[0], np.array(rows[1:])
        error = np.sqrt((BLOCKS - 1) * jackknife.var(axis=0))
        power, n0, n1_of, simulated, response, closed, closed_simulated = best
        found[name] = Closure(
            power=power,
            n0=n0,
            n1=n1_of,
            n1_simulated=simulated,
            n1_error=error[3],
            response=response,
            closed=closed,
            closed_error=error[5],
            closed_simulated=closed_simulated,
            closed_simulated_error=error[6],
        )
    return found


def _planes(
    estimator: AnyEstimator, fields: Mapping[str, NDArray], kappa: NDArray
) -> list[NDArray[np.float64]]:
    """|κ̂|², κ̂κ*, |κ|², and P of skies of the same κ and of the same CMBs, of one four."""
    alone = estimator.kappa(fields)
    # Of the same κ: 0 and 1, 2 and 3; of the same two CMBs: 0 and 3, 2 and 1.
    one, two = np.array([0, 2, 0, 2]), np.array([1, 3, 3, 1])
    both = estimator.kappa({name: modes[one] + modes[two] for name, modes in fields.items()})
    mixed = np.abs(both - alone[one] - alone[two]) ** 2 / 2
    return [
        np.mean(np.abs(alone) ** 2, axis=0, dtype=np.float64),
        np.mean((alone * kappa.conj()).real, axis=0, dtype=np.float64),
        np.mean(np.abs(kappa) ** 2, axis=0, dtype=np.float64),
        np.mean(mixed[:2], axis=0, dtype=np.float64),
        np.mean(mixed[2:], axis=0, dtype=np.float64),
    ]


def _parts(
    mean: NDArray[np.float64], n0: NDArray[np.float64], first_order: NDArray[np.float64]
) -> NDArray[np.float64]:
    power, cross, truth, same, different = mean
    response, simulated = cross / truth, same - different
    closed = [(power - n0 - noise) / truth / response**2 for noise in (first_order, simulated)]
    rows = [power / truth, n0 / truth, first_order / truth, simulated / truth, response, *closed]
    return np.array(rows)


def _noise(estimator: AnyEstimator, seen: Observation) -> Plane:
    """N0 of an estimator from fields of other spectra than it was made for."""
    if isinstance(estimator, QuadraticEstimator):
        return estimator.noise_covariance(estimator, seen)
    total = np.zeros(seen.sky.ell.shape)
    for one, weight in zip(estimator.estimators, estimator.weights, strict=True):
        for two, other in zip(estimator.estimators, estimator.weights, strict=True):
            if ("B" in one.pair) == ("B" in two.pair):
                total += weight * other * _finite(one.noise_covariance(two, seen))
    return total


def _finite(plane: Plane) -> Plane:
    return np.where(np.isfinite(plane), plane, 0.0)
