"""Several runs that were judged on the same examples, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from estimators.compared_runs import ComparedRuns, Scores
from estimators.reports import figures, page
from estimators.resampling import with_error
from lensing_tfds.records.storage import replacing

_LEAD = (
    "All on the same {:,} examples. MSE: mean squared error, relative to estimating zero. ± and "
    "bars are standard errors over examples. Each run's own report says how these are measured."
)
_RHO = "1 is perfect, 0 is chance."
_RESPONSE = "1 for an unbiased estimate; the estimate of least squared error has ρ_L²."
_NOISE = "Nothing is drawn where a run's response to κ is not above zero by 5 σ."
_CURVES = (
    ("rho_ell", "Cross-correlation ρ_L", _RHO, r"$\rho_L$", False),
    ("transfer_ell", "Response R_L", _RESPONSE, r"$R_L$", False),
    ("noise_ell", "Reconstruction noise N_L, estimates calibrated", _NOISE, r"$N_L$", True),
)


def summary(compared: ComparedRuns) -> str:
    """Returns the scores as tables of text."""
    rows = [("", "map-level rho", "mean squared error"), *map(_row, compared.scores)]
    skies = _sky_rows(compared.scores, "map-level rho on")
    width = max(len(row[0]) for row in (*rows, *skies))
    lines = [f"{label:{width}}  {rho:17}  {mse}" for label, rho, mse in rows]
    for label, *cells in skies:
        lines.append(f"{label:{width}}" + "".join(f"  {cell:15}" for cell in cells))
    return "\n".join(line.rstrip() for line in lines)


def write(compared: ComparedRuns, output: Path) -> None:
    """Writes the page.

    Raises:
      LensingError: it cannot be written.
    """
    title = f"{compared.dataset} {compared.split}: runs compared"
    scores = [(*_row(scores), scores.basis) for scores in compared.scores]
    skies = _sky_rows(compared.scores, "map-level ρ on")
    html = page.document(
        title,
        page.head(title, _LEAD.format(compared.num_examples)),
        page.card(page.grid(("", "map-level ρ", "MSE", "model, or basis"), scores, text=(0, 3))),
        page.section(
            "Skies off the training distribution",
            page.card(page.grid(skies[0], skies[1:]) if skies else ""),
        ),
        page.below(
            *(
                page.figure(name, _overlay(compared, key, axis, logarithmic), caption, wide=True)
                for key, name, caption, axis, logarithmic in _CURVES
            )
        ),
    )
    with replacing(output) as temporary:
        temporary.write_text(html, "utf-8")


def _overlay(compared: ComparedRuns, key: str, axis: str, logarithmic: bool) -> Figure:
    names = [scores.label for scores in compared.scores]
    values = [scores.measured[key] for scores in compared.scores]
    return figures.overlay(names, compared.ell, values, axis, logarithmic)


def _row(scores: Scores) -> tuple[str, str, str]:
    mse, zero_mse = scores.measured["mse"].value, scores.measured["zero_mse"].value
    rho = with_error(scores.measured["map_correlation"])
    return scores.label, rho, f"{float(mse / zero_mse):.1%}"


def _sky_rows(compared: Sequence[Scores], title: str) -> list[tuple[str, ...]]:
    """A head and a row for each that was tried on other skies; nothing if none was."""
    tried = [scores for scores in compared if scores.other_skies]
    skies = list(dict.fromkeys(name for scores in tried for name in scores.other_skies))
    rows = [
        (
            scores.label,
            *(with_error(scores.other_skies[k]) if k in scores.other_skies else "–" for k in skies),
        )
        for scores in tried
    ]
    return [(title, *skies), *rows] if rows else []
