"""Own maps from files of NumPy and FITS, and the κ estimated from them in files of the same kind.

docs/reconstruct.md has the formats.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.filtering.masked_patch import checked_mask, window_of
from estimators.own_maps.sky_frame import CONVENTIONS, SkyFrame, frame_of, refuse_other_place
from estimators.own_maps.units import MICROKELVIN, microkelvin_per
from estimators.uncertainty import Uncertainty, rings_of
from lensing_tfds import __version__
from lensing_tfds.array_files import fits_of, named_array, named_image, naming, open_fits
from lensing_tfds.config_fields.mask import SIGNAL
from lensing_tfds.configs import LENSED, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import replacing
from lensing_tfds.release import stamped

NUMPY, FITS = (".npy", ".npz"), (".fits", ".fit", ".fits.gz")

_NAMES = (LENSED, "maps")  # of the maps, which may be the only ones without a name too
_MASK = ("mask",)
_EDGE_PIXELS = 64  # that say whether maps fade as a mask does
_UNSEEN = 0.02  # of pixels said to be observed that may be zero, as of maps that are rounded
_STOKES = {1: "T", 2: "Q", 3: "U"}  # FITS's numbers of an axis STOKES


@dataclasses.dataclass(frozen=True, eq=False)
class OwnMaps:
    """Observed maps of somebody's own.

    Attributes:
      path: the file.
      maps: (n, npix, npix, channels) float32, µK, as `lensing_tfds.simulate` gives them.
      frame: where the pixels are on the sky; None where the file does not say.
      notes: what was found in the file, and what was taken for granted: names and values.
      is_one: whether the file has no axis of patches.
    """

    path: Path
    maps: NDArray[np.float32]
    frame: SkyFrame | None
    notes: tuple[tuple[str, str], ...]
    is_one: bool

    def times(self, mask: NDArray[np.floating]) -> OwnMaps:
        """Returns the maps times a mask, (npix, npix): zero where it is, whatever is there."""
        seen = mask[..., None]
        maps = np.where(seen > 0, self.maps, 0) * seen.astype(np.float32)
        return dataclasses.replace(self, maps=maps)

    def zero_where_unseen(self, config: LensingConfig) -> OwnMaps:
        """Returns the maps with zeros for NaN where the mask of a config's own maps is zero.

        Maps whose signal alone is masked hold noise there, which zeros are not: they stay.
        """
        if config.mask is None or config.mask.multiplies == SIGNAL:
            return self
        unseen = (window_of(config) == 0)[..., None] & np.isnan(self.maps)
        return dataclasses.replace(self, maps=np.where(unseen, np.float32(0), self.maps))

    def in_file_order(self, maps: NDArray) -> NDArray:
        """Returns maps (..., npix, npix) in the file's own order of pixels."""
        return maps if self.frame is None else self.frame.flipped(maps)


def read_maps(path: Path, config: LensingConfig, convention: str | None = None) -> OwnMaps:
    """Reads observed maps.

    Args:
      path: a .npy, .npz or .fits file.
      config: of the maps that are wanted: their pixels and their channels.
      convention: of Q and U in a FITS file, "COSMO" or "IAU"; None is what its header says.

    Raises:
      LensingError: the file cannot be read, or holds other maps.
    """
    if kind_of(path) == FITS:
        return _read_fits(path, config, convention)
    if convention is not None:
        raise LensingError(
            f"--polarization {convention} is for FITS files, whose axes are known on the sky: in "
            f"{path} Q > 0 is polarization along x (the last axis), U > 0 along x = y"
        )
    array = named_array(path, _NAMES)
    _refuse_other_kind(array, path)
    npix, count = config.npix, len(config.channels)
    per_patch = (npix, npix) if count == 1 and not _has_channels(array) else (npix, npix, count)
    rank = len(per_patch)
    if array.ndim not in (rank, rank + 1):
        raise _misshapen(array.shape, path, config)
    _refuse_other_size(array.shape[array.ndim - rank :][:2], path, config)
    if array.shape[array.ndim - rank :] != per_patch or array.size == 0:
        raise _misshapen(array.shape, path, config)
    with np.errstate(over="ignore"):  # what is infinite is refused as that
        maps = np.asarray(array, np.float32).reshape(-1, npix, npix, count)
    notes = (
        ("Unit", f"{MICROKELVIN}, taken for granted"),
        ("Pixels", f"{config.pixel_arcmin:.4g}′, taken for granted"),
    )
    return OwnMaps(path, maps, None, notes, array.ndim == rank)


def write_kappa(
    path: Path,
    own: OwnMaps,
    kappa: NDArray[np.floating],
    errors: Uncertainty,
    inside: NDArray[np.bool_] | None = None,
) -> None:
    """Writes estimates of κ, and how large their errors are.

    Args:
      path: a .npz file; or a .fits file, where the maps are from one.
      own: what they were made from.
      kappa: (n, npix, npix), dimensionless.
      errors: of each of them.
      inside: (npix, npix), where they hold; elsewhere the standard deviation is NaN. None is
        everywhere.

    Raises:
      LensingError: the file cannot be written.
    """
    turned = np.ascontiguousarray(own.in_file_order(kappa).astype(np.float32))
    values = turned[0] if own.is_one else turned
    std = np.full(kappa.shape[1:], errors.pixel_std, np.float32)
    if inside is not None:
        std = np.ascontiguousarray(own.in_file_order(np.where(inside, std, np.float32(np.nan))))
    spectrum = {"L": rings_of(errors.sky).ell, "error_power": errors.power}
    with replacing(path) as temporary:
        if kind_of(path) == NUMPY:
            with open(temporary, "wb") as file:
                np.savez(file, allow_pickle=False, kappa=values, kappa_std=std, **stamped(spectrum))
            return
        assert own.frame is not None, "refuse_output saw to it"
        fits, where = fits_of(path), own.frame.header
        columns = [fits.Column(name, "D", array=array) for name, array in spectrum.items()]
        primary = fits.PrimaryHDU(values, where)
        primary.header["CREATOR"] = f"lensing-tfds {__version__}"
        primary.name = "KAPPA"
        primary.header["BTYPE"] = ("KAPPA", "convergence, dimensionless")
        hdus = [
            primary,
            fits.ImageHDU(std, where, name="KAPPA_STD"),
            fits.BinTableHDU.from_columns(columns, name="ERROR_POWER"),
        ]
        fits.HDUList(hdus).writeto(temporary, overwrite=True)


def refuse_output(path: Path, maps: Path, mask: Path | None = None) -> None:
    """Refuses a file that κ cannot be written to.

    Args:
      path: the file.
      maps: that κ is estimated from.
      mask: that says where they are observed; None if there is none.

    Raises:
      LensingError: it is of another format, or one of the other two, or a folder.
    """
    if path.suffix.lower() == ".npy":
        raise LensingError(f"--output {path}: must end in .npz, which holds κ and its errors")
    if kind_of(path) == FITS and kind_of(maps) != FITS:
        raise LensingError(
            f"--output {path}: {maps} does not say where its pixels are on the sky, as a FITS file "
            "does: must end in .npz"
        )
    for name, other in (("maps", maps), ("mask", mask)):
        if other is not None and path.resolve() == other.resolve():
            raise LensingError(f"--output {path} is the file of the {name}: choose another name")
    if path.is_dir():
        raise LensingError(f"--output {path} is a folder: name a file")


def read_mask(path: Path, own: OwnMaps, config: LensingConfig) -> NDArray[np.float64] | None:
    """Reads the mask of observed maps.

    Args:
      path: a .npy, .npz or .fits file of (npix, npix) numbers from 0, masked, to 1, in the order of
        the maps' pixels.
      own: the maps.
      config: of the maps.

    Returns:
      (npix, npix), as the maps were turned; None if every pixel is observed.

    Raises:
      LensingError: it cannot be read, has another shape, is not within 0 and 1, or leaves nothing;
        it is of other pixels; or maps are zero where it says that they are observed.
    """
    header = None
    if kind_of(path) == FITS:
        with naming(path), open_fits(path, memmap=False) as hdus:
            hdu = named_image(hdus, path, _MASK)
            mask, header = np.asarray(hdu.data), hdu.header
    else:
        mask = np.asarray(named_array(path, _MASK))
    if mask.shape != (config.npix, config.npix):
        raise LensingError(
            f"{path} has shape {mask.shape}: a mask has that of a map, {config.npix} x "
            f"{config.npix}"
        )
    try:
        mask = checked_mask(mask, config.sky)
    except LensingError as error:
        raise LensingError(f"{path}: {error}") from error
    if header is not None and own.frame is not None:
        refuse_other_place(header, own.frame, config.sky, path)
    turned = own.in_file_order(mask)
    observed = turned >= 0.5
    unseen = (own.maps == 0).all(axis=-1)[:, observed].mean() if observed.any() else 0.0
    if unseen > _UNSEEN:
        raise LensingError(
            f"{unseen:.0%} of what {path} says is observed is exactly zero in {own.path}: must be "
            "1 where the sky is observed, 0 where not"
        )
    _refuse_multiplied(turned, own, path)
    return None if np.all(mask == 1) else turned


def _refuse_multiplied(mask: NDArray[np.float64], own: OwnMaps, path: Path) -> None:
    """Refuses maps that fade as a mask does: times it once more, they would be taken for others."""
    edge, middle = (mask > 0) & (mask < 0.5), mask >= 0.9
    if edge.sum() < _EDGE_PIXELS or not middle.any():
        return
    in_edge, within = (np.square(own.maps[:, where], dtype=float) for where in (edge, middle))
    shares = in_edge.mean(axis=(0, 1)) / np.maximum(within.mean(axis=(0, 1)), np.finfo(float).tiny)
    if shares.mean() < 2 * np.mean(mask[edge] ** 2):  # NaN is not
        raise LensingError(
            f"{own.path} fades as {path} does: where the mask is between 0 and a half, the power "
            f"is {shares.mean():.1%} of that inside; maps must not be multiplied by it before: "
            "divide them by it where it is not zero"
        )


def kind_of(path: Path) -> tuple[str, ...]:
    """Returns `NUMPY` or `FITS`, by a file's name.

    Raises:
      LensingError: it is neither's.
    """
    for kind in (NUMPY, FITS):
        if path.name.lower().endswith(kind):
            return kind
    raise LensingError(f"{path} must end in {', '.join((*NUMPY, *FITS[:1]))}")


def _has_channels(array: NDArray) -> bool:
    return array.ndim == 4 or (array.ndim == 3 and array.shape[-1] == 1)


def _refuse_other_kind(array: NDArray, path: Path) -> None:
    if array.dtype.kind not in "fiu":
        raise LensingError(f"{path} holds {array.dtype}: maps are real numbers, {MICROKELVIN}")


def _refuse_other_size(shape: tuple[int, ...], path: Path, config: LensingConfig) -> None:
    if shape != (config.npix, config.npix) and shape[0] == shape[-1] > 3:
        raise LensingError(
            f"{path} has maps of {shape[0]} x {shape[1]} pixels, must be {config.npix} x "
            f"{config.npix} of {config.pixel_arcmin:.4g}' (lensing/{config.name}): cut out a "
            "patch of that size; or, with --model iterated or qe, give --dataset a config of your "
            f"own with npix {shape[0]}"
        )


def _misshapen(shape: tuple[int, ...], path: Path, config: LensingConfig) -> LensingError:
    npix, channels = config.npix, config.channels
    last = "" if channels == ("T",) else f", {len(channels)}"
    hint = ""
    if len(shape) in (3, 4) and shape[-1] == shape[-2]:
        hint = "; channels are the last axis: numpy.moveaxis(maps, -3, -1)"
    elif len(shape) in (3, 4) and shape[-1] == 3 and channels == ("Q", "U"):
        hint = "; leave T out: maps[..., 1:]"
    return LensingError(
        f"{path} has shape {shape}: must be ({npix}, {npix}{last}) or (n, {npix}, {npix}{last}), "
        f"of {', '.join(channels)}{hint}"
    )


def _read_fits(path: Path, config: LensingConfig, convention: str | None) -> OwnMaps:
    with naming(path), open_fits(path, memmap=False) as hdus:
        hdu = named_image(hdus, path, _NAMES)
        data, header = np.asarray(hdu.data), hdu.header
        _refuse_other_kind(data, path)
        if data.ndim not in (2, 3, 4):
            raise LensingError(f"{path} has an image of shape {data.shape}: must have 2 to 4 axes")
        is_one = data.ndim < 4
        data = data.reshape(-1, *((1,) if data.ndim == 2 else ()), *data.shape[-3:])
        _refuse_other_size(data.shape[-2:], path, config)
        stokes = _stokes(header, data.shape[1], path)
    if len(config.channels) == 1 < len(stokes) and "CTYPE3" not in header:
        raise LensingError(
            f"{path} has {len(stokes)} maps along its third axis, of which lensing/{config.name} "
            f"wants {config.channels[0]} alone, and no name of that axis: if it is Stokes "
            "parameters, say so (CTYPE3 = STOKES); patches are a fourth axis"
        )
    if missing := [name for name in config.channels if name not in stokes]:
        raise LensingError(
            f"{path} has {', '.join(stokes)} and lacks {', '.join(missing)}, which "
            f"lensing/{config.name} is observed in"
        )
    if data.shape[-2:] != (config.npix, config.npix) or data.size == 0:
        raise LensingError(
            f"{path} has an image of shape {data.shape}: must have {config.npix} x {config.npix} "
            "pixels"
        )
    frame = frame_of(header, config.sky, path)
    unit = str(header.get("BUNIT", "")).strip()
    factor = microkelvin_per(unit, str(path)) if unit else 1.0
    maps = {
        name: frame.flipped(data[:, stokes.index(name)].astype(np.float64) * factor)
        for name in config.channels
    }
    named = "CTYPE3" if "CTYPE3" in header else "by their number"
    notes = [
        ("Unit", f"{unit} (BUNIT)" if unit else f"{MICROKELVIN}, taken for granted"),
        ("In the file", f"{', '.join(stokes)}, {named}"),
    ]
    if "Q" in maps:
        said = _convention(header, convention, path)
        maps["Q"], maps["U"] = frame.to_axes(maps["Q"], maps["U"], said)
        notes.append(("Polarization", said))
    turned = [w for flip, w in ((frame.flip_x, "west"), (frame.flip_y, "south")) if flip]
    notes.append(("Axes", f"run {' and '.join(turned)}: turned" if turned else "run north, east"))
    with np.errstate(over="ignore"):
        stacked = np.stack([maps[name] for name in config.channels], axis=-1).astype(np.float32)
    return OwnMaps(path, stacked, frame, tuple(notes), is_one)


def _stokes(header: Any, count: int, path: Path) -> list[str]:
    """The Stokes parameters along the third axis: as the header says, or by their number."""
    third, fourth = (str(header.get(name, "")).strip().upper() for name in ("CTYPE3", "CTYPE4"))
    if fourth == "STOKES" or (count > 1 and third not in ("", "STOKES")):
        raise LensingError(
            f"{path} has axes {third or 'without a name'}, {fourth or 'without a name'} beside the "
            "pixels': the third must be STOKES (CTYPE3), and patches are a fourth"
        )
    if third == "STOKES":
        first, step = header.get("CRVAL3", 1.0), header.get("CDELT3", 1.0)
        start = header.get("CRPIX3", 1.0)
        numbers = [round(first + (place + 1 - start) * step) for place in range(count)]
        return [_STOKES.get(number, f"Stokes {number}") for number in numbers]
    known = {1: ["T"], 2: ["Q", "U"], 3: ["T", "Q", "U"]}
    if count not in known:
        raise LensingError(
            f"{path} has {count} maps along its third axis: must be T, or Q and U, or T, Q and U "
            "there; patches are a fourth axis"
        )
    return known[count]


def _convention(header: Any, convention: str | None, path: Path) -> str:
    said = str(header.get("POLCCONV", header.get("POLCONV", ""))).strip().upper()
    if said not in ("", *CONVENTIONS):
        raise LensingError(f"{path} has POLCCONV {said!r}: must be {' or '.join(CONVENTIONS)}")
    if convention is not None and said not in ("", convention):
        raise LensingError(
            f"--polarization {convention}: the header of {path} says {said} (POLCCONV)"
        )
    if not (said or convention):
        raise LensingError(
            f"the header of {path} does not say the sign of U (POLCCONV): give --polarization "
            "COSMO (HEALPix's, pixell's) or --polarization IAU"
        )
    return said or str(convention)
