"""Several runs that were judged on the same examples, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from estimators.compared_runs import ComparedRuns, Scores
from estimators.reports import coverage_section, figures, page
from estimators.reports.page import element
from estimators.resampling import NOT_NORMALISED, with_error
from estimators.uncertainty import LEVELS, name_of
from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import replacing

_LEAD = (
    "All on the same {:,} examples. MSE: mean squared error, relative to estimating zero. ± and "
    "bars are standard errors over examples. Each run's own report says how these are measured."
)
_RHO = "1 is perfect, 0 is chance."
_RESPONSE = "1 for an unbiased estimate; the estimate of least squared error has ρ_L²."
_NOISE = "Nothing is drawn where a run's response to κ is not above zero by 5 σ."
_MARK = "lensing-tfds: runs compared"
_CURVES = (
    ("rho_ell", "Cross-correlation ρ_L", _RHO, r"$\rho_L$", False),
    ("transfer_ell", "Response R_L", _RESPONSE, r"$R_L$", False),
    ("noise_ell", "Reconstruction noise N_L, estimates calibrated", _NOISE, r"$N_L$", True),
)


def summary(compared: ComparedRuns) -> str:
    """Returns the scores as tables of text."""
    rows = [("", "map-level rho", "mean squared error"), *map(_row, compared.scores)]
    skies = _sky_rows(compared.scores, "map-level rho on")
    intervals = _interval_rows(compared.scores)
    width = max(len(row[0]) for row in (*rows, *skies, *intervals))
    lines = [f"{label:{width}}  {rho:17}  {mse}" for label, rho, mse in rows]
    for label, *cells in (*skies, *intervals):
        lines.append(f"{label:{width}}" + "".join(f"  {cell:15}" for cell in cells))
    if intervals:
        lines.append(coverage_section.examples_sentence(compared.split))
    lines += [f"note: {note}" for note in compared.notes]
    return "\n".join(line.rstrip() for line in lines)


def write(compared: ComparedRuns, output: Path) -> None:
    """Writes the page.

    Raises:
      LensingError: it cannot be written; see `refuse_output`.
    """
    refuse_output(output)
    title = f"{compared.dataset} {compared.split}: runs compared"
    scores = [(*_row(scores), scores.basis) for scores in compared.scores]
    skies = _sky_rows(compared.scores, "map-level ρ on")
    html = page.document(
        title,
        page.head(title, _LEAD.format(compared.num_examples)),
        *(element("p", note, kind="note") for note in compared.notes),
        page.card(page.grid(("", "map-level ρ", "MSE", "model, or basis"), scores, text=(0, 3))),
        page.section(
            "Skies off the training distribution",
            page.card(page.grid(skies[0], skies[1:]) if skies else ""),
        ),
        _errors(compared),
        page.beside(
            *(
                page.figure(name, _overlay(compared, key, axis, logarithmic), caption)
                for key, name, caption, axis, logarithmic in _CURVES
            )
        ),
        generator=_MARK,
    )
    with replacing(output) as temporary:
        temporary.write_text(html, "utf-8")


def refuse_output(output: Path) -> None:
    """Refuses a file that is not this page's to write.

    Raises:
      LensingError: its name does not end in .html, or it is there and no page of ours.
    """
    if output.suffix != ".html":
        raise LensingError(f"--output {output} is a page's name: it must end in .html")
    if not output.exists():
        return
    try:
        begins = output.read_bytes()[:1000]
    except OSError as error:
        raise LensingError(f"cannot write {output}: {error.strerror}") from error
    if page.generator_mark(_MARK).encode() not in begins:
        raise LensingError(
            f"{output} is there and is no page of trainer.compare: it is not overwritten, choose "
            "another --output"
        )


def _overlay(compared: ComparedRuns, key: str, axis: str, logarithmic: bool) -> Figure:
    shown = [scores for scores in compared.scores if scores.is_normalised]
    names = [scores.label for scores in shown]
    values = [scores.measured[key] for scores in shown]
    return figures.overlay(names, compared.ell, values, axis, logarithmic)


def _errors(compared: ComparedRuns) -> page.Html:
    """The section of the runs that give errors; nothing if none does."""
    shown = [scores for scores in compared.scores if scores.uncertainty]
    if not shown:
        return page.Html()
    head, *rows = _interval_rows(shown)
    drawn = coverage_section.overlay(
        [scores.label for scores in shown],
        compared.ell,
        [scores.uncertainty for scores in shown],
    )
    return page.section(
        "The estimates' errors",
        page.beside(
            page.figure("Coverage", drawn, coverage_section.COVERAGE + coverage_section.SCORE),
            page.card(
                page.grid(head, rows),
                element("p", coverage_section.examples_sentence(compared.split)),
            ),
        ),
    )


def _interval_rows(compared: Sequence[Scores]) -> list[tuple[str, ...]]:
    """A head and a row for each that gives errors; nothing if none does."""
    names = [name_of(level) for level in LEVELS]
    heads = [head for name in names for head in (f"{name} %: pixels", "modes, by band")]
    rows = []
    for scores in compared:
        cells = [scores.label]
        for name in names if scores.uncertainty else ():
            modes = scores.uncertainty[f"coverage_{name}"].value
            pixels = scores.uncertainty[f"pixel_coverage_{name}"]
            cells.append(f"{100 * float(pixels.value):.2f} ± {100 * float(pixels.error):.2f}")
            cells.append(f"{100 * modes.min():.1f} to {100 * modes.max():.1f}")
        if len(cells) > 1:
            rows.append(tuple(cells))
    return [("truths held, %", *heads), *rows] if rows else []


def _row(scores: Scores) -> tuple[str, str, str]:
    if not scores.is_normalised:
        return scores.label, NOT_NORMALISED, NOT_NORMALISED
    mse, zero_mse = scores.measured["mse"].value, scores.measured["zero_mse"].value
    rho = with_error(scores.measured["map_correlation"])
    return scores.label, rho, f"{float(mse / zero_mse):.1%}"


def _sky_rows(compared: Sequence[Scores], title: str) -> list[tuple[str, ...]]:
    """A head and a row for each that was tried on other skies; nothing if none was."""
    tried = [scores for scores in compared if scores.other_skies and scores.is_normalised]
    skies = list(dict.fromkeys(name for scores in tried for name in scores.other_skies))
    rows = [
        (
            scores.label,
            *(with_error(scores.other_skies[k]) if k in scores.other_skies else "–" for k in skies),
        )
        for scores in tried
    ]
    return [(title, *skies), *rows] if rows else []
