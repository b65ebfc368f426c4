"""The posterior probability of κ, given maps of a patch, with a mask or without one.

The maps are d = A O L(κ) f + σ n: f the unlensed T, Q and U on the internal grid, L the remapping,
O the beam and the cut to the output's modes, A the mask and σ² the noise's variance from pixel to
pixel in units of its spectrum N (see `filtering.masked_patch`; both are 1 on a periodic patch with
even noise). With white unknowns x of κ and e of f (see `prior`), the joint posterior is, up to a
constant of the maps,

    J(x, e) = −ln p(x, e | d) = ½ |(d − A O L f) / σ|² / N + ½ |e|² + ½ |x|² + <m, x>.

It is quadratic in e. Its minimum over e for a given κ is the Wiener filter of maps whose lensing is
known, found by conjugate gradients, and J there is ½ dᵗ Cov(κ)⁻¹ d + ½ |x|²: the marginal posterior
of κ but for ½ ln det Cov(κ), whose gradient is the mean field. So the joint maximum over (f, κ) is
the marginal one without a mean field. A mask makes one that does not vanish on average; m is its
average over skies (`mean_field`), so that ln det is taken to be linear in κ. Since J is stationary
in e at the filtered fields, its gradient by x is that of the first term at fixed f: the residual
times the gradient of f, gathered at the deflected positions. (Hirata & Seljak 2003,
astro-ph/0306354; Carron & Lewis 2017, arXiv:1704.08230; Millea, Anderes & Wandelt 2019,
arXiv:1708.06753.)

Scalar products of half planes are sums over the whole plane, <a, b> = Σ_l a_l b_l*.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from estimators.filtering.masked_maps import refuse_another_mask
from estimators.filtering.masked_patch import SPECTRUM_OF, MaskedPatch, checked_mask, is_masked
from estimators.posterior.observed_sky import ObservedSky
from estimators.posterior.prior import Prior
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import instrument
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.lensing import Deflection, deflection_from_kappa, phi_from_kappa
from lensing_tfds.sky.spectra import PowerSpectra

Modes = NDArray[np.complexfloating]

Maps = NDArray[np.floating]

_MOST_STEPS = 30  # of conjugate gradients; three to ten are usual, more where κ is impossible
_SAME_MASK = 0.01  # that masks may differ by in a pixel
_MOST_MASKED = 400  # where a mask mixes the modes: 60 on v13, 230 with holes and 1/f in T


class Data(NamedTuple):
    """One example's maps as the posterior takes them.

    Attributes:
      modes: of the maps over σ, half planes, (channels, npix, npix // 2 + 1).
      signal: A / σ, that the sky is multiplied by in them, (npix, npix); None is 1.
      numbers: of real numbers that were observed.
    """

    modes: Modes
    signal: Maps | None
    numbers: int


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
      config: a version with noise, whose patches are not cut out of larger ones.
      table: the spectra of its cosmology.
      tolerance: nats by which the unlensed fields may fall short of the most probable ones.
      dtype: float32, or float64, which takes twenty times as long.
      patch: mask and noise, if they are to be others than the config's.

    Attributes:
      config: as given.
      prior: the fields' spectra.
      observed: what is done to the unlensed sky.
      patch: mask and noise; None is a periodic patch with white, even noise.

    Raises:
      LensingError: the version is cut out of larger patches, has no noise, one unlensed sky for all
        examples, or what the posterior leaves out, as foregrounds or tensors in T.
    """

    def __init__(
        self,
        config: LensingConfig,
        table: PowerSpectra,
        tolerance: float = 0.1,
        dtype: DTypeLike = np.float32,
        patch: MaskedPatch | None = None,
    ):
        has_t = "T" in config.channels
        for wrong, reason in (
            (
                config.padding > 1,
                "its patches are cut out of larger ones, and must be periodic but for a mask",
            ),
            (config.noise_uK_arcmin == 0, "its maps have no noise, and must have some"),
            (config.foregrounds is not None, "its T has foregrounds, and must have none"),
            (has_t and config.tensors is not None, "its T has tensors, and must have none"),
            (
                has_t and (config.rotation is not None or config.optical_depth is not None),
                "its T is of a sky that is turned or dimmed before it is lensed: such a sky must "
                "be of Q and U alone",
            ),
            (
                config.kappa is not None or config.kappa_files is not None,
                "its κ is not Gaussian, or not independent of the sky, and must be both",
            ),
            (config.fixed_unlensed, "all its examples have one unlensed sky"),
        ):
            if wrong:
                raise LensingError(f"{config.name!r} has no maximum a posteriori here: {reason}")
        self._is_of_config = patch is None
        uneven = config.one_over_f is not None or config.hits is not None
        if patch is None and (is_masked(config) or uneven):
            patch = MaskedPatch.of(config)
        self.patch = patch
        self.prior = Prior(config, table, dtype)
        self.observed = ObservedSky(config, dtype)
        self._tolerance = tolerance
        sky = self.prior.sky
        self.config, self._real = config, np.dtype(dtype)
        self._noise = self._noise_powers()
        self._mixed = np.any(self.prior.roots != 0, axis=(2, 3))
        self._share = 1.0 if patch is None else float(np.mean(patch.seen().signal ** 2))
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

    def _noise_powers(self) -> NDArray[np.float64]:
        """N_l of each channel, (channels, 1, 1) if it is white, or half planes."""
        channels = self.config.channels
        if self.patch is not None:
            return np.stack([self.patch.noise[SPECTRUM_OF[channel]] for channel in channels])
        depths = [
            instrument.channel_noise(self.config.noise_uK_arcmin, channel) for channel in channels
        ]
        return np.radians(np.array(depths)[:, None, None] / 60) ** 2

    def _set_noise(self, noise_uK_arcmin: float) -> None:
        relative = (noise_uK_arcmin / self.config.noise_uK_arcmin) ** 2
        weights = self.prior.sky.area / (relative * self._noise)
        self._weights = weights.astype(self._real)
        self._preconditioner = self._inverse_diagonal(weights)

    def data(self, maps: NDArray[np.floating], mask: NDArray[np.floating] | None = None) -> Data:
        """Takes one example's maps.

        Args:
          maps: µK, (npix, npix, channels).
          mask: (npix, npix), 0 to 1, of these maps; None is the patch's, but for the holes of maps
            that are masked with their noise, which are where these are zero.

        Raises:
          LensingError: they have another shape, or are not finite; the maps have a mask, and the
            patch has none, or another but for holes; or their signal has holes, and no mask says
            where.
        """
        npix, channels = self.config.npix, self.config.channels
        expected = (npix, npix, len(channels))
        if maps.shape != expected:
            raise LensingError(
                f"the maps of an example have shape {maps.shape}: must be {expected}, of "
                f"{', '.join(channels)}"
            )
        if not np.isfinite(maps).all():
            raise LensingError("the maps have values that are not finite (NaN or infinite)")
        if self._is_of_config:
            refuse_another_mask(maps[None], self.config)
        channels_first = np.ascontiguousarray(np.moveaxis(maps, -1, 0), self._real)
        sky = self.observed.sky
        if self.patch is None:
            if mask is not None:
                raise LensingError(
                    f"a mask was given, and {self.config.name!r} has none: give a config that has"
                )
            return Data(sky.to_modes(channels_first), None, maps.size)
        seen = self.patch.seen(self.mask_of(maps, mask)[None])
        signal, factor = (part[0].astype(self._real) for part in seen)
        numbers = len(channels) * int(np.count_nonzero(factor))
        return Data(sky.to_modes(channels_first * factor), signal, numbers)

    def mask_of(
        self, maps: NDArray[np.floating], mask: NDArray[np.floating] | None
    ) -> NDArray[np.float64]:
        """Returns the mask of one example of a masked patch; arguments and errors as of `data`."""
        assert self.patch is not None
        if mask is not None:
            mask = checked_mask(mask, self.patch.sky)
            other = (mask > 0) & (np.abs(mask - self.patch.mask) > _SAME_MASK)
            if other.any():
                raise LensingError(
                    f"the mask differs in {other.mean():.1%} of the pixels from that of "
                    f"{self.config.name!r}, and may but for holes: give a config with yours"
                )
            return mask
        if self.config.mask is None or self.config.mask.holes == 0:
            return np.asarray(self.patch.mask)
        if self.patch.masked == "signal":
            raise LensingError(
                f"the signal of {self.config.name!r} has holes, in each example in other places, "
                "which noise hides: give the maps' mask with them"
            )
        return self.patch.masks_seen_in(maps[None])[0]

    def deflection(self, x: Modes) -> Deflection:
        """Returns ∇φ of white κ, two maps on the internal grid."""
        return deflection_from_kappa(self.prior.kappa_root * x, self.prior.sky)

    def at(
        self, x: Modes, data: Data, start: Modes | None = None, mean_field: Modes | None = None
    ) -> Point:
        """Evaluates the posterior.

        Args:
          x: white κ, half plane of the internal grid.
          data: of the maps.
          start: white unlensed fields to start from, such as those of a point nearby.
          mean_field: m, half plane as x; None is zero.
        """
        deflection = self.deflection(x)
        e, steps, filtered = self._filtered(data, deflection, start)
        stokes = self.prior.stokes(e)
        residual = data.modes - self._seen(self.observed.observe(stokes, deflection), data)
        weighed = self._weights * residual
        sky = self.prior.sky
        value = 0.5 * (dot(weighed, residual, self.observed.sky) + dot(e, e, sky) + dot(x, x, sky))
        lensed = self.observed.to_lensed(self._seen(weighed, data))
        gradient = x.copy()
        if mean_field is not None:
            value += dot(mean_field, x, sky)
            gradient += mean_field
        for derivative, flow in zip(sky.gradient, self._to_flow, strict=True):
            slope = self.observed.remap(stokes * derivative.astype(x.dtype), deflection)
            gradient += flow * sky.to_modes(np.sum(lensed * slope, axis=0))
        return Point(x, e, value, gradient, steps, filtered)

    def _seen(self, modes: Modes, data: Data) -> Modes:
        """Multiplies half planes of maps by A / σ, which is its own adjoint."""
        if data.signal is None:
            return modes
        sky = self.observed.sky
        maps = sky.to_map(modes)
        maps *= data.signal
        return sky.to_modes(maps)

    def _filtered(
        self, data: Data, deflection: Deflection, start: Modes | None
    ) -> tuple[Modes, int, bool]:
        """Minimises J over e for given κ: (1 + Aᵗ N⁻¹ A) e = Aᵗ N⁻¹ d, with A = O L C^½."""

        def adjoint(modes: Modes) -> Modes:
            weighed = self._seen(self._weights * modes, data)
            return self.prior.stokes_adjoint(self.observed.observe_adjoint(weighed, deflection))

        def forward(white: Modes) -> Modes:
            return self._seen(self.observed.observe(self.prior.stokes(white), deflection), data)

        most_steps = _MOST_STEPS if data.signal is None else _MOST_MASKED

        sky = self.prior.sky
        if start is None:
            e = np.zeros((len(self.prior.roots), *sky.ell.shape), data.modes.dtype)
            residual = adjoint(data.modes)
        else:
            e = start.copy()
            residual = adjoint(data.modes - forward(e)) - e
        descent = self._preconditioned(residual)
        direction = descent
        slope = dot(residual, descent, sky)
        steps = 0
        # J is above its minimum by about half the slope.
        while slope > 2 * self._tolerance and steps < most_steps:
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
        found = []
        for row, mixes in zip(self._preconditioner, self._mixed | self._mixed.T, strict=True):
            parts = [row[i] * modes[i] for i in np.flatnonzero(mixes)]
            found.append(sum(parts[1:], start=parts[0]))
        return np.stack(found)

    def _inverse_diagonal(self, weights: NDArray[np.float64]) -> NDArray[np.floating]:
        """The inverse of 1 + w C^½ b² N⁻¹ C^½, which the equation has without lensing.

        With w the mean of (A/σ)², the equation of a mask is near it in the interior.
        """
        config, sky, roots = self.config, self.prior.sky, self.prior.roots.astype(np.float64)
        seen = (np.abs(sky.ly) <= config.sky.nyquist) & (sky.lx <= config.sky.nyquist)
        beam = np.where(seen, instrument.beam(sky.ell, config.beam_arcmin), 0)
        # The output's modes, in their places among the internal ones; beyond there is no beam.
        rows = np.rint(sky.ly / sky.fundamental).astype(np.int64) % config.npix
        columns = np.minimum(np.arange(sky.npix // 2 + 1), config.npix // 2)[None]
        shape = (len(weights), *config.sky.ell.shape)
        fine = self._share * np.broadcast_to(weights, shape)[:, rows, columns]
        # E and B are weighed as Q and U are.
        of_fields = np.stack(
            [fine[0 if i == 0 and self.prior.has_t else -1] for i in range(len(roots))]
        )
        square = np.einsum("fyx,yx,fiyx,fjyx->yxij", of_fields, beam**2, roots, roots)
        inverse = np.linalg.inv(square + np.eye(len(roots)))
        return np.moveaxis(inverse, (2, 3), (0, 1)).astype(self._real)


def dot(a: Modes, b: Modes, sky: FlatSky) -> float:
    """Returns Σ_l a_l b_l* over the whole plane and all fields, in double precision."""
    products = np.multiply(a.real, b.real, dtype=np.float64)
    products += np.multiply(a.imag, b.imag, dtype=np.float64)
    return float(np.sum(products * sky.mode_counts))
