"""Tests without chance: every example is there once, finite, and unlike the others."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence

import numpy as np

from lensing_tfds.configs import SPLITS
from pipelines.validation.outcome import Test
from pipelines.validation.statistics import Statistics

_SHOWN = 5  # of many that are wrong


def tests(statistics: Statistics, num_examples: Mapping[str, int]) -> list[Test]:
    """Returns the tests.

    Args:
      statistics: of all examples.
      num_examples: how many each split should have.
    """
    return [
        _finite(statistics),
        _indices(statistics, num_examples),
        _duplicates(statistics),
    ]


def _finite(statistics: Statistics) -> Test:
    bad = [f"{split} {index} ({feature})" for split, index, feature in statistics.not_finite]
    if bad:
        return Test("finite", False, f"NaN or infinity in {_listed(bad)}")
    return Test("finite", True, "no NaN and no infinity")


def _indices(statistics: Statistics, num_examples: Mapping[str, int]) -> Test:
    problems = []
    rows = statistics.addresses
    for split, count in num_examples.items():
        found = np.sort(rows["index"][rows["split"] == SPLITS.index(split)])
        twice = np.unique(found[1:][found[1:] == found[:-1]])
        missing = np.setdiff1d(np.arange(count), found)
        strange = np.setdiff1d(found, np.arange(count))
        for indices, what in (
            (twice, "more than once"),
            (missing, "missing"),
            (strange, f"not below {count}"),
        ):
            if len(indices):
                problems.append(f"{split} {_listed([str(i) for i in indices])} {what}")
    if problems:
        return Test("indices", False, "indices: " + "; ".join(problems))
    return Test("indices", True, f"all {sum(num_examples.values()):,}, each once")


def _duplicates(statistics: Statistics) -> Test:
    rows = statistics.addresses
    hashes, counts = np.unique(rows["hash"], return_counts=True)
    twins = np.sort(rows[np.isin(rows["hash"], hashes[counts > 1])], order=["split", "index"])
    groups: dict[int, list[str]] = collections.defaultdict(list)
    for row in twins:
        groups[int(row["hash"])].append(f"{SPLITS[row['split']]} {row['index']}")
    if groups:
        named = _listed([" and ".join(group[:_SHOWN]) for group in groups.values()])
        return Test("duplicates", False, f"examples {named} are the same")
    return Test("duplicates", True, "no two examples are the same")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
