"""The posterior probability of κ, given maps of a periodic patch with white noise.

The maps are d = O L(κ) f + n: f the unlensed T, Q and U on the internal grid, L the remapping, O
the beam and the cut to the output's modes, n the noise. With white unknowns x of κ and e of f (see
`prior`), the joint posterior is, up to a constant of the maps,

    J(x, e) = −ln p(x, e | d) = ½ |d − O L f|² / N + ½ |e|² + ½ |x|².

It is quadratic in e. Its minimum over e for a given κ is the Wiener filter of maps whose lensing is
known, found by conjugate gradients, and J there is ½ dᵗ Cov(κ)⁻¹ d + ½ |x|²: the marginal posterior
of κ but for ½ ln det Cov(κ), whose gradient is the mean field. So the joint maximum over (f, κ) is
the marginal one without a mean field. Since J is stationary in e at the filtered fields, its
gradient by x is that of the first term at fixed f: the residual times the gradient of f, gathered
at the deflected positions. (Hirata & Seljak 2003, astro-ph/0306354; Carron & Lewis 2017,
arXiv:1704.08230; Millea, Anderes & Wandelt 2019, arXiv:1708.06753.)

Scalar products of half planes are sums over the whole plane, <a, b> = Σ_l a_l b_l*.
"""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
from numpy.typing import DTypeLike, NDArray

from estimators.posterior.observed_sky import ObservedSky
from estimators.posterior.prior import Prior
from lensing_tfds import realism
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import instrument
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.lensing import Deflection, deflection_from_kappa, phi_from_kappa
from lensing_tfds.sky.spectra import PowerSpectra

Modes = NDArray[np.complexfloating]

_MOST_STEPS = 30  # of conjugate gradients; three to ten are usual, more where κ is impossible


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """A κ, and the most probable unlensed fields for it.

    Attributes:
      x: white κ, half plane of the internal grid.
      e: white unlensed fields, (unknowns, n, n // 2 + 1).
      value: J, nats.
      gradient: of J by x, half plane.
      steps: of conjugate gradients, that were made.
      filtered: whether they reached the tolerance; else J is above its value for this κ.
    """

    x: Modes
    e: Modes
    value: float
    gradient: Modes
    steps: int
    filtered: bool


class SkyModel:
    """The posterior of one example; holds scratch memory: one for a thread.

    Args:
      config: a version with periodic patches and noise.
      table: the spectra of its cosmology.
      tolerance: nats by which the unlensed fields may fall short of the most probable ones.
      dtype: float32, or float64, which takes twenty times as long.

    Attributes:
      prior: the fields' spectra.
      observed: what is done to the unlensed sky.

    Raises:
      LensingError: the version has edges, no noise, one unlensed sky for all examples, or what the
        posterior leaves out, as foregrounds or tensors.
    """

    def __init__(
        self,
        config: LensingConfig,
        table: PowerSpectra,
        tolerance: float = 0.1,
        dtype: DTypeLike = np.float32,
    ):
        for wrong, reason in (
            (not realism.is_periodic(config), "its patches have edges, and must be periodic"),
            (config.noise_uK_arcmin == 0, "its maps have no noise, and must have some"),
            (
                config.one_over_f is not None or config.hits is not None,
                "its noise has 1/f or varies over the patch, and must be white and even",
            ),
            (config.foregrounds is not None, "its T has foregrounds, and must have none"),
            (config.tensors is not None, "its B has tensors, and must be lensing's alone"),
            (
                config.rotation is not None or config.optical_depth is not None,
                "its sky is turned or dimmed before it is lensed, and must be as it was drawn",
            ),
            (
                config.kappa is not None or config.kappa_files is not None,
                "its κ is not Gaussian, or not independent of the sky, and must be both",
            ),
            (config.fixed_unlensed, "all its examples have one unlensed sky"),
        ):
            if wrong:
                raise LensingError(f"{config.name!r} has no maximum a posteriori here: {reason}")
        self.prior = Prior(config, table, dtype)
        self.observed = ObservedSky(config, dtype)
        self._tolerance = tolerance
        sky = self.prior.sky
        self._config, self._real = config, np.dtype(dtype)
        self._set_noise(config.noise_uK_arcmin)
        to_phi = phi_from_kappa(self.prior.kappa_root, sky).astype(np.float64)
        self._to_flow = [-d.conj() * to_phi for d in sky.gradient]
        self._to_flow = [flow.astype(np.result_type(dtype, 1j)) for flow in self._to_flow]

    def with_noise(self, noise_uK_arcmin: float) -> SkyModel:
        """Returns the model of maps with more noise, whose posterior is smoother.

        Scratch memory is shared.
        """
        model = copy.copy(self)
        model._set_noise(noise_uK_arcmin)
        return model

    def _set_noise(self, noise_uK_arcmin: float) -> None:
        area, channels = self.prior.sky.area, self._config.channels
        depths = (instrument.channel_noise(noise_uK_arcmin, channel) for channel in channels)
        weights = np.array([area / np.radians(depth / 60) ** 2 for depth in depths])
        self._weights = weights[:, None, None].astype(self._real)
        self._preconditioner = self._inverse_diagonal(weights)

    def data(self, maps: NDArray[np.floating]) -> Modes:
        """Returns the modes of one example's maps, µK, (npix, npix, channels).

        Raises:
          LensingError: they have another shape, or are not finite.
        """
        npix, channels = self._config.npix, self._config.channels
        expected = (npix, npix, len(channels))
        if maps.shape != expected:
            raise LensingError(
                f"the maps of an example have shape {maps.shape}: must be {expected}, of "
                f"{', '.join(channels)}"
            )
        if not np.isfinite(maps).all():
            raise LensingError("the maps have values that are not finite (NaN or infinite)")
        channels_first = np.ascontiguousarray(np.moveaxis(maps, -1, 0), self._real)
        return self.observed.sky.to_modes(channels_first)

    def deflection(self, x: Modes) -> Deflection:
        """Returns ∇φ of white κ, two maps on the internal grid."""
        return deflection_from_kappa(self.prior.kappa_root * x, self.prior.sky)

    def at(self, x: Modes, data: Modes, start: Modes | None = None) -> Point:
        """Evaluates the posterior.

        Args:
          x: white κ, half plane of the internal grid.
          data: modes of the maps, (channels, npix, npix // 2 + 1).
          start: white unlensed fields to start from, such as those of a point nearby.
        """
        deflection = self.deflection(x)
        e, steps, filtered = self._filtered(data, deflection, start)
        stokes = self.prior.stokes(e)
        residual = data - self.observed.observe(stokes, deflection)
        weighed = self._weights * residual
        sky = self.prior.sky
        value = 0.5 * (dot(weighed, residual, self.observed.sky) + dot(e, e, sky) + dot(x, x, sky))
        lensed = self.observed.to_lensed(weighed)
        gradient = x.copy()
        for derivative, flow in zip(sky.gradient, self._to_flow, strict=True):
            slope = self.observed.remap(stokes * derivative.astype(x.dtype), deflection)
            gradient += flow * sky.to_modes(np.sum(lensed * slope, axis=0))
        return Point(x, e, value, gradient, steps, filtered)

    def _filtered(
        self, data: Modes, deflection: Deflection, start: Modes | None
    ) -> tuple[Modes, int, bool]:
        """Minimises J over e for given κ: (1 + Aᵗ N⁻¹ A) e = Aᵗ N⁻¹ d, with A = O L C^½."""

        def adjoint(modes: Modes) -> Modes:
            weighed = self._weights * modes
            return self.prior.stokes_adjoint(self.observed.observe_adjoint(weighed, deflection))

        def forward(white: Modes) -> Modes:
            return self.observed.observe(self.prior.stokes(white), deflection)

        sky = self.prior.sky
        if start is None:
            e = np.zeros((len(self.prior.roots), *sky.ell.shape), data.dtype)
            residual = adjoint(data)
        else:
            e = start.copy()
            residual = adjoint(data - forward(e)) - e
        descent = self._preconditioned(residual)
        direction = descent
        slope = dot(residual, descent, sky)
        steps = 0
        # J is above its minimum by about half the slope.
        while slope > 2 * self._tolerance and steps < _MOST_STEPS:
            image = direction + adjoint(forward(direction))
            step = e.real.dtype.type(slope / dot(direction, image, sky))
            e += step * direction
            residual -= step * image
            descent = self._preconditioned(residual)
            last, slope = slope, dot(residual, descent, sky)
            direction = descent + e.real.dtype.type(slope / last) * direction
            steps += 1
        return e, steps, slope <= 2 * self._tolerance

    def _preconditioned(self, modes: Modes) -> Modes:
        inverse = self._preconditioner
        if len(modes) == 1:
            return inverse[0] * modes
        return np.stack([inverse[i, 0] * modes[0] + inverse[i, 1] * modes[1] for i in range(2)])

    def _inverse_diagonal(self, weights: NDArray[np.float64]) -> NDArray[np.floating]:
        """The inverse of 1 + C^½ b² N⁻¹ C^½, which the equation has without lensing."""
        config, sky, roots = self._config, self.prior.sky, self.prior.roots.astype(np.float64)
        seen = (np.abs(sky.ly) <= config.sky.nyquist) & (sky.lx <= config.sky.nyquist)
        beam = np.where(seen, instrument.beam(sky.ell, config.beam_arcmin), 0)
        # Those of T, of E, or of both: E is weighed as Q and U are.
        of_fields = np.array([weights[0], weights[-1]][-len(roots) :])
        square = np.einsum("f,yx,fiyx,fjyx->yxij", of_fields, beam**2, roots, roots)
        inverse = np.linalg.inv(square + np.eye(len(roots)))
        return np.moveaxis(inverse, (2, 3), (0, 1)).astype(self._real)


def dot(a: Modes, b: Modes, sky: FlatSky) -> float:
    """Returns Σ_l a_l b_l* over the whole plane and all fields, in double precision."""
    products = np.multiply(a.real, b.real, dtype=np.float64)
    products += np.multiply(a.imag, b.imag, dtype=np.float64)
    return float(np.sum(products * sky.mode_counts))
