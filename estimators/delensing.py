"""Delensing: the share of the lensing B modes that an estimate of κ can remove.

B modes made by lensing hide those of primordial gravitational waves, and removing them is what κ
from polarization is for: the B part of a template (see `lensing_template`) is subtracted.
With the true κ and no noise this leaves 0.3 % of the power at l = 100 to 1,000, where lensing the
lensed E in full, or the unlensed E to first order, leaves 6 %. The estimate should be
Wiener-filtered, or a posterior mean, as a network's is: noise in φ̂ is noise in the template.

What is left is measured on the sky itself, without noise,

    A_res = <|B − B_template|²> / <|B|²>,

over the modes of a range of l: 1 without delensing, 0 if every mode were removed. The B modes are
those of the dataset's own simulator without noise, at the examples' indices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator
from estimators.lensing_template import LensingTemplate
from estimators.quadratic.observation import Observation
from estimators.resampling import ExampleMeans, Measured
from lensing_tfds.configs import KAPPA, LENSED, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import Simulator
from lensing_tfds.sky import instrument, polarization

TRUE_KAPPA = "true_kappa"
"""Name of what the true κ leaves: the limit of the template with the E modes as observed."""

L_RANGE = (100.0, 1000.0)
"""Where lensing's B modes are white, and most of their modes on a patch of some degrees."""


@dataclasses.dataclass(frozen=True)
class Delensing:
    """The lensing B modes that are left.

    Attributes:
      num_examples: how many skies.
      l_range: lowest and highest multipole of the B modes.
      residual: A_res by the name of the estimator; and `TRUE_KAPPA`.
    """

    num_examples: int
    l_range: tuple[float, float]
    residual: Mapping[str, Measured]

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types."""
        return {
            "num_examples": self.num_examples,
            "l_range": list(self.l_range),
            "residual": {name: float(x.value) for name, x in self.residual.items()},
            "residual_error": {name: float(x.error) for name, x in self.residual.items()},
        }


def residual_b_modes(
    batches: Iterable[Mapping[str, NDArray]],
    estimators: Sequence[Estimator],
    ensemble: SkyEnsemble,
    generator: np.random.Generator,
    split: str = "test",
    l_range: tuple[float, float] = L_RANGE,
) -> Delensing:
    """Delenses examples with several estimates of κ, in one pass; keeps a few numbers of each.

    Args:
      batches: dicts of "lensed" (n, npix, npix, channels) µK, "kappa" (n, npix, npix, 1) and
        "index" (n,).
      estimators: with different names, none of them `TRUE_KAPPA`.
      ensemble: what the examples' skies are drawn from.
      generator: draws the bootstrap's resamples.
      split: the examples'.
      l_range: lowest and highest multipole of the B modes.

    Raises:
      LensingError: the version has no polarization, or edges, which mix E and B; the range holds no
        mode; there are fewer than two examples, they are not those of the version and split, or an
        estimate has another shape or is not finite.
    """
    lensing, theory = ensemble.config, ensemble.theory
    sky = lensing.sky
    in_range = _modes_in_range(lensing, l_range)
    template = LensingTemplate(Observation.of(lensing, theory))
    simulator = Simulator(dataclasses.replace(lensing, noise_uK_arcmin=0.0), split, theory)
    deconvolve = np.where(in_range, 1 / instrument.beam(sky.ell, lensing.beam_arcmin), 0.0)

    means = ExampleMeans()
    for batch in batches:
        index, kappa = batch["index"], batch[KAPPA][..., 0]
        blocks = list(simulator.examples(index.tolist()))
        truth = np.concatenate([block[KAPPA][..., 0] for block in blocks])
        if truth.shape != kappa.shape or np.abs(truth - kappa).max() > 1e-3 * kappa.std():
            raise LensingError(
                f"the true κ of examples {index[0]} to {index[-1]} is not that of {split} of "
                f"{lensing.name!r}: the B modes cannot be simulated"
            )
        lensed = np.concatenate([block[LENSED] for block in blocks])
        true_b = _e_and_b(lensed, lensing)[1] * deconvolve
        e = _e_and_b(batch[LENSED], lensing)[0]
        guesses = {TRUE_KAPPA: kappa} | {
            estimator.name: estimator.kappa(batch[LENSED], index) for estimator in estimators
        }
        kappas = (sky.to_modes(guess.astype(np.float64)) for guess in guesses.values())
        templates = (template.polarization(e, modes)[1] for modes in kappas)
        remaining = [true_b, *(true_b - b for b in templates)]
        # Parseval: the squares of a map's pixels count each mode, and its conjugate, once.
        left = (sky.to_map(b * in_range) for b in remaining)
        means.add(*(np.mean(maps**2, axis=(1, 2)) for maps in left))

    def fractions(squares: NDArray[np.float64]) -> NDArray[np.float64]:
        return squares[..., 1:] / squares[..., :1]

    values = zip(*means.measure(fractions, generator), strict=True)
    names = (TRUE_KAPPA, *(estimator.name for estimator in estimators))
    residual = {name: Measured(*pair) for name, pair in zip(names, values, strict=True)}
    return Delensing(len(means), (float(l_range[0]), float(l_range[1])), residual)


def _modes_in_range(lensing: LensingConfig, l_range: tuple[float, float]) -> NDArray[np.bool_]:
    if "Q" not in lensing.channels:
        raise LensingError(f"{lensing.name!r} has no polarization: there are no B modes to delens")
    if lensing.padding > 1 or lensing.taper > 0:
        raise LensingError(
            f"{lensing.name!r} has edges (padding {lensing.padding:g}, taper {lensing.taper:g} "
            "deg), which mix E and B: B modes are measured on periodic patches only"
        )
    sky, (low, high) = lensing.sky, l_range
    in_range = (sky.ell >= low) & (sky.ell <= high) & (sky.ell > 0) & sky.inner
    if not in_range.any():
        raise LensingError(
            f"no B mode of {lensing.name!r} lies in {low:g} <= l <= {high:g}: its multipoles are "
            f"{sky.fundamental:.0f} to {sky.nyquist:.0f} along an axis"
        )
    return in_range


def _e_and_b(
    maps: NDArray[np.float32], lensing: LensingConfig
) -> tuple[NDArray[np.complexfloating], NDArray[np.complexfloating]]:
    q, u = (
        lensing.sky.to_modes(maps[..., lensing.channels.index(name)].astype(np.float64))
        for name in "QU"
    )
    return polarization.to_eb(q, u, lensing.sky)
