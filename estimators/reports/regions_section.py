"""The report's section on the regions of a patch that differ in noise."""

from __future__ import annotations

from matplotlib.figure import Figure

from estimators.judge import Evaluation, Judged
from estimators.reach import bars, short
from estimators.reports import page, style
from estimators.reports.page import Html, element
from estimators.reports.style import points
from estimators.resampling import with_error

_TEXT = (
    "The patch in three parts by the depth of its noise, each judged as all of it is; their "
    "windows are smooth, and overlap. Noise: rms, relative to the whole patch's. N_L/C_L: noise "
    "of the calibrated estimate relative to true κ, the median over the bands in which it is "
    "known."
)
_FIGURE = (
    "N_L is the spectrum of κ̂/R_L − κ inside each part, the response measured there on the other "
    "half of the examples."
)


def section(evaluation: Evaluation, drawn: Figure) -> Html:
    """Returns the section.

    Args:
      evaluation: of a patch with regions.
      drawn: what `figure` drew.
    """
    return page.section(
        "Where the noise is low, and where it is high",
        page.beside(
            page.figure("Reconstruction noise N_L by region", drawn, _FIGURE),
            page.card(_table(evaluation), element("p", _TEXT)),
        ),
    )


def sentences(evaluation: Evaluation) -> list[str]:
    """Says what the first estimator is worth in each region, a line each."""
    return [
        f"{region.name}: noise {region.noise:.2f} of the patch's, {region.share:.0%} of the map, "
        f"correlation {with_error(skill.map_correlation)}"
        for region, skill in zip(evaluation.regions, evaluation.judged[0].regions, strict=True)
    ]


@style.styled
def figure(evaluation: Evaluation) -> Figure:
    """Noise of the calibrated estimate in each region, over L, and κ's spectrum.

    Args:
      evaluation: of a patch with regions.
    """
    drawn, axes = style.single()
    ell = evaluation.skill.bands.ell
    shifts = style.spread(len(evaluation.regions))
    for number, (region, skill, shift) in enumerate(
        zip(evaluation.regions, evaluation.judged[0].regions, shifts, strict=True)
    ):
        points(axes, style.series(number), ell * shift, *skill.noise_ell, region.name)
    axes.plot(ell, style.finite(evaluation.expected_cl), color=style.BLACK, lw=1, label="true κ")
    axes.set_ylabel("N_L")
    style.logarithmic(axes)
    style.multipoles(axes)
    style.legend(axes)
    return drawn


def _table(evaluation: Evaluation) -> Html:
    shown: list[Judged] = [evaluation.judged[0], *bars(evaluation)]
    rows = []
    for number, region in enumerate(evaluation.regions):
        for judged in shown:
            skill = judged.regions[number]
            rows.append(
                (
                    region.name if judged is shown[0] else "",
                    f"{region.noise:.2f}" if judged is shown[0] else "",
                    short(judged),
                    with_error(skill.map_correlation),
                    page.figures(skill.relative_noise),
                )
            )
    return page.grid(("region", "noise", "", "map-level ρ", "N_L/C_L"), rows, text=(0, 2))
