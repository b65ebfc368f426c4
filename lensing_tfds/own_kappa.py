"""A person's own κ maps: files of NumPy or FITS, each of one map or several."""

import functools
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.array_files import named_array, named_image, naming, open_fits
from lensing_tfds.errors import LensingError

_NAMES = ("kappa", "KAPPA")
_FITS = (".fits", ".fit", ".fz")
_NUMPY = (".npy", ".npz")
_LARGEST = 10.0  # nothing in the sky has more κ on a pixel of a lensed map; another unit may have
_CHUNK = 2**20


class KappaFile(NamedTuple):
    """A file of κ maps, as it was when it was first looked at.

    Attributes:
      path: of the file, absolute.
      sha256: of its content.
      maps: how many it holds.
    """

    path: str
    sha256: str
    maps: int


def inspect(path: str, npix: int) -> KappaFile:
    """Reads a file of κ maps and checks all of them.

    Args:
      path: a `.npy`, `.npz` or FITS file of an array of shape (npix, npix), or (maps, npix, npix);
        where a file holds several arrays, the one that is named "kappa".
      npix: pixels on a side that the maps must have.

    Raises:
      LensingError: it cannot be read, or its maps are of another size, not finite,
        constant, or no κ.
    """
    path = os.path.abspath(os.path.expanduser(path))
    maps = _read(path, npix)
    for number, image in enumerate(maps):
        worst = np.abs(image).max()  # NaN if any is
        if not np.isfinite(worst):
            raise LensingError(f"{path}: map {number} has NaN or infinity")
        if worst > _LARGEST:
            raise LensingError(
                f"{path}: map {number} has |κ| up to {worst:.3g}, must be at most {_LARGEST:g}: is "
                "it κ, without a unit?"
            )
        if image.min() == image.max():
            raise LensingError(
                f"{path}: map {number} is {image.flat[0]:g} in every pixel: κ without its mean is "
                "zero there, and deflects nothing"
            )
    return KappaFile(path, _sha256(path), len(maps))


def load(file: KappaFile, npix: int) -> NDArray[np.floating]:
    """Opens a file that was inspected before, here or elsewhere.

    Returns:
      The maps, shape (maps, npix, npix), on the disk where the format allows it.

    Raises:
      LensingError: it cannot be read, or is not that file any more.
    """
    if not os.path.exists(file.path):
        raise LensingError(f"cannot read {file.path}: there is no such file of κ maps")
    if _sha256(file.path) != file.sha256:
        raise LensingError(
            f"{file.path} is not the file that the config was made with: its SHA-256 is "
            f"{_sha256(file.path)}, should be {file.sha256}"
        )
    return _read(file.path, npix)


def _read(path: str, npix: int) -> NDArray[np.floating]:
    suffix = Path(path).suffix.lower()
    if suffix in _NUMPY:
        maps = named_array(Path(path), _NAMES)
    elif suffix in _FITS:
        with naming(Path(path)), open_fits(Path(path), memmap=False) as hdus:
            maps = np.asarray(named_image(hdus, Path(path), _NAMES[1:]).data)
    else:
        raise LensingError(f"{path}: κ maps are read from {', '.join((*_NUMPY, *_FITS))}")
    if maps.ndim == 2:
        maps = maps[None]
    if maps.ndim != 3 or maps.shape[1:] != (npix, npix) or not len(maps):
        raise LensingError(
            f"{path} holds an array of shape {maps.shape}, must be ({npix}, {npix}), or several "
            f"such maps: the simulated box has {npix} internal pixels on a side"
        )
    if not np.issubdtype(maps.dtype, np.floating):
        raise LensingError(f"{path} holds numbers of type {maps.dtype}, must be real ones")
    return maps


def _sha256(path: str) -> str:
    with naming(Path(path)):
        status = os.stat(path)
        return _sha256_of(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _sha256_of(path: str, size: int, mtime: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
