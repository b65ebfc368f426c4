"""Verdicts on a version's networks: which is best, whether it beats the iterated estimator."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.results.figures import (
    BAND_SIGMAS,
    ITERATED,
    Difference,
    Made,
    OfVersion,
    band_names,
)
from trainer.networks import families
from trainer.settings.recipes import RECIPES

SIGMAS = 2.0
"""Of a difference that is no chance."""


WORTH_TRAINING = 1e-3
"""Of ρ: what a network must win before a default that is fitted at once gives way to it."""


def default_of(version: OfVersion) -> Made | None:
    """Returns the cell of the version's default network, None if it was not made."""
    name = RECIPES[version.version][0].model
    return next((made for made in version.made if made.model == name), None)


def best(made: Sequence[Made]) -> Made:
    """Returns the cell with the highest correlation."""
    return max(made, key=lambda one: one.estimate.rho)


def difference(one: Made, other: Made) -> Difference:
    """Returns by how much a cell is above another of the same version.

    Each is known beside the iterated estimator, with the error of pairs. These errors are taken as
    independent: what they share makes the true one smaller.
    """
    if one is other:
        return Difference(0.0, 0.0)
    known = [made.above_iterated for made in (one, other)]
    if None in known:
        errors = (one.estimate.rho_error, other.estimate.rho_error)
    else:
        errors = tuple(above.error for above in known if above is not None)  # type: ignore[assignment]
    return Difference(one.estimate.rho - other.estimate.rho, math.hypot(*errors))


def stale_default(version: OfVersion) -> str | None:
    """Says why a version's default is not what its figures call for; None if it is.

    It may be below the best by chance or, where it is fitted and the best is trained, by less than
    is worth many minutes.
    """
    name = RECIPES[version.version][0].model
    default = default_of(version)
    if default is None:
        return f"{version.version}: its default, {name}, was not judged"
    winner = best(version.made)
    above = difference(winner, default)
    fitted = families.is_fitted(default.model)
    if above.value <= max(SIGMAS * above.error, WORTH_TRAINING if fitted else 0.0):
        return None
    return f"{version.version}: {winner.model} is {plus_minus(above)} above the default, {name}"


def sentence(version: OfVersion) -> str:
    """Says whether a network beats the iterated estimator within its minutes, and by how much."""
    networks = [made for made in version.made if not families.is_fitted(made.model)]
    if not networks:
        return f"No network was trained on {version.version} yet."
    winner = best(networks)
    budget = f"{winner.minutes:g} minutes" if winner.minutes is not None else "its epochs"
    reached = f"`{winner.model}`, the best trained network, has ρ = {_rho(winner)} after {budget}"
    above = winner.above_iterated
    reference = version.references.get(ITERATED)
    if reference is None:
        return f"{reached}; there is no iterated estimator beside it."
    what = f"the iterated estimator's {reference.rho:.4f}"
    if above is None:
        return f"{reached}; it was not judged beside {what}."
    if above.value > SIGMAS * above.error:
        return f"{reached}: it **beats** {what}, by {plus_minus(above)}."
    if above.value >= -SIGMAS * above.error:
        return f"{reached}: it cannot be told from {what} ({plus_minus(above)})."
    short = Difference(-above.value, above.error)
    return f"{reached}: it stays **below** {what}, by {plus_minus(short)}."


def defaults_beside_quadratic(found: Sequence[OfVersion]) -> str:
    """Says whether each version's default is as good as every quadratic estimator in every band."""
    whole, below, unknown = [], [], []
    for version in found:
        default = default_of(version)
        if default is None or default.below_quadratic is None:
            unknown.append(version.version)
        elif default.below_quadratic:
            names = band_names(version)
            bands = ", ".join(names[place] for place in default.below_quadratic)
            below.append(f"{version.version} (L = {bands})")
        else:
            whole.append(version.version)
    told = "The default is at or above every quadratic estimator, in every band of L and within "
    told += f"{BAND_SIGMAS:g} σ, on {', '.join(whole) or 'no version'}"
    if below:
        told += f"; it is below one on {', '.join(below)}"
    if unknown:
        told += f"; not judged here on {', '.join(unknown)}"
    return f"{told}."


def plus_minus(difference: Difference) -> str:
    """Writes a difference with its error, which has a digit other than zero."""
    digits = 4
    if 0 < difference.error < 1e-4:
        digits = -math.floor(math.log10(difference.error))
    return f"{difference.value:.{digits}f} ± {difference.error:.{digits}f}"


def _rho(made: Made) -> str:
    return f"{made.estimate.rho:.4f} ± {made.estimate.rho_error:.4f}"
