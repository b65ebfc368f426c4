"""Band powers of periodic flat patches by NaMaster, where it is installed.

NaMaster's flat-sky code (Alonso et al. 2019, arXiv:1809.09603, section 2.5 and equation 42)
counts every mode of the grid once. A periodic patch has a mask of ones, whose mode-coupling matrix
is the identity: the coupled spectrum *is* the spectrum. The matrix (npix⁴ operations) is never
needed.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky.flat_sky import FlatSky


def version() -> str | None:
    """Returns the version of NaMaster that is installed; None if it is not, or cannot be loaded."""
    return None if _library() is None else importlib.metadata.version("pymaster")


def band_powers(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    sky: FlatSky,
    edges: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Measures the spectra of pairs of maps, one pair after the other.

    Args:
      first: (n, npix, npix) maps, [iy, ix].
      second: the maps to correlate with them, same shape.
      sky: the patch.
      edges: (num_bands + 1,) multipoles, none of them a mode's own |l|, where rounding would decide
        which band the mode falls in.

    Returns:
      (3, n, num_bands) float64: the spectra of the first maps, the cross-spectra, and those of the
      second maps.

    Raises:
      ImportError: NaMaster is not installed.
    """
    nmt = _library()
    if nmt is None:
        raise ImportError("NaMaster is not installed: pip install pymaster")
    # On small maps NaMaster's OpenMP threads do little but wait for each other: on a busy machine
    # that makes them ten times slower than one thread. NaMaster itself offers no way to say so.
    ctypes.CDLL(nmt.nmtlib._nmtlib.__file__).omp_set_num_threads(1)
    binning = nmt.NmtBinFlat(edges[:-1], edges[1:])
    mask = np.ones((sky.npix, sky.npix))
    powers = np.empty((3, len(first), len(edges) - 1))
    for row, pair in enumerate(zip(first, second, strict=True)):
        a, b = (
            nmt.NmtFieldFlat(
                sky.side, sky.side, mask, [image.astype(np.float64)], masked_on_input=True
            )
            for image in pair
        )
        for column, (x, y) in enumerate(((a, a), (a, b), (b, b))):
            powers[column, row] = nmt.compute_coupled_cell_flat(x, y, binning)[0]
    return powers


def _library() -> ModuleType | None:
    """NaMaster itself, imported when spectra are measured: who draws or reads them needs none."""
    try:
        import pymaster
    except ImportError:  # not there, or without the system's libraries that it was linked to
        return None
    return pymaster
