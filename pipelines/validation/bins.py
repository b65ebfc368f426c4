"""The sets of Fourier modes in which a dataset's spectra are measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky

LOWEST = 100.0
"""Multipole at which the rings begin: below, a patch has too few modes to say much."""

HIGHEST = 0.9
"""End of the rings, as a share of the Nyquist multipole: beyond, they are not whole for long."""


def rings(sky: FlatSky, at_most: int, lowest: float = LOWEST) -> Bins:
    """Returns whole rings around l = 0, from `lowest` to `HIGHEST` of the Nyquist multipole.

    Where that is nothing much, on large pixels, they begin at a quarter of their end.

    Their edges lie halfway between whole multiples of the fundamental multipole; the width grows
    with l, and is one fundamental at least. Rounding decides nowhere: squared radii are whole
    numbers, and squared edges are not.

    Args:
      sky: the patch.
      at_most: how many rings there may be, 2 or more.
      lowest: a multipole.
    """
    high = HIGHEST * sky.npix / 2
    low = max(min(lowest / sky.fundamental, high / 4), 1.0)
    edges = _edges(low, high, 0.0)
    for relative_width in np.geomspace(0.01, 10, 100):
        edges = _edges(low, high, relative_width)
        if len(edges) <= at_most + 1:
            break
    index = np.searchsorted(edges, sky.ell / sky.fundamental) - 1
    index[index == len(edges) - 1] = -1
    return compact(index, sky)


def nyquist_lines(sky: FlatSky) -> Bins | None:
    """Returns the row and the column at the Nyquist frequency of an even grid, as two bins.

    The mode that is on both belongs to the column.
    """
    if sky.npix % 2:
        return None
    index = np.full(sky.ell.shape, -1)
    index[sky.npix // 2, :] = 0
    index[:, -1] = 1
    return Bins(index, sky, 2)


def beyond(sky: FlatSky, lmax: float) -> Bins:
    """Returns all modes in two bins: those up to a multipole and those above it."""
    index = (sky.ell > lmax).astype(np.int64)
    index[0, 0] = -1  # not the mean
    return Bins(index, sky, 2)


def _edges(low: float, high: float, relative_width: float) -> NDArray[np.float64]:
    edges = [np.ceil(low) - 0.5]
    while True:
        edge = edges[-1] + max(1, round(relative_width * edges[-1]))
        if edge > high:
            break
        edges.append(edge)
    last = np.floor(high - 0.5) + 0.5
    if len(edges) > 1 and last - edges[-1] < 0.5 * (edges[-1] - edges[-2]):
        edges.pop()  # no narrow ring at the end
    if last > edges[-1]:
        edges.append(last)
    return np.array(edges)


def compact(index: NDArray, sky: FlatSky) -> Bins:
    """Returns bins of given numbers, -1 for none, without those that no mode has."""
    found = np.unique(index[index >= 0])
    return Bins(np.where(index >= 0, np.searchsorted(found, index), -1), sky, len(found))
