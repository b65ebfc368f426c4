"""Foregrounds of the temperature: sources, clustered galaxies and the Sunyaev-Zeldovich effects.

Radio sources and dusty galaxies are Poisson fields of point sources; the galaxies' clustering and
the thermal effect are lognormal fields that are correlated with κ, and with each other; the kinetic
effect is Gaussian and has no correlation with anything: its sign is random, so that it has none of
two points. Foregrounds are not lensed: they lie among the lenses, and what lensing does to them is
far below their own uncertainty (Mishra & Schaan 2019, arXiv:1908.08057).
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError
from lensing_tfds.sky import foreground_spectra, lognormal_fields
from lensing_tfds.sky.flat_sky import FlatSky, as_pairs, pairs_of
from lensing_tfds.sky.gaussian_fields import GaussianField

COMPONENTS = tuple(foreground_spectra.POWERS)

Fill = Callable[[str, NDArray[np.float32]], None]
"""Fills an array (batch, size) with the standard normal numbers of a component's field."""

_SOURCES = ("radio", "dusty")
_CLUSTERED = ("cib", "tsz")


class Foregrounds:
    """Makes maps of foregrounds out of standard normal numbers and κ.

    A component's map is the same whichever others there are.

    Args:
      amplitudes: factor of each component's temperature; a component of 0, or none, is left out.
      kappa: power of κ, ⟨|a_l|²⟩ on the half plane.
      seed: power of the Gaussian field that κ is made of, which is κ where that is Gaussian.
      kappa_scale: scale of the lognormal field κ; infinite where κ is Gaussian.
      sky: the grid.

    Raises:
      LensingError: there are no such fields on that grid.
    """

    def __init__(
        self,
        amplitudes: Mapping[str, float],
        kappa: NDArray[np.float64],
        seed: NDArray[np.float64],
        kappa_scale: float,
        sky: FlatSky,
    ):
        self._sky = sky
        self._amplitudes = {name: factor for name, factor in amplitudes.items() if factor}
        self._sources = {
            name: foreground_spectra.sources(name, sky.pixel**2)
            for name in _SOURCES
            if name in self._amplitudes
        }
        if any(name in self._amplitudes for name in _CLUSTERED):
            self._prepare_clustered(kappa, seed, kappa_scale)
        self._kinetic = GaussianField(self._power("ksz"))

    def _power(self, component: str) -> NDArray[np.float64]:
        return foreground_spectra.spectrum(component, self._sky.ell) / self._sky.area

    def _prepare_clustered(
        self, kappa: NDArray[np.float64], seed: NDArray[np.float64], kappa_scale: float
    ) -> None:
        """Finds what the two Gaussian fields are made of: κ's, and one of their own after another.

        The second has a part of the first's own.
        """
        sky = self._sky
        self._fields = {}
        kappa_of_sky = kappa * sky.area
        per_seed, own = {}, {}
        for name in _CLUSTERED:
            scale = foreground_spectra.lognormal_scale(name)
            try:
                field = lognormal_fields.lognormal(self._power(name), scale, sky)
            except ValueError as error:
                raise LensingError(f"foregrounds: {name} on these pixels: {error}") from error
            cross = foreground_spectra.kappa_cross(name, sky.ell, kappa_of_sky) / sky.area
            cross = lognormal_fields.gaussian_cross(cross, kappa_scale, field.scale, sky)
            per_seed[name] = np.divide(cross, seed, out=np.zeros_like(cross), where=seed > 0)
            own[name] = field.gaussian - per_seed[name] * cross
            self._fields[name] = field
        first, second = _CLUSTERED
        both = lognormal_fields.gaussian_cross(
            foreground_spectra.cib_tsz_cross(sky.ell) / sky.area,
            self._fields[first].scale,
            self._fields[second].scale,
            sky,
        )
        both -= per_seed[first] * per_seed[second] * seed
        per_first = np.divide(both, own[first], out=np.zeros_like(both), where=own[first] > 0)
        own[second] -= per_first * both
        for name in _CLUSTERED:
            own[name][0, 0] = 0
            if own[name].min() < 0:
                raise LensingError(
                    f"foregrounds: no {name} on these pixels is so correlated with κ"
                    + (": give kappa a smaller skewness" if np.isfinite(kappa_scale) else "")
                )
        self._own = {name: GaussianField(power) for name, power in own.items()}
        self._per_seed = {name: pairs_of(factor) for name, factor in per_seed.items()}
        self._per_first = pairs_of(per_first)

    def modes(self, fill: Fill, seed: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Returns the modes of the sum of all components, µK, with none at l = 0.

        Args:
          fill: gives the numbers of each component.
          seed: the Gaussian field that κ is made of: half planes, shape (batch, npix,
            npix // 2 + 1); not changed.
        """
        npix, batch = self._sky.npix, len(seed)
        total = np.zeros((batch, npix, npix), np.float32)
        for name, sources in self._sources.items():
            pixels = np.empty((batch, npix**2), np.float32)
            fill(name, pixels)
            total += self._factor(name) * sources.maps(pixels).reshape(total.shape)
        self._add_clustered(total, fill, seed)
        modes = self._sky.to_modes(total)
        if "ksz" in self._amplitudes:
            modes += self._factor("ksz") * self._drawn("ksz", self._kinetic, fill, batch)
        modes[:, 0, 0] = 0
        return modes

    def _add_clustered(
        self, total: NDArray[np.float32], fill: Fill, seed: NDArray[np.complex64]
    ) -> None:
        first, second = _CLUSTERED
        if not (first in self._amplitudes or second in self._amplitudes):
            return
        of_first = self._drawn(first, self._own[first], fill, len(seed))
        if second in self._amplitudes:
            of_second = self._drawn(second, self._own[second], fill, len(seed))
            as_pairs(of_second)[...] += self._per_first * as_pairs(of_first)
            total += self._lognormal(second, of_second, seed)
        if first in self._amplitudes:
            total += self._lognormal(first, of_first, seed)

    def _lognormal(
        self, name: str, own: NDArray[np.complex64], seed: NDArray[np.complex64]
    ) -> NDArray[np.float32]:
        """The maps of a component, of whose Gaussian field its own part is given, overwritten."""
        as_pairs(own)[...] += self._per_seed[name] * as_pairs(seed)
        field = self._fields[name]
        maps = self._sky.to_map(own)
        scale = self._amplitudes[name] * field.scale
        return lognormal_fields.exponentiate(maps, scale, field.variance)

    def _drawn(
        self, name: str, field: GaussianField, fill: Fill, batch: int
    ) -> NDArray[np.complex64]:
        normals = np.empty((batch, field.size), np.float32)
        fill(name, normals)
        return field.modes(normals)

    def _factor(self, name: str) -> np.float32:
        return np.float32(self._amplitudes[name])
