"""A config's patch: its pixels, the box that is simulated, and their bounds."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lensing_tfds.config_fields.checked import Checked
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import instrument, spectra
from lensing_tfds.sky.flat_sky import FlatSky

_MAX_BOX_NPIX = 8192  # of the simulated box at internal pixels: 0.5 GB a field


class Patch(Checked):
    """The fields of a config that say where it is, on which pixels, and what is seen there.

    `LensingConfig` documents them.
    """

    name: str
    npix: int
    lx: float | None
    nside_equiv: int | None
    stokes: str
    oversampling: int
    padding: float
    noise_uK_arcmin: float
    fixed_unlensed: bool
    cosmology: Mapping[str, Any] | None
    kappa_exaggeration_factor: float

    @property
    def title(self) -> str:
        """The first words of an error."""
        return f"config {self.name!r}"

    @property
    def side(self) -> float:
        """Side of the patch, radians."""
        if self.lx is not None:
            return math.radians(self.lx)
        assert self.nside_equiv is not None  # __post_init__ saw to it
        return self.npix * math.sqrt(4 * math.pi / (12 * self.nside_equiv**2))

    @property
    def sky(self) -> FlatSky:
        """The patch: its pixels and multipoles."""
        return FlatSky(self.npix, self.side)

    @property
    def box(self) -> FlatSky:
        """The periodic box that is simulated, at the patch's pixels; the patch without padding."""
        npix = round(self.npix * self.padding)
        return FlatSky(npix, self.side * npix / self.npix)

    @property
    def internal(self) -> FlatSky:
        """The box at the pixels on which it is lensed."""
        return FlatSky(self.box.npix * self.oversampling, self.box.side)

    @property
    def channels(self) -> tuple[str, ...]:
        """The Stokes parameters of the maps, in order: e.g. ("T", "Q", "U")."""
        return tuple(self.stokes)

    @property
    def pixel_arcmin(self) -> float:
        """Side of a pixel, arcmin."""
        return math.degrees(self.side) * 60 / self.npix

    def _check_patch(self) -> None:
        if (self.lx is None) == (self.nside_equiv is None):
            raise LensingError(
                f"{self.title}: give exactly one of lx ({self.lx!r}) and nside_equiv "
                f"({self.nside_equiv!r})"
            )
        if self.lx is not None:
            self._check_real("lx", 1e-3, 90.0)
        else:
            self._check_integer("nside_equiv", 1, 2**20)
            if math.degrees(self.side) > 90:
                raise self._error("nside_equiv", "such that the patch is at most 90 degrees wide")

    def _check_box(self) -> None:
        self._check_real("padding", 1.0, 8.0)
        self._check_integer("oversampling", 1, 16)
        if not math.isclose(self.npix * self.padding, self.box.npix, rel_tol=1e-9):
            raise self._error("padding", f"such that npix x padding is whole ({self.npix} pixels)")
        if self.internal.npix > _MAX_BOX_NPIX:
            raise self._error(
                "oversampling",
                f"such that the box has at most {_MAX_BOX_NPIX} internal pixels on a side, not "
                f"{self.internal.npix}",
            )

    def _check_longest_wave(self) -> None:
        """Refuses a box so small that no mode of it has power, and its maps were all zero."""
        longest = max(self._lowest_multipole("kappa"), self._lowest_multipole("T"))
        if longest > spectra.LMAX:
            raise self._error(
                "lx" if self.lx is not None else "nside_equiv",
                f"such that the patch, of {math.degrees(self.side):.3g} degrees, has power: its "
                f"longest wave, l = {longest:.0f}, is beyond the spectra's {spectra.LMAX}",
            )

    def _check_lmax(self, field: str) -> None:
        if getattr(self, field) is not None:
            lowest = self._lowest_multipole(field.removesuffix("_lmax"))
            self._check_integer(field, math.ceil(lowest), spectra.LMAX)

    def _check_beam(self) -> None:
        # A Gaussian beam passes exp(-l²σ²/2) of a wave; less than this of the longest is nothing.
        sigma = math.sqrt(2 * math.log(1e10)) / self._lowest_multipole("T")
        widest = math.degrees(sigma) * 60 * instrument.FWHM_PER_SIGMA
        self._check_real("beam_arcmin", 0.0, min(widest, 1e4))

    def _lowest_multipole(self, field: str) -> float:
        """The least multipole of the internal grid, rounded as there, that gives a map power.

        Args:
          field: "kappa", or "T" for all that is observed: waves along an axis have no U.
        """
        sky = self.internal
        start = int(field == "T" and "Q" in self.stokes)
        first = slice(start, math.ceil(2 / sky.fundamental) + 2)
        ell = np.hypot(sky.lx[:, first], sky.ly[first])
        return float(ell[ell >= 2].min())  # l of 0 and 1 have no power
