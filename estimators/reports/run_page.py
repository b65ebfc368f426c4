"""A judged run as one self-contained page: figures inside, no scripts, nothing fetched."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from matplotlib.figure import Figure

from estimators.baselines import beside_baselines
from estimators.checks import Checks
from estimators.judge import Evaluation
from estimators.posterior.measured import measured_posterior
from estimators.power_spectra import measured_with
from estimators.reach import left_to_win
from estimators.reports import (
    checks_section,
    coverage_section,
    figures,
    page,
    reach_figures,
    regions_section,
    style,
)
from estimators.reports.page import Html, element
from estimators.resampling import NOT_NORMALISED, Measured, with_error
from estimators.skill import Skill, difference
from estimators.subject import Subject, SubjectDescription
from lensing_tfds import realism
from lensing_tfds.command_line import build_command
from lensing_tfds.configs import LensingConfig
from lensing_tfds.versions import VERSIONS

_MAPS = (
    "the first of the split, not chosen. In each row true κ, estimate and residual share one "
    "colour scale, white at zero. The last column is what the estimate missed or made up."
)
_LARGE_SCALES = (
    "The first example of the split{}, on one colour scale, white at zero. The residual is the "
    "estimate less the truth."
)
_REACH = (
    "How well each estimate follows κ, scale by scale; error bars are standard errors over "
    "examples."
)
_FORECAST = (
    " Lines are theory, with N0 for noise: dotted the quadratic estimator's, full what iterating "
    "it can reach. Below: how far each estimate is from the latter."
)
_POSTERIOR = (
    " MAP is the maximum a posteriori of κ, measured in wider bands on skies of this kind by "
    "benchmarks.maximum_a_posteriori."
)
_SPECTRA = (
    "Raw C_L, the mean over examples, measured with {}. True κ follows the input spectrum, "
    "from which it is drawn. An estimate of least squared error has less power than the truth "
    "where the maps hold little information; a residual above the truth is worse than estimating "
    "zero."
)
_CUT_OUT = (
    " The patch is cut out of a larger sky: the jumps at its edges add power at high L that the "
    "input spectrum does not have."
)
_BEYOND_KAPPA_LMAX = (
    " True κ has no power above L = {}, and no band is drawn there; what the estimate has there "
    "counts in the map-level numbers only."
)
_CORRELATION = (
    "Whether the estimate's hills and valleys are where the truth's are: 1 is perfect, 0 is "
    "chance. The estimate's amplitude plays no part."
)
_TRANSFER = (
    "How much of the true amplitude the estimate keeps. A network that minimises the squared error "
    "is right to keep less than all: the best such estimate, the posterior mean, keeps ρ_L² "
    "(triangles). Where squares and triangles differ, the network is not trained to the end, or "
    "cannot represent the posterior mean."
)
_RHO_ALL = (
    "Quadratic estimates are drawn once, Wiener-filtered: the filter changes their amplitude, and "
    "ρ_L only in wide bands, whose modes it weighs differently."
)
_RESPONSE_ALL = (
    "R_L = <κ̂κ>/<κκ>: 1 for an unbiased estimate (full markers). A Wiener-filtered (open markers) "
    "or a network's estimate is right to have less: that of least squared error has ρ_L²."
)
_NOISE_ALL = (
    "N_L is the spectrum of κ̂/R_L − κ: every estimate is first divided by its response, measured "
    "on the other half of the examples. Nothing is drawn where the response is not above zero by "
    "5 σ. Where N_L is below the spectrum of true κ (black), each mode of κ is above its noise."
)
_PIXELS = (
    "How often each pair of values occurs in a pixel. Squares: the mean of the truth where the "
    "estimate has a certain value. On the line, the estimate is right on average."
)
_NOTE = "What a real sky would not give. "
_CHANNELS = " The input is {}; shown is {}."
_ERRORS = "Error bars and ± are standard errors over examples, drawn independently (bootstrap)."
_TABLE = (
    "All on the same examples. MSE: mean squared error, relative to estimating zero. N_L/C_L: "
    "noise of the calibrated estimate relative to true κ, the median over the bands in which it is "
    "known. ± are standard errors over examples; those of differences are of pairs. An estimate "
    "that could not be normalised has no scores (–), and no curve below."
)
_MODES = (
    "Ordinary modes are those that a real sky has too: l up to T_lmax, in pairs that add up to L. "
    "All modes are these and what only this simulation has: modes above T_lmax, which lensing "
    "alone has filled, and pairs that add up to L only by aliasing. A network sees them all."
)


class Pages(NamedTuple):
    """The parts of a report: the page, its gallery of maps, and all figures by name."""

    html: str
    maps_png: bytes
    figures: dict[str, Figure]


def render(subject: Subject, evaluation: Evaluation, checks: Checks | None = None) -> Pages:
    """Draws a judged subject.

    Args:
      subject: what was judged.
      evaluation: how it did.
      checks: what else was found; None if it was not looked for.
    """
    lensing, description = evaluation.ensemble.config, subject.describe()
    drawn = {
        "maps": figures.maps(evaluation, lensing),
        "spectra": figures.spectra(evaluation, lensing),
        "correlation": figures.correlation(evaluation),
        "transfer": figures.transfer(evaluation),
        "pixels": figures.pixels(evaluation),
    }
    drawn |= description.figures
    drawn |= {
        "large_scales": reach_figures.large_scales(evaluation),
        "reach": reach_figures.reach(evaluation),
    }
    if evaluation.others:
        drawn |= {
            "all_correlation": figures.correlations(evaluation),
            "all_response": figures.responses(evaluation),
            "all_noise": figures.noises(evaluation),
        }
    if evaluation.coverage is not None:
        drawn["coverage"] = coverage_section.figure(evaluation)
    if evaluation.regions:
        drawn["regions"] = regions_section.figure(evaluation)
    maps_png = style.save(drawn["maps"], "png")
    html = _page(subject, description, evaluation, checks, maps_png, drawn)
    return Pages(html, maps_png, drawn)


def caveats(lensing: LensingConfig) -> list[str]:
    """Says in plain words what a version's maps hold that a real sky does not."""
    notes = [departure.text for departure in realism.departures(lensing)]
    idealised = [c for ideal in realism.idealisations(lensing) for c in ideal.clauses]
    return [*notes, f"Idealised: {', '.join(idealised)}."]


def _page(
    subject: Subject,
    description: SubjectDescription,
    evaluation: Evaluation,
    checks: Checks | None,
    maps_png: bytes,
    drawn: Mapping[str, Figure],
) -> str:
    lensing, skill = evaluation.ensemble.config, evaluation.skill
    tiles = [
        (_plus_minus(skill.map_correlation), "map-level correlation ρ of true and estimated κ"),
        (_relative_mse(skill), "mean squared error, relative to estimating zero everywhere"),
        (f"{skill.num_examples:,}", f"{evaluation.split} examples judged"),
    ]
    if evaluation.share < 1:
        tiles.append(
            (f"{evaluation.share:.0%}", "of the map counts: all is judged inside the mask")
        )
    tiles += description.tiles
    maps_caption = f"Examples {', '.join(map(str, evaluation.gallery.index))}: {_MAPS}"
    if len(lensing.channels) > 1:
        maps_caption += _CHANNELS.format(", ".join(lensing.channels), lensing.channels[0])
    spectra_caption = _SPECTRA.format(measured_with())
    if lensing.padding > 1:
        spectra_caption += _CUT_OUT
    if lensing.kappa_lmax is not None:
        spectra_caption += _BEYOND_KAPPA_LMAX.format(lensing.kappa_lmax)
    title = f"{subject.name} on {subject.dataset.name}: estimated κ, judged"
    return page.document(
        title,
        page.head(title, description.lead),
        page.tiles(tiles),
        element("p", element("b", "What is left to win. "), left_to_win(evaluation), kind="lead"),
        page.beside(
            page.figure(*_large_scales(evaluation, drawn["large_scales"])),
            page.figure(*_reach(evaluation, drawn["reach"])),
        ),
        page.figure("Maps", maps_png, maps_caption, head=False, wide=True),
        element("p", element("b", _NOTE), " ".join(caveats(lensing)), kind="note"),
        _comparison(evaluation, drawn),
        page.section(
            "Scale by scale",
            page.beside(
                page.figure("Power spectra", drawn["spectra"], spectra_caption),
                page.figure("Cross-correlation ρ_L", drawn["correlation"], _CORRELATION),
                page.figure("Transfer function T_L", drawn["transfer"], _TRANSFER),
                page.figure("Pixel by pixel", drawn["pixels"], _PIXELS),
            ),
            page.card(_band_table(skill), element("p", _ERRORS)),
        ),
        coverage_section.section(evaluation, drawn["coverage"]) if "coverage" in drawn else "",
        regions_section.section(evaluation, drawn["regions"]) if "regions" in drawn else "",
        _checks(evaluation, checks),
        description.section,
        page.section("The dataset", page.card(page.settings(_dataset_rows(lensing)))),
        page.section(
            "Do it again", element("pre", _commands(subject, description, evaluation, checks))
        ),
    )


def _checks(evaluation: Evaluation, checks: Checks | None) -> str:
    if checks is None:
        return ""
    labels = {judged.estimator.name: judged.estimator.label for judged in evaluation.judged}
    return checks_section.section(checks, labels)


def _large_scales(evaluation: Evaluation, drawn: Figure) -> tuple[str, Figure, str]:
    """The figure with its title and its caption."""
    cut = reach_figures.large_scale_limit(evaluation.ensemble)
    title, modes = "κ at large scales", f", its modes at L < {cut:,.0f}"
    if math.isinf(cut):
        title, modes = "κ of all estimates", ""
    return title, drawn, _LARGE_SCALES.format(modes)


def _reach(evaluation: Evaluation, drawn: Figure) -> tuple[str, Figure, str]:
    title, text = "Correlation with κ", _REACH
    if evaluation.ensemble.forecasts:
        title, text = f"{title}, and the forecast", text + _FORECAST
    text += _POSTERIOR if measured_posterior(evaluation.ensemble.config) else ""
    return title, drawn, text


def _plus_minus(measured: Measured) -> Html:
    value, _, error = with_error(measured).partition(" ")
    return page.join(f"{value} ", element("small", error))


def _relative_mse(skill: Skill) -> str:
    return f"{float(skill.mse.value / skill.zero_mse.value):.1%}"


def _band_table(skill: Skill) -> Html:
    bands = skill.bands
    rows = [
        (f"{low:.0f}–{high:.0f}", f"{ell:.0f}", modes, with_error(rho), with_error(kept))
        for low, high, ell, modes, rho, kept in zip(
            bands.edges[:-1],
            bands.edges[1:],
            bands.ell,
            bands.num_modes.tolist(),
            map(Measured, *skill.rho_ell),
            map(Measured, *skill.transfer_ell),
            strict=True,
        )
    ]
    return page.grid(("band", "mean L", "modes", "ρ_L", "T_L"), rows, text=())


def _comparison(evaluation: Evaluation, drawn: Mapping[str, Figure]) -> Html | str:
    """The estimators side by side; nothing if there is but one."""
    if not evaluation.others:
        return ""
    families = [other.estimator.name.removesuffix("_wiener") for other in evaluation.others]
    grouped = any(name.endswith(tuple(figures.GROUPS)) for name in families)
    scales = (
        ("Cross-correlation ρ_L of all", "all_correlation", _RHO_ALL),
        ("Response R_L of all", "all_response", _RESPONSE_ALL),
        ("Reconstruction noise N_L of all", "all_noise", _NOISE_ALL),
    )
    verdicts = [comparison.sentence for comparison in beside_baselines(evaluation)]
    lines = [*verdicts, _TABLE, *([_MODES] if grouped else [])]
    return page.section(
        "Beside the estimators that a cosmologist would use",
        page.card(_estimator_table(evaluation), *(element("p", line) for line in lines)),
        page.below(*(page.figure(t, drawn[name], c, wide=True) for t, name, c in scales)),
    )


def _estimator_table(evaluation: Evaluation) -> Html:
    first = evaluation.judged[0]
    rows = []
    for judged in evaluation.judged:
        if not judged.estimator.is_normalised:
            rows.append((judged.estimator.label, *[NOT_NORMALISED] * 4, judged.estimator.basis))
            continue
        skill = judged.skill
        above = difference(first.skill, skill)
        rows.append(
            (
                judged.estimator.label,
                with_error(skill.map_correlation),
                "" if judged is first else f"{float(above.value):+.4f} ± {float(above.error):.4f}",
                _relative_mse(skill),
                page.figures(skill.relative_noise),
                judged.estimator.basis,
            )
        )
    heads = ("", "map-level ρ", "first row − this", "MSE", "N_L/C_L", "rests on")
    return page.grid(heads, rows, text=(0, 5))


def _dataset_rows(lensing: LensingConfig) -> list[tuple[str, object]]:
    return [
        (
            "patch",
            f"{math.degrees(lensing.side):.4g}° on a side, "
            f"{'periodic' if lensing.padding == 1 else 'cut out of a larger sky'}",
        ),
        ("pixel", f"{lensing.pixel_arcmin:.4g}′"),
        ("fundamental multipole", f"{lensing.sky.fundamental:.4g}"),
        ("Nyquist multipole", f"{lensing.sky.nyquist:.5g}"),
        *lensing.to_json().items(),
    ]


def _commands(
    subject: Subject, description: SubjectDescription, evaluation: Evaluation, checks: Checks | None
) -> str:
    lensing, data_dir = evaluation.ensemble.config, subject.dataset.data_dir
    evaluate = f"python -m trainer.evaluate {description.option} --split {evaluation.split}"
    if evaluation.skill.num_examples < lensing.num_examples[evaluation.split]:
        evaluate += f" --max_examples {evaluation.skill.num_examples}"
    if not evaluation.others:
        evaluate += " --no-baselines"
    if checks is not None:
        evaluate += " --checks"
    # The trainer builds only the versions by itself.
    builds = [] if lensing.name in VERSIONS else [build_command(lensing, data_dir)]
    return "\n".join([*builds, *description.commands, evaluate])
