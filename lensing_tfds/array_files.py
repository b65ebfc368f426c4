"""Arrays in files of NumPy and FITS, which stay on the disk until they are looked at."""

from __future__ import annotations

import contextlib
import os
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError

_UNNAMED_ARRAY = "arr_0"  # NumPy's, of an array that was given no name
_UNNAMED_IMAGES = ("", "PRIMARY", "COMPRESSED_IMAGE")  # astropy's, likewise


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Names the file that cannot be read.

    Raises:
      LensingError: the block could not read it; the message holds its path and the reason.
    """
    try:
        yield
    except LensingError:
        raise
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or error
        raise LensingError(f"cannot read {path}: {reason}") from error


def read_npy(path: Path) -> NDArray:
    """Maps a .npy file into memory.

    Raises:
      LensingError: it is none, cannot be read, or goes on after its array.
    """
    with naming(path):
        with open(path, "rb") as file:
            if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
                raise LensingError(f"cannot read {path}: it is not a .npy file")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        further = os.path.getsize(path) - (array.offset + array.nbytes)
        if further > 0:
            raise LensingError(
                f"{path} goes on for {further:,} bytes after its array of shape {array.shape}: "
                "write one array, by one np.save"
            )
        return array


def named_array(path: Path, names: tuple[str, ...]) -> NDArray:
    """Reads the array of a .npy file; of a .npz file the one of some names, or without a name.

    Any other may be anything: κ, or the maps before they were lensed.

    Raises:
      LensingError: it cannot be read; or there is no such array, or more than one.
    """
    if path.suffix.lower() == ".npy":
        return read_npy(path)
    # NumPy leaves a file open that it cannot read.
    with naming(path), open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        if not hasattr(arrays, "files"):
            raise LensingError(f"cannot read {path}: it is not a .npz file")
        found = [name for name in names if name in arrays.files]
        found = found or [name for name in arrays.files if name == _UNNAMED_ARRAY]
        if len(found) != 1:
            raise LensingError(
                f"{path} holds {', '.join(arrays.files) or 'nothing'}: one array, and no other, "
                f"must be named {' or '.join(names)}"
            )
        array: NDArray = arrays[found[0]]
        return array


@contextlib.contextmanager
def open_fits(path: Path, memmap: bool = True) -> Iterator[Any]:
    """Yields the list of HDUs of a FITS file, astropy's.

    Args:
      path: the file.
      memmap: whether images stay on the disk, of which scaled ones (BSCALE, BLANK) cannot be read.

    Raises:
      LensingError: astropy is not installed.
    """
    fits = fits_of(path)
    from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)  # whoever cannot read it says so
        with fits.open(path, memmap=memmap) as hdus:
            yield hdus


def fits_of(path: Path) -> Any:
    """Returns astropy's module of FITS files, for a file that needs it.

    Raises:
      LensingError: astropy is not installed.
    """
    try:
        from astropy.io import fits
    except ImportError as error:
        raise LensingError(
            f"{path} needs astropy, which is not installed: pip install 'lensing-tfds[fits]'"
        ) from error
    return fits


def named_image(hdus: Any, path: Path, names: tuple[str, ...]) -> Any:
    """Returns the HDU whose image has one of some names, or the one whose image has no name.

    Any other may be anything: κ, or the inverse variance of pixels.

    Args:
      hdus: astropy's, of the file.
      path: the file, for the message.
      names: which.

    Raises:
      LensingError: there is no such image, or more than one.
    """
    images = [(hdu.name.upper(), hdu) for hdu in hdus if hdu.is_image and hdu.shape]
    if not images:
        raise LensingError(
            f"{path} holds no image: HEALPix maps must be projected onto a flat patch"
        )
    wanted = [name.upper() for name in names]
    found = [hdu for name, hdu in images if name in wanted]
    found = found or [hdu for name, hdu in images if name in _UNNAMED_IMAGES]
    if len(found) != 1:
        listed = (
            name if name not in _UNNAMED_IMAGES else "one without a name" for name, _ in images
        )
        raise LensingError(
            f"{path} holds the images {', '.join(listed)}: one, and no other, must be named "
            f"{' or '.join(wanted)} (EXTNAME)"
        )
    return found[0]
