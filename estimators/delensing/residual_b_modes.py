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

An estimate made from the same B leaves far less of it than a forecast says: its noise holds the
very modes that the template is subtracted from (Teng, Kuo & Wu 2011, arXiv:1102.5729; Carron,
Lewis & Challinor 2017, arXiv:1701.01712). On a real sky this removes primordial B modes too. What
a forecast is of is measured beside it: with κ̂ = Rκ + n, ring by ring, n is moved by half the
patch's side both ways, where it has the same power and knows nothing of the sky's B.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator
from estimators.iterated.forecast import template_power
from estimators.lensing_template import LensingTemplate
from estimators.quadratic.observation import Observation
from estimators.resampling import ExampleMeans, Measured
from lensing_tfds import realism
from lensing_tfds.configs import KAPPA, LENSED, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import Simulator
from lensing_tfds.sky import instrument, polarization, spectra
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky

TRUE_KAPPA = "true_kappa"
"""Name of what the true κ leaves: the limit of the template with the E modes as observed."""

L_RANGE = (100.0, 1000.0)
"""Multipoles of white lensing B modes, and of most of their modes on a patch of some degrees."""

_FEWEST_MODES = 16  # of a ring in which the response is measured


@dataclasses.dataclass(frozen=True)
class Delensing:
    """The lensing B modes that are left.

    Attributes:
      num_examples: how many skies.
      l_range: lowest multipole of the B modes, and that below which they are.
      residual: A_res by the name of the estimator; and `TRUE_KAPPA`.
      moved_noise: the same with the estimate's noise moved, by the name of the estimator.
      forecast: what theory expects of the quadratic and of the iterated estimator's κ, comparable
        with `moved_noise`, as "quadratic" and "iterated"; empty where there is no theory.
    """

    num_examples: int
    l_range: tuple[float, float]
    residual: Mapping[str, Measured]
    moved_noise: Mapping[str, Measured]
    forecast: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types."""
        return {
            "num_examples": self.num_examples,
            "l_range": list(self.l_range),
            "residual": {name: float(x.value) for name, x in self.residual.items()},
            "residual_error": {name: float(x.error) for name, x in self.residual.items()},
            "moved_noise": {name: float(x.value) for name, x in self.moved_noise.items()},
            "moved_noise_error": {name: float(x.error) for name, x in self.moved_noise.items()},
            "forecast": dict(self.forecast),
        }


def residual_b_modes(
    batches: Iterable[Mapping[str, NDArray]],
    estimators: Sequence[Estimator],
    ensemble: SkyEnsemble,
    generator: np.random.Generator,
    split: str = "test",
    l_range: tuple[float, float] = L_RANGE,
    remapped: bool = False,
) -> Delensing:
    """Delenses examples with several estimates of κ, in one pass; keeps a few numbers of each.

    Args:
      batches: dicts of "lensed" (n, npix, npix, channels) µK, "kappa" (n, npix, npix, 1) and
        "index" (n,).
      estimators: with different names, none of them `TRUE_KAPPA`.
      ensemble: what the examples' skies are drawn from.
      generator: draws the bootstrap's resamples.
      split: the examples'.
      l_range: lowest multipole of the B modes, and that below which they are.
      remapped: make the templates by remapping back, not of first order.

    Raises:
      LensingError: the version has no polarization, or edges, which mix E and B; the range holds no
        mode; there are fewer than two examples, they are not those of the version and split, or an
        estimate has another shape or is not finite.
    """
    lensing, theory = ensemble.config, ensemble.theory
    sky = lensing.sky
    in_range = modes_in_range(lensing, l_range)
    template = LensingTemplate(Observation.of(lensing, theory))
    simulator = Simulator(lensing.without_noise(), split, theory)
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
        true = sky.to_modes(kappa.astype(np.float64))
        guesses = [
            sky.to_modes(estimator.kappa(batch[LENSED], index).astype(np.float64))
            for estimator in estimators
        ]
        kappas = [true, *guesses, *(_with_moved_noise(guess, true, sky) for guess in guesses)]
        make = template.remapped if remapped else template.polarization
        templates = (make(e, modes)[1] for modes in kappas)
        remaining = [true_b, *(true_b - b for b in templates)]
        # Parseval: the squares of a map's pixels count each mode, and its conjugate, once.
        left = (sky.to_map(b * in_range) for b in remaining)
        means.add(*(np.mean(maps**2, axis=(1, 2)) for maps in left))

    def fractions(squares: NDArray[np.float64]) -> NDArray[np.float64]:
        return squares[..., 1:] / squares[..., :1]

    values = [Measured(*pair) for pair in zip(*means.measure(fractions, generator), strict=True)]
    names = [estimator.name for estimator in estimators]
    return Delensing(
        len(means),
        (float(l_range[0]), float(l_range[1])),
        dict(zip((TRUE_KAPPA, *names), values, strict=False)),
        dict(zip(names, values[1 + len(names) :], strict=True)),
        _forecast(ensemble, in_range),
    )


def _with_moved_noise(
    estimate: NDArray[np.complexfloating], kappa: NDArray[np.complexfloating], sky: FlatSky
) -> NDArray[np.complexfloating]:
    """Moves what an estimate has beyond its response to κ by half the patch's side both ways."""
    rings = Bins.fundamental(sky, fewest=_FEWEST_MODES)
    cross = rings.mean(np.sum((estimate * kappa.conj()).real, axis=0))
    power = rings.mean(np.sum(np.abs(kappa) ** 2, axis=0))
    response = np.divide(cross, power, out=np.zeros_like(cross), where=power > 0)
    signal = rings.spread(response) * kappa
    halves = np.rint((sky.ly + sky.lx) / sky.fundamental)  # exp(i l·d) = ±1
    return signal + (estimate - signal) * (1 - 2 * (halves % 2))


def _forecast(ensemble: SkyEnsemble, in_range: NDArray[np.bool_]) -> dict[str, float]:
    """The expected share of B-mode power, of the modes in range."""
    if not ensemble.forecasts:
        return {}
    config, theory = ensemble.config, ensemble.theory
    sky = config.sky
    counts = sky.mode_counts * in_range
    lensed = np.sum(counts * spectra.at_multipoles(theory.lensed_BB, sky.ell))
    observation = Observation.of(config, theory)
    # The forecast's B is a whole sky's: that of waves longer than the patch is not there, nor left.
    there = np.sum(counts * template_power(observation, ensemble.kappa_power, filtered=False))
    left = [np.sum(counts * forecast.residual_b) for forecast in ensemble.forecasts]
    shares = [float((power - (lensed - there)) / there) for power in (left[0], left[-1])]
    return dict(zip(("quadratic", "iterated"), shares, strict=True))


def modes_in_range(lensing: LensingConfig, l_range: tuple[float, float]) -> NDArray[np.bool_]:
    """Returns the modes of a range of l whose B is lensing's, bools of the half plane.

    Args:
      lensing: a version.
      l_range: lowest multipole, and that below which they are.

    Raises:
      LensingError: there are none, or B of the version's maps is not lensing's alone.
    """
    if "Q" not in lensing.channels:
        raise LensingError(f"{lensing.name!r} has no polarization: there are no B modes to delens")
    if not realism.is_periodic(lensing):
        mask = "" if lensing.mask is None else ", a mask"
        raise LensingError(
            f"{lensing.name!r} has edges (padding {lensing.padding:g}, taper {lensing.taper:g} "
            f"deg{mask}), which mix E and B: B modes are measured on periodic patches only"
        )
    if not realism.b_is_lensings(lensing):
        raise LensingError(f"{lensing.name!r} has B modes that lensing did not make")
    sky, (low, high) = lensing.sky, l_range
    # Half open, as bands are: B from `high` on is what a split estimate of κ is made from.
    in_range = (sky.ell >= low) & (sky.ell < high) & (sky.ell > 0) & sky.inner
    if not in_range.any():
        raise LensingError(
            f"no B mode of {lensing.name!r} lies in {low:g} <= l < {high:g}: its multipoles are "
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
