"""Mistakes that folders of maps are sent with, recognised and named in one line each.

Whoever flips an axis, or sends −κ or φ, gets a score of zero or less and no reason: here they are
told what it is, and what mends it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from estimators.benchmark import units
from estimators.benchmark.alignment import (
    SIGNIFICANT,
    Alignment,
    best_alignment,
    correlation_matrix,
    matched_examples,
    matched_weights,
)
from estimators.benchmark.coarse_maps import CoarseMaps
from lensing_tfds.errors import LensingError

OtherKappa = Callable[[NDArray[np.int64]], dict[str, NDArray[np.floating]]]
"""A function from indices to the true κ (n, npix, npix) of the other splits at them, by name."""

_TURNS = {
    1: ("are upside down (the first axis, y, is mirrored)", "maps[:, ::-1]"),
    2: ("are mirrored left to right (the second axis, x)", "maps[:, :, ::-1]"),
    3: ("are turned by 180 degrees", "maps[:, ::-1, ::-1]"),
    4: ("are transposed (x is the first axis, and y the second)", "maps.transpose(0, 2, 1)"),
    5: ("are turned by 90 degrees", "np.rot90(maps, 1, axes=(1, 2))"),
    6: ("are turned by 90 degrees", "np.rot90(maps, -1, axes=(1, 2))"),
    7: ("are mirrored at the other diagonal", "maps[:, ::-1, ::-1].transpose(0, 2, 1)"),
}
"""Elements of `symmetries.transform`: what they make of maps, and what undoes them."""

_REMEDIES = {
    units.POTENTIAL: "multiply each mode by L²/2",
    units.DEFLECTION: "multiply each mode by L/2",
}

_IS_TRUTH = 0.9999
_FOLLOWS = 2 * SIGNIFICANT  # sigma: of good maps, before one that follows nothing stands out
_TYPICAL = 0.8  # the quantile that is what good maps have, where more than half are not
_TESTED = 16  # examples of the other splits


def refuse_mistaken(maps: CoarseMaps, folder: object, other_kappa: OtherKappa) -> None:
    """Refuses estimates that are recognised as a mistake.

    What is noisy, or biased by less than a half, is no mistake.

    Args:
      maps: the estimates, beside the truth.
      folder: where they are, an error's first words.
      other_kappa: the truth of other splits.

    Raises:
      LensingError: the estimates, or some of them, are constant, turned, mirrored, moved, −κ, φ or
        a deflection, in other units, in another order than their indices say, of another split,
        unrelated to κ, or κ itself; the message names it, and says what mends it.
    """
    if maps.is_constant:
        raise LensingError(
            f"{folder}: every map is constant, zero for instance: send the estimates themselves"
        )
    found = best_alignment(maps)
    if found is None:
        raise LensingError(f"{folder}: {_unrelated(maps, other_kappa)}")
    if found.is_right and found.correlation > _IS_TRUTH:
        raise LensingError(f"{folder}: the maps are the true κ itself: estimate it from `lensed`")
    if found.is_right and (stray := _stray(maps)):
        raise LensingError(f"{folder}: {stray}")
    if found.is_right and (uneven := _uneven(maps)):
        raise LensingError(f"{folder}: {uneven}")
    named = _named(found)
    if not found.derivative:
        aligned = maps.turned(maps.kappa, found.element) * np.float32(found.sign)
        named += _named_units(units.units_of(dataclasses.replace(maps, kappa=aligned)))
    if named:
        what, remedies = _joined(named)
        raise LensingError(f"{folder}: the maps {what}; to mend it: {remedies}")


def _named(alignment: Alignment) -> list[tuple[str, str]]:
    """Names what is wrong with an alignment, and what mends it, part by part."""
    named = []
    if axis := alignment.derivative:
        sign = "" if alignment.sign > 0 else "−"
        named.append(
            (
                f"are {sign}∂φ/∂{axis}, a component of the deflection",
                "send κ, minus half the deflection's divergence where that is +∇φ: κ = −∇²φ/2",
            )
        )
    elif alignment.sign < 0:
        named.append(("have the other sign: they are −κ", "multiply them by -1"))
    if alignment.element:
        named.append(_TURNS[alignment.element])
    if any(alignment.shift):
        y, x = alignment.shift
        moved = f"are moved by {y:+g} pixels in y (first axis) and {x:+g} in x"
        if y % 1 or x % 1:
            mend = "a half is a pixel's corner taken for its centre: move them back by as much"
        else:
            mend = f"np.roll(maps, ({-y:.0f}, {-x:.0f}), axis=(1, 2))"
        named.append((moved, mend))
    return named


def _named_units(found: units.Units) -> list[tuple[str, str]]:
    if found.are_right:
        return []
    low, high = found.factor
    between = f"{low:.3g}" if high / low < 1.1 else f"{low:.3g} to {high:.3g}"
    if found.quantity != units.KAPPA:
        scaled = "" if found.factor == (1.0, 1.0) else f", times {between}"
        return [(f"are {found.quantity}{scaled}, not κ", _REMEDIES[found.quantity])]
    known = {100.0: "are they in per cent?", 2.0: "was the ½ of κ = L² φ / 2 forgotten?"}
    known[0.5] = "was the ½ of κ = L² φ / 2 taken twice?"
    guess = next((text for factor, text in known.items() if found.may_be(factor)), None)
    guess = guess or "are they standardised, or in other units?"
    wrong = "large" if low > 1 else "small"
    inverse = f"{1 / high:.3g} to {1 / low:.3g}" if low < 1 else between
    return [
        (
            f"are too {wrong} by a factor of {inverse} (unbiased or Wiener-filtered): {guess}",
            "send dimensionless κ",
        )
    ]


def _stray(maps: CoarseMaps) -> str:
    """Names single estimates that are those of other examples, or of none; empty if there are none.

    Where others follow their κ clearly, one that does not is no accident.
    """
    correlations = correlation_matrix(maps, weights=matched_weights(maps))
    own = np.diagonal(correlations)
    typical = np.quantile(own, _TYPICAL)
    if typical < _FOLLOWS * maps.noise:
        return ""
    strays = np.flatnonzero(own < SIGNIFICANT * maps.noise)
    strays = strays[own[strays] < typical / 3]
    if not strays.size:
        return ""
    counted = f"{strays.size} of {len(own)} maps"
    first = maps.index[strays[0]]
    # Before turns and shifts, which are so many that one fits a few maps by chance.
    other = int(np.argmax(correlations[strays[0]]))
    if correlations[strays[0], other] > SIGNIFICANT * maps.noise:
        what = f"the map of example {first} is that of example {maps.index[other]}"
        return f"{what} ({counted} like that): put each beside its own index"
    found = best_alignment(maps.chosen(strays))
    if found is not None and not found.is_right:
        what, remedies = _joined(_named(found))
        return f"{counted}, the first of example {first}, {what}; to mend it: {remedies}"
    what = f"the map of example {first} does not follow its κ, as others do theirs"
    return f"{what} ({counted} like that): estimate them again"


def _uneven(maps: CoarseMaps) -> str:
    """Names single estimates that are larger or smaller than the others; empty if there are none.

    Skies are of one kind, and so are the sizes of their estimates, within some per cent.
    """
    sizes, scatter = maps.sizes
    off = np.abs(np.log(np.maximum(sizes, np.finfo(float).tiny)))
    wrong = np.flatnonzero(off > np.log(units.FACTOR * (1 + SIGNIFICANT * scatter)))
    if not wrong.size:
        return ""
    worst = wrong[np.argmax(off[wrong])]
    return (
        f"the map of example {maps.index[worst]} is {sizes[worst]:.3g} times as large as the "
        f"others ({wrong.size} of {len(sizes)} maps are off like that): estimate it again, or send "
        "all in one unit"
    )


def _joined(named: list[tuple[str, str]]) -> tuple[str, str]:
    """All that is wrong, and all remedies."""
    what, remedies = zip(*named, strict=True)
    return " and ".join(what), ", then ".join(remedies)


def _unrelated(maps: CoarseMaps, other_kappa: OtherKappa) -> str:
    """Names maps that follow the κ of their own examples in no orientation."""
    element, sign, places = matched_examples(maps)
    matched = np.flatnonzero(places >= 0)
    if matched.size > max(1, len(places) // 2):
        names = [name for name in (_TURNS.get(element, ("",))[0], "are −κ" * (sign < 0)) if name]
        also = f"; and they {' and '.join(names)}" if names else ""
        return f"{_order(maps.index[matched], maps.index[places[matched]])}{also}"
    some = maps.index[:_TESTED]
    for split, kappa in other_kappa(some).items():
        parts = zip([some], [kappa], [kappa], strict=True)
        there = CoarseMaps.of(maps.full, parts)
        tried = dataclasses.replace(there, estimate=maps.estimate[:_TESTED])
        if best_alignment(tried) is not None:
            return f"the maps are of the {split} split: estimate κ of the test split's maps"
    return (
        "the maps follow the κ of no example, in no orientation, sign or order: are they of other "
        "skies, such as another version, seed or data version?"
    )


def _order(index: NDArray[np.int64], followed: NDArray[np.int64]) -> str:
    """Names the order of maps: that of example `index[i]` is that of `followed[i]`."""
    offsets = np.unique(followed - index)
    if len(offsets) == 1 and abs(offset := int(offsets[0])) == 1:
        direction = "from 1 in place of 0" if offset < 0 else "one too low"
        return f"the indices are counted {direction}: {-offset:+d} is on each; subtract it"
    moved = np.flatnonzero(followed != index)
    first = moved[0] if moved.size else 0
    return (
        f"the maps are in another order than their indices say: that of example {index[first]} is "
        f"of example {followed[first]}: put each beside its own index"
    )
