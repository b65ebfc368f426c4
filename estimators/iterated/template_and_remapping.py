"""The iterated estimator of T of a periodic patch that theory describes, alone or with Q and U.

Templates are of first order in κ_k, which is enough for E and B, but not for the small scales of T:
what lensing by κ_k did there is left in T_del, and is taken for more lensing. So a later stage has
the features of both ways to delens: those of `iterated_estimator`, from T_del, E_del and B_res, and
those of T remapped by κ_k (`remapping`), as a function of y, where the unlensed sky is, and of x,
where it is seen,

    ∇(W T_k) · (T_k / C_k),  ∇T_k · (T_k / C_k)    (their divergences),    W = b² C^TT / C_k,

C_k being the power of the remapped T, which the beam and the noise are in. Gains choose.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from estimators.iterated.iterated_estimator import (
    ByTemplate,
    Features,
    Fields,
    Modes,
    Stage,
    StageFeatures,
)
from estimators.iterated.remapping import ByRemapping
from estimators.quadratic.convolution import ProductGrid
from estimators.quadratic.legs import Legs
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import pairs_of
from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.spectra import PowerSpectra

MOST_SIGMA = 3.5
"""Of a Gaussian map, 5 pixels in 10,000 are more."""


@dataclasses.dataclass(frozen=True, eq=False)
class ByTemplateAndRemapping:
    """A `Method`: later stages have the features of `ByTemplate` and of `ByRemapping`.

    Attributes:
      by_template: of all fields; its first stage is the first one.
      by_remapping: of T.
    """

    by_template: ByTemplate
    by_remapping: ByRemapping

    @classmethod
    def of(cls, config: LensingConfig, table: PowerSpectra) -> ByTemplateAndRemapping:
        """Returns the method of a config of T on a periodic patch that theory describes.

        Args:
          config: what is observed.
          table: the spectra of its cosmology.
        """
        by_template = ByTemplate(Observation.of(config, table), pairs_of(config))
        return cls(by_template, ByRemapping(config, table))

    @property
    def sky(self) -> FlatSky:
        """The patch."""
        return self.by_template.sky

    @property
    def grid(self) -> ProductGrid:
        """That templates are made on."""
        return self.by_template.grid

    @property
    def power_modes(self) -> int:
        """On how many modes the powers of B and of T are measured."""
        return max(self.by_template.power_modes, self.by_remapping.power_modes)

    @property
    def counts(self) -> tuple[int, int]:
        """The number of features of stage 0, and of each later one."""
        first, later = self.by_template.counts
        return first, later + self.by_remapping.new

    def features(self, stage: Stage, number: int) -> Features:
        """Returns the features of a stage."""
        by_template = self.by_template.features(stage, number)
        if number == 0:
            return by_template
        return Both(by_template, self.by_remapping.features(stage, number), self.sky)

    def is_weighed(self, number: int) -> bool:
        """Says whether the powers of B and of T weigh a stage."""
        return number > 0

    def left(self, legs: Legs, kappa: Modes | None) -> dict[str, Modes]:
        """Returns the remapped T and, where there is B, B less its template."""
        held = None if kappa is None else without_spikes(kappa, self.sky)
        return self.by_template.left(legs, kappa) | self.by_remapping.left(legs, held)

    def weighed_by(self, power: Mapping[str, NDArray[np.float64]]) -> Stage:
        """Returns a stage without gains, of the power of T and of B in each ring."""
        residual_b = self.by_template.weighed_by(power).residual_b
        weighed = self.by_remapping.weighed_by(power)
        return dataclasses.replace(weighed, residual_b=residual_b, damped=False)


@dataclasses.dataclass(frozen=True, eq=False)
class Both:
    """The features of a later stage.

    Attributes:
      by_template: from fields less templates.
      by_remapping: from the remapped T.
      sky: the patch.
    """

    by_template: StageFeatures
    by_remapping: Features
    sky: FlatSky

    def first(self, fields: Fields) -> list[Modes]:
        """Returns the estimates of stage 0, each (n, npix, npix // 2 + 1)."""
        return self.by_template.first(fields)

    def again(self, fields: Fields, kappa: Modes) -> list[Modes]:
        """Returns the estimates from fields that are delensed by the last estimate of κ."""
        held = without_spikes(kappa, self.sky)
        return self.by_template.again(fields, kappa) + self.by_remapping.again(fields, held)

    def reached(self, fields: Fields, kappa: Modes, new: Modes) -> Modes:
        """Returns the new estimate."""
        return new


def without_spikes(kappa: Modes, sky: FlatSky) -> Modes:
    """Returns the estimate of κ that T is remapped by: within ±3.5 times each map's rms.

    A spike of noise, once a stage takes it for lensing, can grow from stage to stage until |κ| is
    near 1, where what remapping undoes has no inverse: the estimate of that one sky is then lost.

    Args:
      kappa: half planes, (n, npix, npix // 2 + 1).
      sky: the patch.

    Returns:
      Half planes, same shape and dtype.
    """
    maps = sky.to_map(kappa)
    most = MOST_SIGMA * np.sqrt(np.mean(maps**2, axis=(1, 2), keepdims=True))
    return sky.to_modes(np.clip(maps, -most, most))
