"""Reconstruction from other B modes than are delensed.

Where κ̂ was made of the B modes that its template is subtracted from, the template holds them: less
is left of lensing's B than κ̂'s own quality allows, and of a primordial B as well (Teng, Kuo & Wu
2011, arXiv:1102.5729; Sehgal et al. 2017, arXiv:1612.03898; Baleato Lizancos, Challinor & Carron
2021, arXiv:2007.01622). Made of small-scale B alone, κ̂ knows nothing of the large scales.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from estimators.delensing.residual_b_modes import modes_in_range
from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator, Observed
from estimators.iterated.forecast import template_power
from estimators.quadratic.fields import fields_of
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import pairs_of
from estimators.quadratic.wiener import wiener_filter
from lensing_tfds.configs import LENSED, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.spectra import PowerSpectra

SHARED, SPLIT = "quadratic_shared", "quadratic_split"
"""Names of the estimators from all B modes, and from those that are not delensed."""


@dataclasses.dataclass(frozen=True, eq=False)
class SmallScaleB(Observation):
    """An observation whose large-scale B modes are not used.

    Attributes:
      B_lmin: B modes below it are not used; those of T and E are.

    Raises:
      LensingError: no B mode is left.
    """

    B_lmin: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.used & (self.sky.ell >= self.B_lmin)).any():
            raise LensingError(
                f"B_lmin is {self.B_lmin:g}: no B mode is left, for the patch's multipoles are "
                f"{self.sky.fundamental:.0f} to {self.sky.nyquist:.0f} along an axis"
            )

    def inverse(self, x: str) -> NDArray[np.float64]:
        """Returns 1 / `total(x, x)`, zero where a mode is not used or holds nothing."""
        inverse = super().inverse(x)
        return np.where(self.sky.ell >= self.B_lmin, inverse, 0.0) if x == "B" else inverse


def filtered(
    config: LensingConfig, theory: PowerSpectra, kappa_power: NDArray[np.float64], B_lmin: float
) -> tuple[MinimumVariance, NDArray[np.float64]]:
    """Returns the minimum-variance estimator from B modes from `B_lmin` on, and its Wiener filter.

    Args:
      config: a version with Q and U.
      theory: its spectra.
      kappa_power: C_κκ, half plane.
      B_lmin: 0 for all modes.
    """
    observation = SmallScaleB.of(config, theory, B_lmin=B_lmin)
    combined = MinimumVariance(pairs_of(config), observation)
    return combined, wiener_filter(kappa_power, combined.noise)


def quadratic_estimators(ensemble: SkyEnsemble, B_lmin: float) -> list[Estimator]:
    """Returns Wiener-filtered quadratic estimators: from all B modes, and from those above a cut.

    Args:
      ensemble: what the skies are drawn from.
      B_lmin: the cut.

    Raises:
      LensingError: as of `SmallScaleB`.
    """
    config, sky = ensemble.config, ensemble.config.sky
    found = []
    for name, lowest in ((SHARED, 0.0), (SPLIT, B_lmin)):
        combined, wiener = filtered(config, ensemble.theory, ensemble.kappa_power, lowest)

        def predict(
            batch: Observed,
            combined: MinimumVariance = combined,
            wiener: NDArray[np.float64] = wiener,
        ) -> NDArray[np.floating]:
            fields = fields_of(batch[LENSED].astype(np.float64), config.channels, sky)
            return sky.to_map(wiener.astype(complex) * combined.kappa(fields))[..., None]

        label = f"QE from B at l >= {lowest:g}" if lowest else "QE from all B"
        found.append(Estimator(name, label, predict))
    return found


def expected_share(
    ensemble: SkyEnsemble, B_lmin: float, l_range: tuple[float, float]
) -> float | None:
    """Returns the share of lensing's B that κ̂ from B modes above a cut is expected to leave.

    Comparable with `Delensing.moved_noise`: κ̂'s noise is N0, and knows nothing of the sky's B.

    Args:
      ensemble: what the skies are drawn from.
      B_lmin: the cut.
      l_range: as of `residual_b_modes`.

    Returns:
      None where theory does not describe the maps.

    Raises:
      LensingError: as of `SmallScaleB` and `modes_in_range`.
    """
    if not ensemble.forecasts:
        return None
    config, power = ensemble.config, ensemble.kappa_power
    counts = config.sky.mode_counts * modes_in_range(config, l_range)
    _, wiener = filtered(config, ensemble.theory, power, B_lmin)
    observation = Observation.of(config, ensemble.theory)
    removed = np.sum(counts * template_power(observation, power * wiener))
    return float(1 - removed / np.sum(counts * template_power(observation, power, filtered=False)))
