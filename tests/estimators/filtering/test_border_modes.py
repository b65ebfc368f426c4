"""Modes in a border of zeros, for the filter of T."""

import dataclasses
import warnings

import numpy as np
import pytest

from estimators.filtering.border_modes import BorderModes
from estimators.filtering.conjugate_gradients import solve
from estimators.filtering.masked_patch import MaskedPatch
from estimators.filtering.planes import planes_of
from estimators.filtering.wiener_filter import WienerFilter
from estimators.quadratic.observation import Observation
from lensing_tfds.sky import spectra
from lensing_tfds.sky.flat_sky import FlatSky

TABLE = spectra.fiducial()
DEPTH = np.radians(6.0 / 60) ** 2  # µK² sr, a tenth of v15's power: fewer steps without a border

ZEROS = {  # rows and columns that are zero
    "rows": (range(5, 13), ()),
    "columns": ((), range(5, 13)),
    "across the edge": ((*range(4), *range(-4, 0)), range(-3, 2)),
}


def problem(npix, rows, columns, uneven=False):
    """Planes of T, and its system of white modes, written down again."""
    sky = FlatSky(npix, np.radians(npix * 4 / 60))
    mask = np.ones((npix, npix))
    mask[list(rows)] = 0
    mask[:, list(columns)] = 0
    red = DEPTH * (1 + (np.maximum(sky.ell, sky.fundamental) / 700) ** -3.0)
    variance = 1 + 0.5 * np.random.default_rng(5).uniform(size=mask.shape) if uneven else None
    patch = MaskedPatch(sky, mask, {"T": red}, variance, "maps")
    planes = planes_of(patch, patch.observation(Observation(sky, TABLE, 2.0)), "T")
    signal, root, inverse_noise = patch.seen().signal, planes.roots[0], planes.inverse_noise

    def system(modes):
        seen = sky.to_modes(signal * sky.to_map(root * modes))
        return modes + root * sky.to_modes(signal * sky.to_map(inverse_noise * seen))

    return patch, planes, system


def white(patch, number=3, seed=0):
    sky = patch.sky
    return sky.to_modes(np.random.default_rng(seed).standard_normal((number, sky.npix, sky.npix)))


def product(sky, one, other):
    return np.sum(sky.mode_counts * (one * other.conj()).real, axis=(-2, -1))


@pytest.mark.parametrize("npix", [40, 39])
@pytest.mark.parametrize("zeros", ["rows", "columns"])
def test_in_one_strip_it_is_the_inverse_of_the_system(zeros, npix):
    """Z (Zᵗ A Z)⁻¹ Zᵗ A leaves each of Z as it is; singular values of a block reach 1e-6."""
    patch, planes, system = problem(npix, *ZEROS[zeros])
    border = planes.border
    assert len(border.strips) == 1 and border.crossing is None
    within = border(white(patch))
    assert np.abs(within).max() > 0
    np.testing.assert_allclose(border(system(within)), within, atol=1e-6 * np.abs(within).max())
    sines = np.fft.ifft(border.strips[0].across).real
    seen = np.any(patch.mask > 0, axis=1 if zeros == "rows" else 0)
    assert np.abs(sines[:, seen]).max() < 1e-12 and np.abs(sines[:, ~seen]).max() > 0.1


@pytest.mark.parametrize("npix", [40, 39])
def test_where_strips_cross_it_is_the_inverse_of_the_system(npix):
    patch, planes, system = problem(npix, *ZEROS["across the edge"], uneven=True)
    crossing = dataclasses.replace(planes.border, strips=())
    within = crossing(white(patch))
    assert np.abs(within).max() > 0
    np.testing.assert_allclose(crossing(system(within)), within, atol=1e-6 * np.abs(within).max())


@pytest.mark.parametrize("npix", [40, 39])
@pytest.mark.parametrize("zeros", ZEROS)
def test_it_is_symmetric_and_not_negative(zeros, npix):
    """As conjugate gradients need it, between any two maps."""
    patch, planes, _ = problem(npix, *ZEROS[zeros], uneven=True)
    sky, one, other = patch.sky, white(patch), white(patch, seed=1)
    products = [product(sky, one, planes.border(other)), product(sky, planes.border(one), other)]
    np.testing.assert_allclose(*products, rtol=1e-9, atol=1e-9 * np.abs(products).max())
    assert np.all(product(sky, one, planes.border(one)) > 0)


def test_the_preconditioner_is_the_inverse_of_the_diagonal():
    patch, planes, system = problem(24, *ZEROS["across the edge"], uneven=True)
    for place in ((0, 1), (3, 0), (-2, 5), (7, 11)):
        unit = np.zeros((1, *patch.sky.ell.shape), complex)
        unit[0][place] = 1
        if place[1] == 0:
            unit[0, -place[0], 0] = 1  # its mirror image
        whole = product(patch.sky, unit, system(unit)) / product(patch.sky, unit, unit)
        pair = unit * 1j if place[1] else unit * np.sign(np.arange(24) - 12)[:, None] * 1j
        other = product(patch.sky, pair, system(pair)) / product(patch.sky, pair, pair)
        # A real wave's and its partner's: between them the two have the diagonal of l and -l.
        mean = (whole[0] + other[0]) / 2
        assert mean == pytest.approx(1 / planes.preconditioner[0][place], rel=1e-9)


def test_far_fewer_steps_are_needed_with_it():
    """To a residual of 1e-5 of the same norm's: 5 times fewer on this patch."""
    patch, planes, system = problem(64, (*range(6), *range(-6, 0)), (*range(6), *range(-6, 0)))
    right, sky = system(white(patch)), patch.sky
    diagonal = planes.preconditioner[0]

    def steps(precondition):
        def dot(one, other):
            return product(sky, one, other)

        solution = solve(system, right, precondition, dot, 1e-5, 1000)
        exact = white(patch)
        off = np.sqrt(dot(solution.x - exact, solution.x - exact) / dot(exact, exact))
        return solution.steps, off.max()

    alone, _ = steps(lambda x: diagonal * x)
    both, off = steps(lambda x: diagonal * x + planes.border(x))
    assert off < 1e-2  # in the eigenvalues that are still the smallest
    assert both < alone / 2


def test_deep_maps_are_solved_in_single_precision():
    """Of T at 0.3 µK' the border's modes span six orders of power, which float32 does not hold."""
    npix, zeros = 40, (*range(5), *range(-5, 0))
    sky, mask = FlatSky(npix, np.radians(npix * 2.34 / 60)), np.ones((npix, npix))
    mask[list(zeros)] = mask[:, list(zeros)] = 0
    noise = np.full(sky.ell.shape, np.radians(0.3 / 60) ** 2)
    patch = MaskedPatch(sky, mask, {"T": noise}, None, "maps")
    observation = patch.observation(Observation(sky, TABLE, 1.0))
    single = WienerFilter(patch, observation, "T", most_steps=20)
    maps = sky.to_map(single.planes[0].roots[0] * white(patch)) * npix * mask
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        single.fields(maps[..., None])


def test_there_is_none_without_zeros_or_where_all_is_noise():
    patch, planes, _ = problem(40, (), ())
    assert planes.border is None
    loud = dataclasses.replace(patch, mask=problem(40, *ZEROS["rows"])[0].mask)
    assert BorderModes.of(loud, planes.roots[0], planes.inverse_noise) is not None
    assert BorderModes.of(loud, planes.roots[0], planes.inverse_noise / 1e6) is None
