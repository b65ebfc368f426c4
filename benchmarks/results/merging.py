"""Figures of several folders and machines in one record.

A cell is its version and its network's name. Figures stand beside each other where they are of the
same test examples:

- as many of them, in the same bands of L;
- with the same quadratic estimators beside, which agree to `SAME_RHO` in ρ and in ρ_L of each band.
  Their own standard errors are larger, and so are the differences between samples of other skies: a
  quadratic estimator is a fingerprint of the maps that it was given and of the κ that it is
  compared with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from benchmarks.results.cells import rank
from benchmarks.results.figures import (
    ITERATED,
    REFERENCES,
    Estimate,
    Failed,
    Made,
    OfVersion,
)
from lensing_tfds.versions import VERSIONS

SAME_RHO = 1e-4
"""Largest difference of a quadratic estimator's ρ or ρ_L between machines: maps that differ by 1e-5
of their rms, as between types of processor, move it by less."""


def merged(
    kept: Sequence[OfVersion], found: Sequence[OfVersion]
) -> tuple[tuple[OfVersion, ...], tuple[str, ...]]:
    """Adds kept figures to those that were found.

    A found cell takes the place of a kept one of its name, and a failure that of a failure. Where
    the two are not of the same examples, those of more examples stand, of as many those that were
    found: kept cells are dropped, or found ones become failed.

    Args:
      kept: figures of an earlier page.
      found: figures that were gathered now.

    Returns:
      All figures, and a line for each that is dropped.
    """
    by_version = {one.version: one for one in kept}
    lines: list[str] = []
    for one in found:
        before = by_version.get(one.version)
        both = one if before is None else _of_version(before, one, lines)
        by_version[one.version] = both
    return tuple(by_version[name] for name in VERSIONS if name in by_version), tuple(lines)


def _of_version(kept: OfVersion, found: OfVersion, lines: list[str]) -> OfVersion:
    again = {one.model for one in found.made}
    failed = {one.model: one for one in kept.failed if one.model not in again}
    failed |= {one.model: one for one in found.failed}
    first, second = found, kept
    why = _other_examples(kept, found) if kept.made and found.made else None
    if why is not None and found.num_examples < kept.num_examples:
        first, second = kept, _without_cells(found)
        why = _other_examples(found, kept)
        line = f"it was judged {why}: only scores on the same examples compare"
        failed |= {m.model: Failed(m.model, m.column, m.command, line) for m in found.made}
    elif why is not None:
        second = _without_cells(kept)
        names = [one.model for one in kept.made if one.model not in again]
        lines += [f"{kept.version} {name} is dropped: it was judged {why}" for name in names]
    elif not found.made:
        first, second = kept, found
    references = {**second.references, **first.references}
    made = {one.model: one for one in first.made}
    for one in second.made:
        if one.model not in made:
            made[one.model] = _beside(one, references.get(ITERATED), kept.version, lines)
    return dataclasses.replace(
        first,
        references={name: references[name] for name in REFERENCES if name in references},
        forecast=second.forecast if first.forecast is None else first.forecast,
        posterior=found.posterior,
        made=tuple(sorted(made.values(), key=_place)),
        failed=tuple(sorted(failed.values(), key=_place)),
    )


def _without_cells(version: OfVersion) -> OfVersion:
    """The same with nothing that was judged."""
    return dataclasses.replace(version, references={}, forecast=None, made=())


def _place(cell: Made | Failed) -> tuple[int, str]:
    return rank(cell.column), cell.model


def _other_examples(one: OfVersion, other: OfVersion) -> str | None:
    """Says how one's examples are known to be others: "on 4 examples, not 500"; None if not."""
    if one.num_examples != other.num_examples:
        return f"on {one.num_examples:,} examples, not {other.num_examples:,}"
    if one.ell_edges != other.ell_edges:
        return "in other bands of L"
    quadratic = [{n: e for n, e in v.references.items() if n != ITERATED} for v in (one, other)]
    if not quadratic[0] or quadratic[0].keys() != quadratic[1].keys():
        return "beside other quadratic estimators"
    for name, estimate in quadratic[0].items():
        expected = quadratic[1][name]
        apart = np.subtract((estimate.rho, *estimate.rho_ell), (expected.rho, *expected.rho_ell))
        if not (most := np.abs(apart).max()) <= SAME_RHO:
            return f"on other examples, or beside another {name}: its ρ or ρ_L is {most:.1g} off"
    return None


def _beside(made: Made, reference: Estimate | None, version: str, lines: list[str]) -> Made:
    """A kept cell, without its difference from an iterated estimator that is not shown any more."""
    above = made.above_iterated
    if above is None or reference is None:
        return made
    then = made.estimate.rho - above.value
    if abs(then - reference.rho) <= SAME_RHO:
        return made
    lines.append(
        f"{version} {made.model} is kept without its difference from the iterated estimator, which "
        f"had ρ = {then:.4f} when it was judged and has {reference.rho:.4f} now"
    )
    return dataclasses.replace(made, above_iterated=None)
