"""The mean field of the posterior inside a mask, and the true κ of simulated skies.

The gradient by κ of −ln of the likelihood is zero on average at the truth, that of its determinant,
½ ln det Cov(κ), with it. So m, the average of the latter over skies, is minus the average of all
else, which takes one filter a sky, at the κ that it was made with. Each ring of L is multiplied by
the share of its power that is not the scatter of so few skies.

Without a mask m is zero, as all places are alike; what is left of the mean field then, linear in κ,
is left out (`benchmarks.posterior_mean_field`).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable

import numpy as np

from estimators.filtering.masked_patch import MaskedPatch
from estimators.posterior.sky_model import Modes, SkyModel
from lensing_tfds.config_differences import map_differences
from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import KAPPA, LENSED, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.sky.binning import Bins

SPLIT = "train"
FEWEST = 2


@dataclasses.dataclass(frozen=True, eq=False)
class MeanField:
    """The gradient of ½ ln det Cov by white κ, its average over skies.

    Attributes:
      gradient: m, half plane of the internal grid.
      skies: that it was measured on.
      config: of the maps that it is the mean field of.
      patch: their mask and noise; None for a periodic patch with white, even noise.
    """

    gradient: Modes
    skies: int
    config: LensingConfig
    patch: MaskedPatch | None

    @classmethod
    def of_gradients(cls, gradients: Iterable[Modes], model: SkyModel) -> MeanField:
        """Averages gradients of the likelihood at the true κ.

        Args:
          gradients: as of `likelihood_gradient`, of at least two skies.
          model: of the posterior.

        Raises:
          LensingError: there are fewer.
        """
        total = np.zeros(model.prior.sky.ell.shape, np.complex128)
        power = np.zeros(total.shape)
        number = 0
        for gradient in gradients:
            number += 1
            total += gradient
            power += np.abs(gradient) ** 2
        if number < FEWEST:
            raise LensingError(
                f"a mean field of {number} skies: must be of at least {FEWEST}, and is good from "
                "some dozens on"
            )
        mean = total / number
        rings = Bins.fundamental(model.prior.sky)
        found = rings.mean(np.abs(mean) ** 2)
        scatter = (rings.mean(power) / number - found) / (number - 1)
        share = np.divide(found - scatter, found, out=np.zeros_like(found), where=found > 0)
        known = rings.spread(np.clip(share, 0, 1))
        gradient = (-known * mean).astype(np.result_type(model.prior.kappa_root, 1j))
        return cls(gradient, number, model.config, model.patch)

    @classmethod
    def measured(cls, model: SkyModel, config: LensingConfig, skies: int) -> MeanField:
        """Measures it on the first training skies of a config, one after the other.

        Args:
          model: of the posterior.
          config: the version.
          skies: how many, at least two.
        """
        gradients = (likelihood_gradient(model, config, index) for index in range(skies))
        return cls.of_gradients(gradients, model)

    def refuse_another(self, model: SkyModel) -> None:
        """Refuses a posterior of other maps, whose mean field is another one.

        Args:
          model: of the posterior.

        Raises:
          LensingError: its maps differ in the mask, the noise, the grid or the sky.
        """
        different = map_differences(self.config, model.config)
        if not different and not _is_same(self.patch, model.patch):
            different = "the mask or the noise of its SkyModel's patch"
        if different:
            raise LensingError(
                f"the mean field was measured for other maps than those of {model.config.name!r} "
                f"({different}): measure it for these, by MeanField.measured"
            )


def _is_same(one: MaskedPatch | None, other: MaskedPatch | None) -> bool:
    """Says whether two patches have the same mask and noise, but for rounding."""
    if one is None or other is None:
        return one is other
    if one.masked != other.masked or one.noise.keys() != other.noise.keys():
        return False
    arrays = (
        [patch.mask, 1.0 if patch.variance is None else patch.variance]
        + [patch.noise[name] for name in one.noise]
        for patch in (one, other)
    )
    return all(np.allclose(a, b, rtol=1e-6, atol=0) for a, b in zip(*arrays, strict=True))


def likelihood_gradient(model: SkyModel, config: LensingConfig, index: int) -> Modes:
    """Returns the gradient of −ln of the likelihood at the true κ of a training sky.

    Args:
      model: of the posterior.
      config: the version.
      index: of the example.
    """
    example = simulate(config, SPLIT, [index])
    mask = example[MASK][0, ..., 0] if MASK in example else None
    x = true_kappa(model, config, index)
    return model.at(x, model.data(example[LENSED][0], mask)).gradient - x


def true_kappa(model: SkyModel, config: LensingConfig, index: int, split: str = SPLIT) -> Modes:
    """Returns the white κ that an example was lensed by, half plane of the internal grid."""
    kappa = simulate(_fine(config), split, [index])[KAPPA][0, ..., 0]
    modes, root = model.prior.sky.to_modes(np.ascontiguousarray(kappa)), model.prior.kappa_root
    return np.divide(modes, root, out=np.zeros_like(modes), where=root > 0)


@functools.cache
def _fine(config: LensingConfig) -> LensingConfig:
    """The same draw on a grid of internal pixels, which has the true κ in all its modes."""
    return dataclasses.replace(
        config,
        name="fine",
        npix=config.internal.npix,
        oversampling=1,
        beam_arcmin=0.0,
        noise_uK_arcmin=0.0,
        unlensed_E=False,
        mask=None,
        taper=0.0,
        hits=None,
        one_over_f=None,
        splits=1,
        tensors=None,
        rotation=None,
        optical_depth=None,
    )
