"""Pixels on the sky: which way they run, and Q and U of either convention turned to their axes.

Estimators take maps whose x axis runs east and y axis north, with Q > 0 along x and U > 0 along
x = y (`sky.polarization`). On the sky Q and U refer to the meridian: IAU's angle ψ of polarization
is counted from north through east, COSMO's U (HEALPix's) has the other sign. Where the map's y axis
has the position angle A,

    (Q + iU)_IAU exp(−2iA) = −Q + iU

of ours. A changes across a patch, by the sine of the declination times the longitude.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError
from lensing_tfds.sky.flat_sky import FlatSky

CONVENTIONS = ("COSMO", "IAU")

TOLERANCE = 0.02
"""Tolerance of pixels' size and of their being squares. Multipoles are off by as much, and the
bands of an estimate's report are ten times as wide."""

_SAME_PIXEL = 0.5  # of a pixel: images whose pixels are no further apart are on the same ones


@dataclasses.dataclass(frozen=True, eq=False)
class SkyFrame:
    """A patch's pixels on the sky.

    Attributes:
      flip_y: whether the file's rows run south.
      flip_x: whether the file's columns run west.
      position_angle: of the y axis in each pixel, radians, north through east, after the flips:
        (npix, npix).
      header: the cards of a FITS header that say where the pixels are, astropy's.
    """

    flip_y: bool
    flip_x: bool
    position_angle: NDArray[np.float64]
    header: Any

    def flipped(self, maps: NDArray) -> NDArray:
        """Turns maps (..., npix, npix) from the file's order to north and east, or back."""
        return maps[..., :: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    def to_axes(self, q: NDArray, u: NDArray, convention: str) -> tuple[NDArray, NDArray]:
        """Turns Q and U of a convention to the map's axes, as the estimators take them.

        Args:
          q: (..., npix, npix), flipped.
          u: likewise.
          convention: "COSMO" or "IAU".
        """
        cosine, sine = np.cos(2 * self.position_angle), np.sin(2 * self.position_angle)
        iau = u if convention == "IAU" else -u
        return -(q * cosine + iau * sine), iau * cosine - q * sine


def frame_of(header: Any, sky: FlatSky, path: Path) -> SkyFrame:
    """Reads from a FITS header where a map's pixels are.

    Args:
      header: astropy's, of maps of sky.npix pixels on a side.
      sky: the patch that the pixels should have.
      path: the file, for messages.

    Raises:
      LensingError: it has no celestial coordinates, or pixels of another size, or not square ones.
    """
    wcs = _coordinates(header, path)
    y, x = np.indices((sky.npix, sky.npix), float)
    radial, east, north = _directions(wcs, x, y)
    along_x, along_y = (
        _directions(wcs, x + dx / 2, y + dy / 2)[0] - _directions(wcs, x - dx / 2, y - dy / 2)[0]
        for dx, dy in ((1, 0), (0, 1))
    )
    if not (np.isfinite(along_x).all() and np.isfinite(along_y).all()):
        raise LensingError(f"{path} has pixels that are not on the sky by its coordinates")
    _refuse_other_pixels(along_x, along_y, sky, path)
    centre = (sky.npix // 2, sky.npix // 2)
    # Seen from inside, east, north and outwards are right-handed; a map that is not is mirrored.
    mirrored = bool(_dot(np.cross(along_x, along_y), radial)[centre] < 0)
    upside_down = bool(_dot(along_y, north)[centre] < 0)
    flip_x, flip_y = mirrored != upside_down, upside_down
    sign = -1 if flip_y else 1
    angle = np.arctan2(sign * _dot(along_y, east), sign * _dot(along_y, north))
    frame = SkyFrame(flip_y, flip_x, angle, wcs.to_header())
    return dataclasses.replace(frame, position_angle=frame.flipped(angle))


def refuse_other_place(header: Any, frame: SkyFrame, sky: FlatSky, path: Path) -> None:
    """Refuses an image whose pixels are not those of the maps, if its header says where they are.

    Args:
      header: astropy's, of an image of sky.npix pixels on a side.
      frame: of the maps.
      sky: the patch.
      path: the image's file, for messages.

    Raises:
      LensingError: its pixels are elsewhere on the sky, or in another order.
    """
    from astropy.wcs import WCS

    if "CTYPE1" not in header or not WCS(header, naxis=2).has_celestial:
        return
    y, x = np.indices((sky.npix, sky.npix), float)
    ours, theirs = (
        _directions(_coordinates(cards, path), x, y)[0] for cards in (frame.header, header)
    )
    off = float(np.linalg.norm(ours - theirs, axis=-1).max()) / sky.pixel
    if not off <= _SAME_PIXEL:
        raise LensingError(
            f"{path} has pixels that are up to {off:.3g} pixels from those of the maps by its "
            "coordinates: reproject it onto them, axes in the same order and sense"
        )


def _coordinates(header: Any, path: Path) -> Any:
    """Astropy's WCS of the first two axes."""
    from astropy.wcs import WCS, WcsError

    try:
        wcs = WCS(header, naxis=2)
        wcs.wcs.set()
    except (WcsError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise LensingError(f"{path} has coordinates that say nothing: {reason}") from error
    if not wcs.has_celestial:
        raise LensingError(
            f"{path} has no celestial coordinates (CTYPE1, CTYPE2, ...), which say how large its "
            "pixels are and which way they run: write them, or give the maps as .npy"
        )
    return wcs


def _refuse_other_pixels(along_x: NDArray, along_y: NDArray, sky: FlatSky, path: Path) -> None:
    sizes = [np.linalg.norm(along, axis=-1) for along in (along_x, along_y)]
    middle = sky.npix // 2
    shown = " x ".join(f"{math.degrees(size[middle, middle]) * 60:.4g}" for size in sizes)
    wanted = f"{math.degrees(sky.pixel) * 60:.4g}'"
    worst = max(float(np.abs(size / sky.pixel - 1).max()) for size in sizes)
    if not worst <= TOLERANCE:
        raise LensingError(
            f"{path} has pixels of {shown} arcmin in its middle, off {wanted} by up to "
            f"{worst:.1%} somewhere: must be squares of {wanted} to {TOLERANCE:.0%} everywhere; "
            "project the map, as onto equal-area pixels centred on the patch (ZEA), or choose "
            "another --dataset"
        )
    skew = float(np.abs(_dot(along_x, along_y) / (sizes[0] * sizes[1])).max())
    if not skew <= TOLERANCE:
        raise LensingError(
            f"{path} has axes that are {math.degrees(math.asin(skew)):.2g} degrees off a right "
            "angle: project the map, as onto equal-area pixels centred on the patch (ZEA)"
        )


def _directions(
    wcs: Any, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Outward, eastward and northward unit vectors at pixels, (..., 3) each."""
    world = wcs.wcs_pix2world(x, y, 0)
    lon, lat = (np.radians(world[axis]) for axis in (wcs.wcs.lng, wcs.wcs.lat))
    radial = (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))
    east = (-np.sin(lon), np.cos(lon), np.zeros_like(lon))
    north = (-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat))
    outward, eastward, northward = (np.stack(v, axis=-1) for v in (radial, east, north))
    return outward, eastward, northward


def _dot(one: NDArray, two: NDArray) -> NDArray[np.float64]:
    return np.einsum("...i,...i->...", one, two)
