"""What `pipelines.validate` found, as it left it in the dataset's folder."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from estimators.reports import style
from estimators.reports.style import BLACK, BLUE, Series, points
from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage
from pipelines.cards.drawing import drawn

FILE = "validation.json"

Verdict = dict[str, Any]


def read(folder: str) -> Verdict | None:
    """Returns the verdict on a dataset, as JSON has it; None if it was not validated.

    Args:
      folder: of the dataset.

    Raises:
      LensingError: the file cannot be read, or is not a verdict.
    """
    path = f"{folder}/{FILE}"
    if storage.size(path) is None:
        return None
    with storage.reading(path) as file:
        content = file.read()
    try:
        verdict = json.loads(content)
        verdict["passed"], verdict["tests"], verdict["spectra"]
    except (ValueError, KeyError, TypeError) as error:
        raise LensingError(
            f"{path} is not a verdict: write it again by python -m pipelines.validate"
        ) from error
    return verdict


def summary(verdict: Verdict) -> str:
    """Says how the tests ended, and what failed."""
    tests = verdict["tests"]
    examples = f"{sum(verdict['num_examples'].values()):,} examples"
    if verdict["passed"]:
        rate = f"{verdict['false_alarm_rate']:.1%}"
        return (
            f"all {len(tests)} tests passed on {examples} (a right dataset fails one with a "
            f"probability of {rate})."
        )
    failed = [test["message"] for test in tests if not test["passed"]]
    return f"**{len(failed)} of {len(tests)} tests failed** on {examples}:\n\n" + "\n".join(
        f"- {message}" for message in failed
    )


def rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """Returns rows of (what, statistic, probability, result): spectra over rings, and responses."""
    rings = {curve["name"] for curve in verdict["spectra"] if not curve["nyquist"]}
    return [
        (
            test["name"],
            test["statistic"],
            "" if test["p_value"] is None else f"{test['p_value']:.2g}",
            test["message"],
        )
        for test in verdict["tests"]
        if test["name"] in rings or "response" in test["name"]
    ]


def numbers(verdict: Verdict) -> list[str]:
    """Returns what was measured and is not judged, in words."""
    return [f"{number['name']}: {number['words']}" for number in verdict["numbers"]]


@drawn
def figure(verdict: Verdict) -> Figure:
    """Draws the lensed maps' and κ's spectra on theory's, and their residuals in σ."""
    curves = shown_curves(verdict)
    drawing = Figure(figsize=(2.5 * len(curves) + 0.4, 3.6), layout="constrained")
    grid = drawing.subplots(2, len(curves), sharex="col", squeeze=False, height_ratios=(2, 1))
    for column, curve in enumerate(curves):
        _draw(curve, grid[0, column], grid[1, column])
    grid[0, 0].set_ylabel("l² C / 2π, µK²; κ: C")
    grid[1, 0].set_ylabel("residual, σ")
    return drawing


def shown_curves(verdict: Verdict) -> list[dict[str, Any]]:
    """Returns the auto-spectra of the lensed maps and of κ, over rings."""
    names = ("lensed TT", "lensed EE", "lensed BB", "κκ")
    by_name = {curve["name"]: curve for curve in verdict["spectra"] if any(curve["tested"])}
    return [by_name[name] for name in names if name in by_name]


def _draw(curve: dict[str, Any], spectrum: Axes, residual: Axes) -> None:
    chosen = np.array(curve["tested"])
    ell, measured, error, expected, expected_error = (
        np.array(curve[name], float)[chosen]
        for name in ("ell", "measured", "error", "expected", "expected_error")
    )
    factor = 1.0 if curve["name"] == "κκ" else ell**2 / (2 * np.pi)
    theory, data = Series(BLACK, "", "-" if curve["compared"] else "--"), Series(BLUE, "o", "")
    points(spectrum, theory, ell, factor * expected, lw=1.2)
    points(spectrum, data, ell, factor * measured, factor * error, ms=3)
    spectrum.set(title=curve["name"])
    style.logarithmic(spectrum)
    if curve["compared"]:
        residual.axhspan(-2, 2, color=style.PALE, lw=0)
        residual.axhline(0, color=BLACK, lw=0.8)
        points(residual, data, ell, (measured - expected) / np.hypot(error, expected_error), ms=3)
    else:  # what CAMB's spectra are not the theory of has no residuals
        style.nothing(residual, "not compared")
    style.multipoles(spectrum, "ℓ")
    spectrum.set_xlabel("")
    residual.set_xlabel("multipole ℓ")
