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
    re, im = ops.fft2((modes[0], -modes[1]))
    return re, -im


def maps_of(fields: Sequence[Modes]) -> list[Any]:
    """Returns the maps of real fields, two by one transform, each (n, npix, npix)."""
    maps: list[Any] = []
    for number in range(0, len(fields), 2):
        (re, im), *other = fields[number : number + 2]
        for other_re, other_im in other:
            re, im = re - other_im, im + other_re
        maps += to_maps((re, im))[: 1 + len(other)]
    return maps


def times(factor: Any, modes: Modes) -> Modes:
    """Returns modes times real factors, which may be an array."""
    if isinstance(factor, np.ndarray):
        factor = as_tensor(factor)
    return factor * modes[0], factor * modes[1]


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


def resized(modes: Modes, npix: int) -> Modes:
    """Copies modes to another grid's plane, without either grid's Nyquist lines."""
    top = (min(modes[0].shape[-1], npix) - 1) // 2
    zeros = npix - 2 * top - 1

    def along(x: Any, axis: int) -> Any:
        before = (slice(None),) * axis
        low, high = x[*before, : top + 1], x[*before, x.shape[axis] - top :]
        padding = [(0, zeros if i == axis else 0) for i in range(3)]
        return ops.concatenate([ops.pad(low, padding), high], axis=axis)

    re, im = (along(along(x, 1), 2) for x in modes)
    return re, im
