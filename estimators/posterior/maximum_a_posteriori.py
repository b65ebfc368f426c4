"""The κ of largest posterior probability, found by a quasi-Newton ascent.

What is climbed is the marginal posterior of κ without its mean field: the unlensed fields are at
their best for every κ that is tried, so that a Hessian of κ alone serves, and ten steps do. (The
joint posterior of κ and the unlensed fields has the same maximum, but climbed in both it converges
badly: Millea, Anderes & Wandelt 2020, arXiv:2002.00965, who change variables instead.) The mean
field is left out because it is small: −0.5 % of the curvature on v11, at most −2 % on v10, where T
is seen (`benchmarks.posterior_mean_field`). A mask makes another, which is none of κ's doing: that
one is measured on skies (`mean_field`) and subtracted.

The first step is Newton's with the noise of the iterated estimator's forecast, the others BFGS's,
each halved until the posterior rises. With T at low noise the maximum is too narrow a peak to be
found from the quadratic estimate: there, maps with more noise are assumed first, unless there is a
mean field, which is of one noise.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from estimators.filtering.wiener_filter import WienerFilter
from estimators.iterated.forecast import forecasts_of
from estimators.posterior.mean_field import MeanField
from estimators.posterior.quasi_newton import InverseHessian
from estimators.posterior.sky_model import Data, Modes, Point, SkyModel, dot
from estimators.quadratic import wiener
from estimators.quadratic.fields import fields_of
from estimators.quadratic.minimum_variance import MinimumVariance
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import pairs_of
from lensing_tfds import realism
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import instrument
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.spectra import PowerSpectra

_SUFFICIENT = 1e-4  # of the rise that the gradient promises, for a step to be taken
_SHORTEST = 2.0**-10
_LONGER = 4.0  # than the last one a step may be
_LAST_STEPS = 3  # that must gain little in all, for one that promises little to be believed
_EASIER = (12.0, 6.0, 3.0, 1.7)  # µK·arcmin, of the noise that is assumed first where T is seen
_EASIER_GAIN = 15.0  # nats
_LIKELY = (0.5, 2.0)  # 2 J a pixel and channel, which is 1 to some percent for the config's maps


@dataclasses.dataclass(frozen=True, eq=False)
class Ascent:
    """The way to one example's maximum.

    Attributes:
      kappa: κ̂, half plane of the patch, (npix, npix // 2 + 1). Small where little is known, as
        Wiener-filtered ones are: on v10 to v12 it has, within 3 %, as much power as it shares
        with κ, on v9 up to 8 % less.
      log_posterior: −J at the start and after each step, nats, up to a constant: it rises. Of the
        maps' own noise alone.
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
      config: a version with noise, of periodic patches or with a mask.
      table: the spectra of its cosmology.
      gain: nats; the ascent ends when the next step promises less, and the last three won less.
      most_steps: it ends after so many.
      model: of the posterior, if it is to be another than `SkyModel(config, table)`.
      mean_field: that the mask or uneven noise makes, which must be given then.

    Raises:
      LensingError: as of `SkyModel`; or the version has a mask or uneven noise, and its mean field
        is not given, or was measured for other maps.
    """

    def __init__(
        self,
        config: LensingConfig,
        table: PowerSpectra,
        gain: float = 0.5,
        most_steps: int = 100,
        model: SkyModel | None = None,
        mean_field: MeanField | None = None,
    ):
        self._config = config
        self._model = model or SkyModel(config, table)
        self._mean_field = None if mean_field is None else mean_field.gradient
        shape = self._model.prior.sky.ell.shape
        if self._mean_field is not None and self._mean_field.shape != shape:
            raise LensingError(
                f"the mean field has shape {self._mean_field.shape}: must be {shape}, a half plane "
                f"of the internal grid of {config.name!r}"
            )
        if mean_field is not None:
            mean_field.refuse_another(self._model)
        self._filter: WienerFilter | None = None
        observation = Observation.of(config, table)
        patch = self._model.patch
        if patch is not None:
            if realism.has_mean_field(config) and mean_field is None:
                raise LensingError(
                    f"{config.name!r} has a mask or uneven noise, which make a mean field: give "
                    "mean_field, as of estimators.posterior.mean_field.MeanField.measured"
                )
            observation = patch.observation(observation)
            self._filter = WienerFilter(patch, observation, config.channels)
        self._most_steps = most_steps
        noise = config.noise_uK_arcmin
        has_levels = self._model.prior.has_t and mean_field is None  # which is of one noise
        easier = [n for n in _EASIER if n > noise] if has_levels else []
        self._levels = [(n, max(gain, _EASIER_GAIN)) for n in easier] + [(noise, gain)]
        kappa = kappa_power(config, table, config.sky.ell)
        self._expected = self._expected_inverse_hessian(observation, kappa)
        self._quadratic = MinimumVariance(pairs_of(config), observation)
        self._wiener = wiener.wiener_filter(kappa, self._quadratic.noise)

    def kappa(
        self, maps: NDArray[np.floating], masks: NDArray[np.floating] | None = None
    ) -> list[Ascent]:
        """Estimates κ of examples, one after the other.

        Args:
          maps: µK, (n, npix, npix, channels).
          masks: as of `ascend`, (n, npix, npix).
        """
        of_each = [None] * len(maps) if masks is None else masks
        return [self.ascend(one, mask=mask) for one, mask in zip(maps, of_each, strict=True)]

    def ascend(
        self,
        maps: NDArray[np.floating],
        report: Callable[[Point], object] = lambda point: None,
        mask: NDArray[np.floating] | None = None,
    ) -> Ascent:
        """Estimates κ of one example.

        Args:
          maps: µK, (npix, npix, channels).
          report: told of each point on the way.
          mask: as of `SkyModel.data`.

        Raises:
          LensingError: as of `SkyModel.data`.

        Warns:
          UserWarning: the maps are not such as the config's: in other units, or of another sky.
        """
        data = self._model.data(maps, mask)
        x = self._first_guess(maps, mask)
        hessian = InverseHessian(self._expected, self._model.prior.sky)
        filter_steps = 0
        for noise, gain in self._levels:
            model = self._model.with_noise(noise)
            climb = _Climb(model, data, hessian, report, self._mean_field)
            converged = climb.run(x, gain, self._most_steps)
            x = climb.point.x
            filter_steps += climb.filter_steps
        value = climb.point.value
        if self._mean_field is not None:
            value -= dot(self._mean_field, x, self._model.prior.sky)
        chi_squared = 2 * value / data.numbers
        if not _LIKELY[0] < chi_squared < _LIKELY[1]:
            warnings.warn(
                f"the maps have a χ² of {chi_squared:.3g} a pixel and channel, where those of "
                f"{self._config.name!r} have 1: do not trust this estimate (are they in µK?)",
                stacklevel=2,
            )
        return Ascent(self.on_patch(x), tuple(climb.values), filter_steps, converged)

    def on_patch(self, x: Modes) -> Modes:
        """Takes white κ to the patch's modes, as the simulator does with the true κ."""
        kappa, config = self._model.prior.kappa_root * x, self._config
        return instrument.truncate(kappa, config.npix) if config.oversampling > 1 else kappa

    def _first_guess(self, maps: NDArray[np.floating], mask: NDArray[np.floating] | None) -> Modes:
        """The Wiener-filtered quadratic estimate, white: of filtered maps inside a mask."""
        config, root = self._config, self._model.prior.kappa_root
        if self._filter is None:
            fields = fields_of(maps[None].astype(root.dtype), config.channels, config.sky)
        else:
            fields = self._filter.fields(maps[None], self._model.mask_of(maps, mask)[None])
        kappa = self._wiener * self._quadratic.kappa(fields)[0]
        if self._filter is not None:
            window = self._filter.patch.interior
            kappa = config.sky.to_modes(config.sky.to_map(kappa) * window)
        kappa = kappa.astype(np.result_type(root, 1j))
        if config.oversampling > 1:
            kappa = instrument.truncate_adjoint(kappa, len(root))
        return np.divide(kappa, root, out=np.zeros_like(kappa), where=root > 0)

    def _expected_inverse_hessian(
        self, observation: Observation, kappa: NDArray[np.float64]
    ) -> NDArray[np.floating]:
        """1 / (1 + C/N0) of white κ, with the noise that the iterated forecast expects."""
        sky, internal = self._config.sky, self._model.prior.sky
        rings = Bins.fundamental(sky)
        forecast = forecasts_of(observation, pairs_of(self._config), kappa)[-1]
        information = rings.mean(1 / forecast.noise)
        # Both grids have the same fundamental, and so the same rings.
        ring = np.rint(internal.ell / internal.fundamental).astype(np.int64)
        known = np.where(ring < rings.num, information[np.minimum(ring, rings.num - 1)], 0)
        root = self._model.prior.kappa_root
        return (1 / (1 + root**2 * internal.area * known)).astype(root.dtype)


class _Climb:
    """An ascent of one posterior.

    Attributes:
      point: the highest point that was reached.
      values: −J of each point on the way.
      filter_steps: of conjugate gradients in all.
    """

    def __init__(
        self,
        model: SkyModel,
        data: Data,
        hessian: InverseHessian,
        report: Callable[[Point], object],
        mean_field: Modes | None,
    ):
        self._model, self._data, self._hessian, self._report = model, data, hessian, report
        self._mean_field = mean_field
        self.values: list[float] = []
        self.filter_steps = 0

    def run(self, x: Modes, gain: float, most_steps: int) -> bool:
        """Climbs from x; whether it ended because there was less than `gain` left to win.

        What a step promises is not believed after one that had to be shortened, nor while the last
        few won more: where T is seen, the way up has plateaus.
        """
        sky = self._model.prior.sky
        self._reach(self._tried(x))
        length, longest = 0.0, 1.0
        for _ in range(most_steps):
            gradient = self.point.gradient
            direction = -self._hessian.times(gradient)
            slope = dot(gradient, direction, sky)
            promises_little = -slope / 2 < gain
            before = self.values[-1 - _LAST_STEPS :][0]
            settled = len(self.values) > _LAST_STEPS and self.values[-1] - before < gain
            if length == 1 and promises_little and settled:
                return self.point.filtered
            length = longest
            while length >= _SHORTEST:
                trial = self._tried(self.point.x + gradient.real.dtype.type(length) * direction)
                if trial.value <= self.point.value + _SUFFICIENT * length * slope:
                    break
                length /= 2
            else:
                return self.point.filtered and promises_little
            longest = min(1.0, _LONGER * length)
            self._hessian.learn(trial.x - self.point.x, trial.gradient - gradient)
            self._reach(trial)
        return False

    def _tried(self, x: Modes) -> Point:
        start = self.point.e if self.values else None
        trial = self._model.at(x, self._data, start, self._mean_field)
        self.filter_steps += trial.steps
        return trial

    def _reach(self, point: Point) -> None:
        self.point = point
        self.values.append(-point.value)
        self._report(point)
