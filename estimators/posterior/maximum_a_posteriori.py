"""The κ of largest posterior probability, found by a quasi-Newton ascent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.iterated.forecast import forecasts
from estimators.posterior.sky_model import Modes, Point, SkyModel, dot
from estimators.quadratic import wiener
from estimators.quadratic.fields import fields_of
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import pairs_of
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.sky import instrument
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.spectra import PowerSpectra

_SUFFICIENT = 1e-4  # of the decrease that the gradient promises, for a step to be taken
_SHORTEST = 2.0**-8
_EASIER = (6.0, 4.0, 3.0, 2.0, 1.4)


@dataclasses.dataclass(frozen=True, eq=False)
class Ascent:
    """The way to one example's maximum.

    Attributes:
      kappa: half plane of the patch, (npix, npix // 2 + 1).
      log_posterior: −J at the start and after each iteration, nats, up to a constant: it rises.
      filter_steps: of conjugate gradients in all.
      converged: whether the ascent ended because nothing was left to gain.
    """

    kappa: Modes
    log_posterior: tuple[float, ...]
    filter_steps: int
    converged: bool


class MaximumAPosteriori:
    """Estimates κ by the maximum of its posterior; holds scratch memory: one for a thread.

    Args:
      config: a version with periodic patches and noise.
      table: the spectra of its cosmology.
      gain: nats; the ascent ends when the next step promises less.
      most_iterations: it ends after so many.
      model: of the posterior, if another than the config's `SkyModel` is wanted.

    Raises:
      LensingError: as of `SkyModel`.
    """

    def __init__(
        self,
        config: LensingConfig,
        table: PowerSpectra,
        gain: float = 1.0,
        most_iterations: int = 50,
        model: SkyModel | None = None,
    ):
        self._config = config
        self._model = model or SkyModel(config, table)
        self._gain, self._most = gain, most_iterations
        noise = config.noise_uK_arcmin
        easier = [n for n in _EASIER if n > noise] if self._model.prior.has_t else []
        self._noises = [*easier, noise]
        self._inverse_hessian = self._expected_inverse_hessian(table)
        observation = Observation.of(config, table)
        self._quadratic = MinimumVariance(pairs_of(config), observation)
        kappa = kappa_power(config, table, config.sky.ell)
        self._wiener = wiener.wiener_filter(kappa, self._quadratic.noise)

    def kappa(self, maps: NDArray[np.floating]) -> list[Ascent]:
        """Estimates κ of examples, one after the other.

        Args:
          maps: µK, (n, npix, npix, channels).
        """
        return [self.ascend(example) for example in maps]

    def ascend(
        self, maps: NDArray[np.floating], report: Callable[[Point], object] = lambda point: None
    ) -> Ascent:
        """Estimates κ of one example.

        Args:
          maps: µK, (npix, npix, channels).
          report: told of each point on the way.
        """
        model = self._model
        data = model.data(maps)
        x, filter_steps, converged = self._first_guess(maps), 0, False
        values: list[float] = []
        for noise in self._noises:
            climb = self._climb(model.with_noise(noise), x, data, report)
            x, steps, values, converged = climb
            filter_steps += steps
        return Ascent(self.on_patch(x), tuple(values), filter_steps, converged)

    def _climb(
        self, model: SkyModel, x: Modes, data: Modes, report: Callable[[Point], object]
    ) -> tuple[Modes, int, list[float], bool]:
        sky = model.prior.sky
        point = model.at(x, data)
        report(point)
        values, filter_steps = [-point.value], point.steps
        changes: list[tuple[Modes, Modes]] = []
        while len(values) <= self._most:
            direction = -self._times_inverse_hessian(point.gradient, changes)
            slope = dot(point.gradient, direction, sky)
            if -slope / 2 < self._gain:
                return point.x, filter_steps, values, True
            length = 1.0
            while length >= _SHORTEST:
                x = point.x + direction.real.dtype.type(length) * direction
                trial = model.at(x, data, point.e)
                filter_steps += trial.steps
                if trial.value <= point.value + _SUFFICIENT * length * slope:
                    break
                length /= 2
            else:
                break
            changes.append((trial.x - point.x, trial.gradient - point.gradient))
            if dot(*changes[-1], sky) <= 0:  # J curves the other way: nothing to learn from
                changes.pop()
            point = trial
            report(point)
            values.append(-point.value)
        return point.x, filter_steps, values, False

    def on_patch(self, x: Modes) -> Modes:
        """Takes white κ to the patch's modes, as the simulator does with the true κ."""
        kappa = self._model.prior.kappa_root * x
        return (
            instrument.truncate(kappa, self._config.npix)
            if self._config.oversampling > 1
            else kappa
        )

    def _first_guess(self, maps: NDArray[np.floating]) -> Modes:
        """The Wiener-filtered quadratic estimate, white: the ascent is longer from zero."""
        config, root = self._config, self._model.prior.kappa_root
        fields = fields_of(maps[None].astype(root.dtype), config.channels, config.sky)
        kappa = (self._wiener * self._quadratic.kappa(fields)[0]).astype(np.result_type(root, 1j))
        if config.oversampling > 1:
            kappa = instrument.truncate_adjoint(kappa, len(root))
        return np.divide(kappa, root, out=np.zeros_like(kappa), where=root > 0)

    def _expected_inverse_hessian(self, table: PowerSpectra) -> NDArray[np.floating]:
        """1 / (1 + C/N0) of white κ, with the noise that the iterative forecast expects."""
        sky, internal = self._config.sky, self._model.prior.sky
        rings = Bins.fundamental(sky)
        information = rings.mean(1 / forecasts(self._config, table)[-1].noise)
        # Both grids have the same fundamental, and so the same rings.
        ring = np.rint(internal.ell / internal.fundamental).astype(np.int64)
        known = np.where(ring < rings.num, information[np.minimum(ring, rings.num - 1)], 0)
        root = self._model.prior.kappa_root
        return (1 / (1 + root**2 * internal.area * known)).astype(root.dtype)

    def _times_inverse_hessian(
        self, gradient: Modes, changes: Sequence[tuple[Modes, Modes]]
    ) -> Modes:
        """BFGS's inverse Hessian times a vector (Nocedal & Wright 2006, algorithm 7.4)."""
        sky = self._model.prior.sky
        real = gradient.real.dtype.type
        vector, factors = gradient, []
        for step, change in reversed(changes):
            factor = dot(step, vector, sky) / dot(step, change, sky)
            vector = vector - real(factor) * change
            factors.append(factor)
        vector = self._inverse_hessian * vector
        for (step, change), factor in zip(changes, reversed(factors), strict=True):
            back = dot(change, vector, sky) / dot(step, change, sky)
            vector = vector + real(factor - back) * step
        return vector
