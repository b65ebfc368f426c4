"""What `pipelines.validate` found, as it left it in the dataset's folder."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from estimators.reports import style
from estimators.reports.style import BLACK, BLUE, Series, points
from lensing_tfds import strict_json
from lensing_tfds.records import storage
from pipelines.cards.drawing import drawn
from pipelines.validation.outcome import FALSE_ALARMS, FILE, Curve, Verdict


def read(folder: str) -> Verdict | None:
    """Returns the verdict on a dataset; None if it was not validated.

    Args:
      folder: of the dataset.

    Raises:
      LensingError: the file cannot be read, or is not a verdict.
    """
    path = f"{folder}/{FILE}"
    if storage.size(path) is None:
        return None
    return Verdict.from_json(strict_json.read(path), path)


def summary(verdict: Verdict) -> str:
    """Says how the tests ended, and what failed."""
    count = len(verdict.tests)
    examples = f"{sum(verdict.num_examples.values()):,} examples"
    if verdict.passed:
        return (
            f"all {count} tests passed on {examples} (a right dataset fails one with a "
            f"probability of {FALSE_ALARMS:.1%})."
        )
    failed = verdict.failures
    return f"**{len(failed)} of {count} tests failed** on {examples}:\n\n" + "\n".join(
        f"- {test.message}" for test in failed
    )


def rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """Returns rows of (what, statistic, probability, result): spectra over rings, and responses."""
    rings = {curve.spectrum.name for curve in verdict.curves if not curve.spectrum.nyquist}
    return [
        (
            test.name,
            test.statistic,
            "" if test.p_value is None else f"{test.p_value:.2g}",
            test.message,
        )
        for test in verdict.tests
        if test.name in rings or "response" in test.name
    ]


def numbers(verdict: Verdict) -> list[str]:
    """Returns what was measured and is not judged, in words."""
    return [f"{name}: {words}" for name, words in verdict.numbers]


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


def shown_curves(verdict: Verdict) -> list[Curve]:
    """Returns the auto-spectra of the lensed maps and of κ, over rings."""
    names = ("lensed TT", "lensed EE", "lensed BB", "κκ")
    by_name = {curve.spectrum.name: curve for curve in verdict.curves if curve.tested.any()}
    return [by_name[name] for name in names if name in by_name]


def _draw(curve: Curve, spectrum: Axes, residual: Axes) -> None:
    chosen, name = curve.tested, curve.spectrum.name
    ell, measured, error, expected = (
        values[chosen] for values in (curve.ell, curve.measured, curve.error, curve.expected)
    )
    factor = 1.0 if name == "κκ" else ell**2 / (2 * np.pi)
    theory, data = Series(BLACK, "", "-" if curve.compared else "--"), Series(BLUE, "o", "")
    points(spectrum, theory, ell, factor * expected, lw=1.2)
    points(spectrum, data, ell, factor * measured, factor * error, ms=3)
    spectrum.set(title=name)
    style.logarithmic(spectrum)
    if curve.compared:
        residual.axhspan(-2, 2, color=style.PALE, lw=0)
        residual.axhline(0, color=BLACK, lw=0.8)
        points(residual, data, ell, curve.sigmas[chosen], ms=3)
    else:  # one sky does not follow the mean over skies
        style.nothing(residual, "not compared")
    style.multipoles(spectrum, "ℓ")
    spectrum.set_xlabel("")
    residual.set_xlabel("multipole ℓ")
