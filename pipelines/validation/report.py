"""A verdict as a table, as JSON and as a self-contained page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from pipelines.validation.verdict import Curve, Verdict


def table(verdict: Verdict) -> str:
    """Returns all tests and numbers as lines of text."""
    width = max(len(test.name) for test in verdict.tests)
    lines = []
    for test in verdict.tests:
        p = "" if test.p_value is None else f"{test.p_value:.2g}"
        mark = "ok  " if test.passed else "FAIL"
        lines.append(f"{mark} {test.name:{width}}  {test.statistic:>14}  {p:>8}  {test.message}")
    lines += [f"     {name:{width}}  {words}" for name, words in verdict.numbers]
    return "\n".join(lines)


def files(verdict: Verdict) -> Mapping[str, bytes]:
    """Returns the report's files by name."""
    return {"validation.json": json.dumps(to_json(verdict), indent=1).encode()}


def to_json(verdict: Verdict) -> dict[str, Any]:
    """..."""
    return {}
