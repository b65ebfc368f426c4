"""Sums over the fine pixels around displaced points: `nufft`'s compiled inner loops."""

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.sky.compiled import compiled
from lensing_tfds.sky.kaiser_bessel import AFTER, BEFORE, TAPS

Floats = NDArray[np.float32]


@compiled()
def gather(
    grids: Floats,
    side: int,
    shift_y: Floats,
    shift_x: Floats,
    to_fine_pixels: np.float32,
    taps: Floats,
    values: Floats,
) -> None:
    """Evaluates fields at displaced pixels, row by row.

    Args:
      grids: the fields on the fine grid, with margins, shape (fields, batch, side * side).
      side: of the fine grid, with margins.
      shift_y: displacements along y, shape (batch, npix, npix).
      shift_x: the same along x.
      to_fine_pixels: the factor that takes displacements to fine pixels.
      taps: the kernel's polynomials, shape (degree + 1, taps).
      values: the result, shape (fields, batch, npix, npix).
    """
    npix = values.shape[2]
    fine = side - BEFORE - AFTER
    # Where pixel i is on the fine grid: whole fine pixels, and the rest to full precision.
    whole, rest = np.empty(npix, np.float32), np.empty(npix, np.float32)
    for i in range(npix):
        whole[i] = i * fine // npix
        rest[i] = np.float32(i * fine % npix) / np.float32(npix)
    corner = np.empty(npix, np.int64)
    z_y, z_x = np.empty(npix, np.float32), np.empty(npix, np.float32)
    weights_y = np.empty((TAPS, npix), np.float32)
    for example in range(values.shape[1]):
        for row in range(npix):
            locate(
                example, row, shift_y, shift_x, to_fine_pixels, whole, rest, fine, corner, z_y, z_x
            )
            _weigh(z_y, taps, weights_y)
            # Fields that are summed together share their weights along x; three are the most.
            if len(values) == 1:
                _sum_taps(
                    grids[0, example], side, corner, z_x, weights_y, taps, values[0, example, row]
                )
            elif len(values) == 2:
                first, second = grids[0, example], grids[1, example]
                out = values[:, example, row]
                _sum_taps_of_two(first, second, side, corner, z_x, weights_y, taps, out)
            else:
                first, second, third = grids[0, example], grids[1, example], grids[2, example]
                out = values[:, example, row]
                _sum_taps_of_three(first, second, third, side, corner, z_x, weights_y, taps, out)


@compiled("contract")
def locate(
    example: int,
    row: int,
    shift_y: Floats,
    shift_x: Floats,
    to_fine_pixels: np.float32,
    whole: Floats,
    rest: Floats,
    fine: int,
    corner: NDArray[np.int64],
    z_y: Floats,
    z_x: Floats,
) -> None:
    """Finds the first tap of each point of a row in the flat grid, and z along both axes.

    Periods are taken off by a rounded quotient, which at a multiple of the size may be one too
    small: what is left is then the size itself, and the comparison of whole numbers finds it.
    """
    size, per_size = np.float32(fine), np.float32(1 / fine)
    one, two = np.float32(1), np.float32(2)
    first, period = np.int32(0), np.uint32(fine)
    stride = np.int32(fine + BEFORE + AFTER)
    for i in range(len(whole)):
        y = rest[row] + shift_y[example, row, i] * to_fine_pixels
        x = rest[i] + shift_x[example, row, i] * to_fine_pixels
        floor_y, floor_x = np.floor(y), np.floor(x)
        z_y[i] = two * (y - floor_y) - one
        z_x[i] = two * (x - floor_x) - one
        floor_y += whole[row]
        floor_x += whole[i]
        pixel_y = np.int32(floor_y - size * np.floor(floor_y * per_size))  # periodic
        pixel_x = np.int32(floor_x - size * np.floor(floor_x * per_size))
        # Whatever the displacement, NaN even, nothing outside the grid is read.
        pixel_y = pixel_y if np.uint32(pixel_y) < period else first
        pixel_x = pixel_x if np.uint32(pixel_x) < period else first
        corner[i] = np.int64(pixel_y * stride + pixel_x)


@compiled("contract")
def _weigh(z: Floats, taps: Floats, weights: Floats) -> None:
    """Evaluates the kernel at the taps of each point; weights have shape (taps, points)."""
    for tap in range(TAPS):
        c_0, c_1, c_2, c_3 = taps[0, tap], taps[1, tap], taps[2, tap], taps[3, tap]
        c_4, c_5, c_6 = taps[4, tap], taps[5, tap], taps[6, tap]
        for i in range(len(z)):
            p = ((c_6 * z[i] + c_5) * z[i] + c_4) * z[i] + c_3
            weights[tap, i] = ((p * z[i] + c_2) * z[i] + c_1) * z[i] + c_0


@compiled("contract", "reassoc", "nsz")
def _sum_taps(
    grid: Floats,
    side: int,
    corner: NDArray[np.int64],
    z_x: Floats,
    weights_y: Floats,
    taps: Floats,
    values: Floats,
) -> None:
    """Sums the fine pixels around each point of a row, weighted by the kernel along both axes.

    The taps along x stand in the lanes of one SIMD register, from the polynomials to the sum. The
    indices are unsigned: negative ones, which count from the end, would have to be looked for.
    """
    stride = np.uint64(side)
    for i in range(len(values)):
        z = z_x[i]
        row_0 = np.uint64(corner[i])
        row_1 = row_0 + stride
        row_2 = row_1 + stride
        row_3 = row_2 + stride
        row_4 = row_3 + stride
        row_5 = row_4 + stride
        row_6 = row_5 + stride
        row_7 = row_6 + stride
        total = np.float32(0)
        for tap in range(np.uint64(TAPS)):
            p = ((taps[6, tap] * z + taps[5, tap]) * z + taps[4, tap]) * z + taps[3, tap]
            weight_x = ((p * z + taps[2, tap]) * z + taps[1, tap]) * z + taps[0, tap]
            total += weight_x * (
                weights_y[0, i] * grid[row_0 + tap]
                + weights_y[1, i] * grid[row_1 + tap]
                + weights_y[2, i] * grid[row_2 + tap]
                + weights_y[3, i] * grid[row_3 + tap]
                + weights_y[4, i] * grid[row_4 + tap]
                + weights_y[5, i] * grid[row_5 + tap]
                + weights_y[6, i] * grid[row_6 + tap]
                + weights_y[7, i] * grid[row_7 + tap]
            )
        values[i] = total


@compiled("contract", "reassoc", "nsz")
def _sum_taps_of_two(
    first: Floats,
    second: Floats,
    side: int,
    corner: NDArray[np.int64],
    z_x: Floats,
    weights_y: Floats,
    taps: Floats,
    values: Floats,
) -> None:
    """`_sum_taps` of two fields at once; the values have shape (2, points)."""
    stride = np.uint64(side)
    for i in range(values.shape[1]):
        z, row, weights = z_x[i], np.uint64(corner[i]), _column(weights_y, i)
        of_first, of_second = np.float32(0), np.float32(0)
        for tap in range(np.uint64(TAPS)):
            weight_x = _weight(z, taps, tap)
            of_first += weight_x * _along_y(first, row + tap, stride, weights)
            of_second += weight_x * _along_y(second, row + tap, stride, weights)
        values[0, i], values[1, i] = of_first, of_second


@compiled("contract", "reassoc", "nsz")
def _sum_taps_of_three(
    first: Floats,
    second: Floats,
    third: Floats,
    side: int,
    corner: NDArray[np.int64],
    z_x: Floats,
    weights_y: Floats,
    taps: Floats,
    values: Floats,
) -> None:
    """`_sum_taps` of three fields at once; the values have shape (3, points)."""
    stride = np.uint64(side)
    for i in range(values.shape[1]):
        z, row, weights = z_x[i], np.uint64(corner[i]), _column(weights_y, i)
        of_first, of_second, of_third = np.float32(0), np.float32(0), np.float32(0)
        for tap in range(np.uint64(TAPS)):
            weight_x = _weight(z, taps, tap)
            of_first += weight_x * _along_y(first, row + tap, stride, weights)
            of_second += weight_x * _along_y(second, row + tap, stride, weights)
            of_third += weight_x * _along_y(third, row + tap, stride, weights)
        values[0, i], values[1, i], values[2, i] = of_first, of_second, of_third


@compiled("contract", "reassoc", "nsz")
def _weight(z: np.float32, taps: Floats, tap: np.uint64) -> np.float32:
    """The kernel at one tap."""
    p = ((taps[6, tap] * z + taps[5, tap]) * z + taps[4, tap]) * z + taps[3, tap]
    return ((p * z + taps[2, tap]) * z + taps[1, tap]) * z + taps[0, tap]


@compiled()
def _column(weights: Floats, i: int) -> tuple[np.float32, ...]:
    """The eight weights along y of a point."""
    return (
        weights[0, i],
        weights[1, i],
        weights[2, i],
        weights[3, i],
        weights[4, i],
        weights[5, i],
        weights[6, i],
        weights[7, i],
    )


@compiled("contract", "reassoc", "nsz")
def _along_y(
    grid: Floats, top: np.uint64, stride: np.uint64, weights: tuple[np.float32, ...]
) -> np.float32:
    """The eight fine pixels from `top` on along y, weighted."""
    return (
        weights[0] * grid[top]
        + weights[1] * grid[top + stride]
        + weights[2] * grid[top + np.uint64(2) * stride]
        + weights[3] * grid[top + np.uint64(3) * stride]
        + weights[4] * grid[top + np.uint64(4) * stride]
        + weights[5] * grid[top + np.uint64(5) * stride]
        + weights[6] * grid[top + np.uint64(6) * stride]
        + weights[7] * grid[top + np.uint64(7) * stride]
    )


@compiled()
def spread(
    values: Floats,
    side: int,
    shift_y: Floats,
    shift_x: Floats,
    to_fine_pixels: np.float32,
    taps: Floats,
    grids: Floats,
) -> None:
    """Adds values at displaced pixels to the fine pixels around them: the transpose of `gather`.

    Arguments as of `gather`, from whose results to the fields it goes: `grids` is added to.
    """
    npix = values.shape[2]
    fine = side - BEFORE - AFTER
    whole, rest = np.empty(npix, np.float32), np.empty(npix, np.float32)
    for i in range(npix):
        whole[i] = i * fine // npix
        rest[i] = np.float32(i * fine % npix) / np.float32(npix)
    corner = np.empty(npix, np.int64)
    z_y, z_x = np.empty(npix, np.float32), np.empty(npix, np.float32)
    weights_y = np.empty((TAPS, npix), np.float32)
    for example in range(values.shape[1]):
        for row in range(npix):
            locate(
                example, row, shift_y, shift_x, to_fine_pixels, whole, rest, fine, corner, z_y, z_x
            )
            _weigh(z_y, taps, weights_y)
            for field in range(len(values)):
                _add_taps(
                    values[field, example, row],
                    side,
                    corner,
                    z_x,
                    weights_y,
                    taps,
                    grids[field, example],
                )


@compiled("contract", "reassoc", "nsz")
def _add_taps(
    values: Floats,
    side: int,
    corner: NDArray[np.int64],
    z_x: Floats,
    weights_y: Floats,
    taps: Floats,
    grid: Floats,
) -> None:
    """The transpose of `_sum_taps`."""
    stride = np.uint64(side)
    along_x = np.empty(TAPS, np.float32)
    for i in range(len(values)):
        value, z = values[i], z_x[i]
        for tap in range(np.uint64(TAPS)):
            along_x[tap] = value * _weight(z, taps, tap)
        row = np.uint64(corner[i])
        for step in range(np.uint64(TAPS)):
            weight_y = weights_y[step, i]
            for tap in range(np.uint64(TAPS)):
                grid[row + tap] += weight_y * along_x[tap]
            row += stride
