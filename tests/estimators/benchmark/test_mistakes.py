"""Maps that are flipped, turned, moved, negated, φ, rescaled or shuffled are told what they are."""

import re

import numpy as np
import pytest

from estimators.benchmark import mistakes
from estimators.benchmark.coarse_maps import CoarseMaps
from estimators.benchmark.mistakes import refuse_mistaken
from lensing_tfds import VERSIONS, simulate
from lensing_tfds.errors import LensingError
from tests.estimators.benchmark import estimates
from tests.estimators.benchmark.estimates import SKY, L, coarse, filtered, kappa, unbiased, wiener

KINDS = {"unbiased": unbiased, "wiener": wiener}


def refused(estimate, index=None, other=lambda index: {}):
    with pytest.raises(LensingError) as raised:
        refuse_mistaken(coarse(estimate, index), "theirs", other)
    message = str(raised.value)
    assert message.startswith("theirs: ") and "\n" not in message
    return message


def accepted(estimate):
    refuse_mistaken(coarse(estimate), "theirs", lambda index: {})


@pytest.mark.parametrize("kind", KINDS)
def test_good_and_bad_estimates_are_no_mistakes(kind):
    good = KINDS[kind]()
    accepted(good)
    accepted(1.3 * good)  # a biased estimate is scored, not refused
    accepted(good + 0.05 * np.random.default_rng(0).standard_normal(good.shape))
    accepted(filtered(good, L < 200).astype(np.float32))  # large scales alone
    accepted(filtered(good, np.exp(-((L / 300) ** 2))))  # smoothed
    accepted(good + 3.0)  # the mean of a map is no mode that is judged


@pytest.mark.parametrize("value", [0, 0.1])
def test_constant_estimates_are_no_estimates(value):
    assert "every map is constant" in refused(np.full_like(kappa(), value))


TURNS = {
    "upside down": lambda maps: maps[:, ::-1],
    "mirrored left to right": lambda maps: maps[:, :, ::-1],
    "180 degrees": lambda maps: maps[:, ::-1, ::-1],
    "transposed": lambda maps: maps.transpose(0, 2, 1),
    "90 degrees": lambda maps: np.rot90(maps, 1, axes=(1, 2)),
    "by 90 degrees": lambda maps: np.rot90(maps, -1, axes=(1, 2)),
    "other diagonal": lambda maps: maps[:, ::-1, ::-1].transpose(0, 2, 1),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turn", TURNS)
def test_a_turn_is_named_and_its_remedy_mends_it(turn, kind):
    maps = np.ascontiguousarray(TURNS[turn](KINDS[kind]()))
    message = refused(maps)
    assert turn in message
    remedy = message.partition("to mend it: ")[2]
    np.testing.assert_array_equal(eval(remedy, {"maps": maps, "np": np}), KINDS[kind]())


def test_two_mistakes_are_named_together():
    message = refused(-wiener().transpose(0, 2, 1))
    assert "−κ" in message and "transposed" in message and "multiply them by -1" in message


@pytest.mark.parametrize("kind", KINDS)
def test_the_other_sign_is_named(kind):
    assert "they are −κ; to mend it: multiply them by -1" in refused(-KINDS[kind]())


@pytest.mark.parametrize("moved", [(0, 1), (-3, 0), (5, -40)])
def test_a_shift_is_named_and_its_remedy_mends_it(moved):
    maps = np.roll(wiener(), moved, axis=(1, 2))
    remedy = refused(maps).partition("to mend it: ")[2]
    np.testing.assert_array_equal(eval(remedy, {"maps": maps, "np": np}), wiener())


def test_half_a_pixel_is_named():
    moved = filtered(unbiased(), np.exp(-0.5j * SKY.lx * SKY.pixel))
    assert "moved by +0 pixels in y (first axis) and +0.5 in x" in refused(moved)


@pytest.mark.parametrize("kind", KINDS)
def test_the_potential_and_the_deflection_are_named(kind):
    good = KINDS[kind]()
    phi = filtered(good, 2 / L**2)
    assert "are the potential φ, not κ; to mend it: multiply each mode by L²/2" in refused(phi)
    assert "are the deflection, √(L(L+1)) φ" in refused(filtered(good, 2 / L))
    assert "they are −κ and are the potential φ" in refused(-phi)
    assert "are ∂φ/∂x" in refused(filtered(phi, 1j * SKY.lx))
    assert "are −∂φ/∂y" in refused(filtered(phi, -1j * SKY.ly))


@pytest.mark.parametrize("kind", KINDS)
def test_a_factor_is_named(kind):
    good = KINDS[kind]()
    assert "too large by a factor of" in refused(100 * good)
    assert "per cent" in refused(100 * good)
    assert "was the ½ of κ = L² φ / 2 forgotten?" in refused(2 * good)
    assert "too small by a factor of" in refused(good / 50)
    assert "standardised" in refused(10 * good)
    assert "too small by a factor of" in refused(1e-30 * good)  # its squares are zero in float32


def test_an_order_is_named():
    assert "that of example 0 is of example 15" in refused(wiener()[::-1])
    shuffled = np.random.default_rng(0).permutation(estimates.NUMBER)
    first = np.flatnonzero(shuffled != np.arange(estimates.NUMBER))[0]
    message = refused(wiener()[shuffled])
    assert f"that of example {first} is of example {shuffled[first]}" in message
    both = refused(-wiener()[::-1].transpose(0, 2, 1))
    assert "another order" in both and "transposed" in both and "−κ" in both


def test_indices_counted_from_one_are_named():
    # The map that is called 1 is of example 0; 0 is missing, and nothing else is known of it.
    maps = np.roll(wiener(), 1, axis=0)
    maps[0] = np.random.default_rng(0).standard_normal(maps[0].shape)
    assert "the indices are counted from 1 in place of 0: +1 is on each" in refused(maps)


def test_single_maps_that_stray_are_named():
    maps = wiener().copy()
    maps[[3, 7]] = maps[[7, 3]]
    message = refused(maps)
    assert "the map of example 3 is that of example 7 (2 of 16 maps like that)" in message
    maps = wiener().copy()
    maps[8:] = maps[8:, ::-1]
    assert "8 of 16 maps, the first of example 8, are upside down" in refused(maps)
    maps = wiener().copy()
    maps[5] = 0
    assert "the map of example 5 does not follow its κ" in refused(maps)


def test_harmonics_above_the_lmax_of_kappa_do_not_make_maps_uneven():
    """Of a network that saturates a little: they grow as κ², and no κ hides them in v3."""
    true = simulate("v3", "test", range(96))["kappa"][..., 0]
    square = np.square(true) / true.std()
    square -= square.mean(axis=(1, 2), keepdims=True)
    maps = CoarseMaps.of(VERSIONS["v3"].sky, [(np.arange(96), true, 0.8 * true - 0.05 * square)])
    refuse_mistaken(maps, "theirs", lambda index: {})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("times", [3, 0.3])
def test_a_single_map_of_another_size_is_named(kind, times):
    maps = KINDS[kind]().copy()
    maps[5] *= np.float32(times)
    found = re.search(
        r"the map of example 5 is ([\d.]+) times as large as the others", refused(maps)
    )
    assert float(found[1]) == pytest.approx(times, rel=0.1)
    assert "(1 of 16 maps are off like that)" in refused(maps)


def test_sizes_of_good_maps_are_within_some_per_cent_of_each_other():
    sizes, scatter = coarse(unbiased()).sizes
    assert 0 < scatter < 0.02 and np.abs(sizes - 1).max() < 0.1


def test_maps_that_changed_places_are_not_taken_for_shifted(monkeypatch):
    by_chance = mistakes.Alignment(3, -1, (28.5, 7.5), "", 0.1)
    real = mistakes.best_alignment
    monkeypatch.setattr(
        mistakes, "best_alignment", lambda m: by_chance if len(m.index) == 2 else real(m)
    )
    maps = wiener().copy()
    maps[[3, 7]] = maps[[7, 3]]
    assert "the map of example 3 is that of example 7" in refused(maps)


def test_the_truth_is_no_estimate():
    assert "the true κ itself" in refused(kappa())


def test_maps_of_another_split_are_named():
    def other(index):
        return {
            split: simulate("v11", split, index.tolist())["kappa"][..., 0]
            for split in ("train", "validation")
        }

    index = np.arange(estimates.NUMBER)
    assert "are of the validation split" in refused(other(index)["validation"], other=other)
    noise = np.random.default_rng(0).standard_normal(kappa().shape)
    assert re.search("no example, in no orientation, sign or order", refused(noise, other=other))
