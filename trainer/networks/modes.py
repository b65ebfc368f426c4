"""Fields between layers: `Modes`, their transforms and their arithmetic, on any backend.

Modes are the whole plane in FFT order, normalised as by `FlatSky.to_modes`, real and imaginary part
as two tensors (n, npix, npix). Two real maps share one complex transform, as the real and the
imaginary part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

Modes = tuple[Any, Any]


def as_tensor(values: NDArray) -> Any:
    """Makes an array a tensor: PyTorch multiplies no array by a tensor."""
    return ops.convert_to_tensor(np.asarray(values, np.float32))


def to_modes(maps: Modes) -> Modes:
    """Returns the modes of a complex map, given as two real ones."""
    re, im = ops.fft2(maps)
    norm = 1.0 / (re.shape[-1] * re.shape[-2])
    return norm * re, norm * im


def to_maps(modes: Modes) -> Modes:
    """Returns the complex map of modes, as two real ones: the inverse of `to_modes`."""
    re, im = modes
    im, re = ops.fft2((im, re))  # parts that change places turn the transform's sign round
    return re, im


def maps_of(fields: Sequence[Modes], npix: int | None = None) -> list[Any]:
    """Returns the maps of real fields, two by one transform.

    Args:
      fields: whole planes in FFT order.
      npix: of the maps; the fields are then as of `centred`.

    Returns:
      Shape (n, npix, npix) each.
    """
    maps: list[Any] = []
    for number in range(0, len(fields), 2):
        both, *other = fields[number : number + 2]
        for other_re, other_im in other:
            both = both[0] - other_im, both[1] + other_re
        maps += to_maps(both if npix is None else in_fft_order(both, npix))[: 1 + len(other)]
    return maps


def times(factor: Any, modes: Modes) -> Modes:
    """Returns modes times real factors, which may be an array."""
    if isinstance(factor, np.ndarray):
        factor = as_tensor(factor)
    return factor * modes[0], factor * modes[1]


def plus(one: Modes, other: Modes) -> Modes:
    """Returns the sum of modes."""
    return one[0] + other[0], one[1] + other[1]


def less(one: Modes, other: Modes) -> Modes:
    """Returns the difference of modes."""
    return one[0] - other[0], one[1] - other[1]


def split(mixed: Modes) -> tuple[Modes, Modes]:
    """Returns the modes of the real and of the imaginary part of a complex field's map."""
    re, im = mixed
    mirrored_re, mirrored_im = (ops.roll(ops.flip(x, (1, 2)), (1, 1), axis=(1, 2)) for x in mixed)
    real = (re + mirrored_re) / 2, (im - mirrored_im) / 2
    # i b = a - Re a
    return real, (im - real[1], real[0] - re)


def top_of(npix: int, other: int) -> int:
    """Returns the highest frequency along an axis, below Nyquist's, that two grids share."""
    return (min(npix, other) - 1) // 2


def centred(modes: Modes, top: int) -> Modes:
    """Returns the modes of frequencies −top to top along both axes, in ascending order."""
    re, im = (ops.roll(x, (top, top), axis=(1, 2))[:, : 2 * top + 1, : 2 * top + 1] for x in modes)
    return re, im


def padded(modes: Modes, npix: int) -> Modes:
    """Adds zeros behind `centred` modes, up to so many along both axes.

    The map of a grid's modes in this order is that of the modes in FFT order times
    exp(2πi top (x + y) / npix), x and y in pixels.
    """
    zeros = (0, npix - modes[0].shape[-1])
    re, im = (ops.pad(x, ((0, 0), zeros, zeros)) for x in modes)
    return re, im


def in_fft_order(modes: Modes, npix: int) -> Modes:
    """Returns `centred` modes as the whole plane, in FFT order, of a grid of so many pixels."""
    top = modes[0].shape[-1] // 2
    re, im = (ops.roll(x, (-top, -top), axis=(1, 2)) for x in padded(modes, npix))
    return re, im


def resized(modes: Modes, npix: int) -> Modes:
    """Copies modes to another grid's plane, without either grid's Nyquist lines."""
    return in_fft_order(centred(modes, top_of(modes[0].shape[-1], npix)), npix)
