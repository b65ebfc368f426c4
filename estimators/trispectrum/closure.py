"""Does the power of quadratic estimates add up? |κ̂|² = N0 + N1 + C_κκ, on simulated skies.

κ is Gaussian, so that a covariance over κ is a sum over orders n, ⟨FG⟩ − ⟨F⟩⟨G⟩ = Σ C^n ⟨∂ⁿF⟩⟨∂ⁿG⟩
/ n!, of mean derivatives by κ (Hermite's expansion). From κ to −κ those of even n keep their sign
and those of odd n change it. Two means over the CMB at fixed κ make the power of an estimate beyond
N0: that of the estimate itself, ⟨κ̂⟩, whose first order is R²C_κκ; and those of two fields of
different estimates, whose first order is N1. Their second orders are of order C_κκ², which N1 and
R, with the spectra of lensed gradients, know nothing of: they are measured.

From skies in eights (`crossed_skies`), with κ̂₁₂ + κ̂₂₁ the estimate from the sum of two skies less
those from either, and P their power, |κ̂₁₂ + κ̂₂₁|² / 2:

- N0, Gaussian: `noise_covariance` with theory's spectra, and what those of the skies differ by,
  ring by ring: it is not linear in them, and within a ring E's change by a half;
- N1, simulated: half of P of skies of one κ less P of skies of κ and −κ: odd orders;
- N1's even orders: half of the sum of the two, less P of the same CMBs with different κ;
- the estimate's even orders: the cross-spectrum of (κ̂(κ) + κ̂(−κ)) / 2 from different CMBs, less
  the same of another κ, so that chance correlations without lensing cancel;
- the response: the cross-spectrum with the true κ over κ's own power;
- closure: (⟨|κ̂|²⟩ − N0 − N1 − even orders) / response² over κ's own power, with N1 summed (`n1`):
  neither κ's sample variance nor the estimate's normalisation, which `quadratic_estimator` names,
  is in it.

Errors are jackknives over blocks of skies, N0 measured anew without each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.quadratic.kernels import Plane
from estimators.quadratic.measured import MeasuredObservation
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator
from estimators.trispectrum.crossed_skies import crossed_skies
from estimators.trispectrum.n1 import n1
from lensing_tfds import realism
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power, spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.binning import Bins

BLOCKS = 16
"""Blocks of the jackknife."""

_SPECTRA = ("TT", "TE", "EE", "BB")

Bands = NDArray[np.float64]
AnyEstimator = QuadraticEstimator | MinimumVariance


@dataclasses.dataclass(frozen=True)
class Closure:
    """The parts of an estimate's power, in bands of L, over the skies' own C_κκ.

    Attributes:
      power: ⟨|κ̂|²⟩, (bands,).
      n0: N0 of the skies' spectra.
      n1: N1, summed over the patch's modes.
      n1_simulated: N1 of the skies.
      n1_even: its even orders.
      kappa_even: those of the estimate's mean at fixed κ.
      response: cross-spectrum with κ.
      first_order: (power − n0 − n1) / response².
      closed: (power − n0 − n1 − n1_even − kappa_even) / response²: 1 if the parts are all there is.
      errors: standard errors, by the names of the above.
    """

    power: Bands
    n0: Bands
    n1: Bands
    n1_simulated: Bands
    n1_even: Bands
    kappa_even: Bands
    response: Bands
    first_order: Bands
    closed: Bands
    errors: Mapping[str, Bands]


def close(
    config: LensingConfig,
    estimators: Mapping[str, AnyEstimator],
    eights: int,
    edges: Sequence[float],
) -> dict[str, Closure]:
    """Adds up the power of estimates of simulated skies.

    Args:
      config: a periodic version that was lensed on finer pixels than its own, κ Gaussian.
      estimators: by name.
      eights: how many times eight skies, at least `BLOCKS`.
      edges: of the bands of L.

    Returns:
      By the estimators' names.

    Raises:
      LensingError: too few skies, another kind of sky, or a band without a mode.
    """
    if eights < BLOCKS:
        raise LensingError(f"{eights} times eight skies: the errors need {BLOCKS} at least")
    gaussian = config.kappa is None and config.kappa_files is None and config.foregrounds is None
    if not (gaussian and realism.estimator_theory_holds(config)):
        raise LensingError(
            "N0, N1 and orders of κ are those of periodic skies with noise that theory describes, "
            f"a Gaussian κ and no foregrounds, which those of {config.name!r} are not"
        )
    sky = config.sky
    bands = Bins.between(edges, sky)
    if not bands.num_modes.all():
        empty = int(np.flatnonzero(bands.num_modes == 0)[0])
        raise LensingError(
            f"no mode of {config.name!r} lies in {edges[empty]:g} <= L < {edges[empty + 1]:g}: its "
            f"multipoles are {sky.fundamental:.0f} to {sky.nyquist:.0f} along an axis"
        )
    sums = {name: np.zeros((BLOCKS, _PLANES, bands.num)) for name in estimators}
    rings, theory = Bins.fundamental(sky), spectra_of(config)
    plain = Observation.of(config, theory)
    observed = {"T": "T", "Q": "E", "U": "B"}
    names = [observed[channel] for channel in config.channels]
    expected = {
        name: plain.total(*name) for name in _SPECTRA if name[0] in names and name[1] in names
    }
    share = np.maximum(rings.mean(plain.used.astype(float)), 1e-9)
    powers = [{name: np.zeros(rings.num) for name in expected} for _ in range(BLOCKS)]
    counts = np.zeros(BLOCKS)
    for number, (fields, kappa) in enumerate(crossed_skies(config, eights)):
        block = number * BLOCKS // eights
        counts[block] += 1
        for name in expected:
            product = (fields[name[0]] * fields[name[1]].conj()).real.astype(np.float64)
            more = product.mean(axis=0) * sky.area - expected[name]
            powers[block][name] += rings.mean(more * plain.used) / share
        for name, estimator in estimators.items():
            sums[name][block] += [
                bands.mean(x) * sky.area for x in _planes(estimator, fields, kappa)
            ]
    lensing = kappa_power(config, theory, config.internal.ell)

    def without(block: int | None) -> tuple[Observation, NDArray[np.bool_]]:
        kept = np.arange(BLOCKS) != block
        number = counts[kept].sum()
        # Rings are wide where spectra are steep: what is spread over them is the difference alone.
        measured = {
            name: power
            + rings.spread(sum(p[name] for p, k in zip(powers, kept, strict=True) if k) / number)
            for name, power in expected.items()
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
        errors = np.sqrt((BLOCKS - 1) * jackknife.var(axis=0))
        values: dict[str, Any] = dict(zip(_NAMES, best, strict=True))
        found[name] = Closure(**values, errors=dict(zip(_NAMES, errors, strict=True)))
    return found


def _planes(
    estimator: AnyEstimator, fields: Mapping[str, NDArray], kappa: NDArray
) -> list[NDArray[np.float64]]:
    """Of eight skies |κ̂|², κ̂κ*, |κ|²; P of one κ, of κ and −κ, of two κ; and κ̂'s even orders."""
    alone = estimator.kappa(fields)

    def mixed(one: list[int], two: list[int]) -> NDArray[np.float64]:
        both = estimator.kappa({name: modes[one] + modes[two] for name, modes in fields.items()})
        power = np.abs(both - alone[one] - alone[two]) ** 2 / 2
        return np.mean(power, axis=0, dtype=np.float64)

    even = (alone[:4] + alone[4:]) / 2  # 0 and 1 of one κ, 2 and 3 of the other
    # Of one CMB, two κ have the chance correlations without lensing in common.
    first, second = even[0] - even[2], even[1] - even[3]
    return [
        np.mean(np.abs(alone) ** 2, axis=0, dtype=np.float64),
        np.mean((alone * kappa.conj()).real, axis=0, dtype=np.float64),
        np.mean(np.abs(kappa) ** 2, axis=0, dtype=np.float64),
        mixed([0, 2, 4, 6], [1, 3, 5, 7]),
        mixed([0, 4, 2, 6], [5, 1, 7, 3]),
        mixed([0, 2, 4, 6, 0, 4, 2, 6], [3, 1, 7, 5, 7, 3, 5, 1]),
        (first * second.conj()).real.astype(np.float64) / 2,
    ]


_PLANES = 7

_NAMES = tuple(field.name for field in dataclasses.fields(Closure))[:-1]


def _parts(mean: Bands, n0: Bands, first_order: Bands) -> NDArray[np.float64]:
    """The attributes of `Closure`, in its order."""
    power, cross, truth, same, opposite, different, kappa_even = mean
    response = cross / truth
    n1_even = (same + opposite) / 2 - different
    left = power - n0 - first_order
    parts = [power, n0, first_order, (same - opposite) / 2, n1_even, kappa_even]
    closed = [x / truth / response**2 for x in (left, left - n1_even - kappa_even)]
    return np.array([*(x / truth for x in parts), response, *closed])


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
