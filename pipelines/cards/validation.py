"""The verdict of `pipelines.validate`, as it lies in the dataset's folder."""

from __future__ import annotations

from matplotlib.figure import Figure

from lensing_tfds import strict_json
from lensing_tfds.records import storage
from pipelines.cards.drawing import drawn
from pipelines.validation.figures import powers_in_columns
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
    columns = [[curve] for curve in shown_curves(verdict)]
    return powers_in_columns(columns, (2.7 * len(columns) + 0.2, 3.6))


def shown_curves(verdict: Verdict) -> list[Curve]:
    """Returns the auto-spectra of the lensed maps and of κ, over rings."""
    names = ("lensed TT", "lensed EE", "lensed BB", "κκ")
    by_name = {curve.spectrum.name: curve for curve in verdict.curves if curve.tested.any()}
    return [by_name[name] for name in names if name in by_name]
