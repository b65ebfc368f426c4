"""Arrays in files of NumPy and FITS, which stay on the disk until they are looked at."""

from __future__ import annotations

import contextlib
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError


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
      LensingError: it is none, or cannot be read.
    """
    with naming(path):
        with open(path, "rb") as file:
            if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
                raise LensingError(f"cannot read {path}: it is not a .npy file")
        return np.load(path, mmap_mode="r", allow_pickle=False)


@contextlib.contextmanager
def open_fits(path: Path) -> Iterator[Any]:
    """Yields the list of HDUs of a FITS file, astropy's.

    Raises:
      LensingError: astropy is not installed.
    """
    fits = fits_of(path)
    from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)  # whoever cannot read it says so
        with fits.open(path, memmap=True) as hdus:
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
