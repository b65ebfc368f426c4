"""A judged run as one self-contained page: figures inside, no scripts, nothing fetched."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from html import escape
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from estimators.checks import Checks
from estimators.judge import Evaluation
from estimators.reports import checks_section, figures, page
from estimators.resampling import Measured, with_error
from estimators.skill import Skill, difference
from estimators.subject import Predicted, Subject
from lensing_tfds import realism
from lensing_tfds.command_line import build_command
from lensing_tfds.configs import LensingConfig
from lensing_tfds.versions import VERSIONS
from trainer.run import Run

_LEAD = (
    "A network sees a lensed map of the cosmic microwave background and estimates the convergence "
    "κ: the projected matter that lensed it. Here its estimates meet the truth, on skies that it "
    "was not trained on."
)
_PREDICTIONS_LEAD = (
    "Estimates, from files, of the convergence κ: the projected matter that lensed a map of the "
    "cosmic microwave background. Here they meet the truth."
)
_MAPS = (
    "the first of the split, not picked. In each row true κ, estimate and residual share one "
    "colour scale, white at zero. The last column is what the network missed or made up."
)
_SPECTRA = (
    "Raw C_L, the mean over examples, measured with NaMaster. True κ follows the spectrum that it "
    "is drawn from. An estimate of least squared error drops below the truth where the maps tell "
    "it little; a residual above the truth is worse than estimating zero."
)
_CUT_OUT = (
    " The patch is cut out of a larger sky: jumps at its edges, which no spectrum knows of, add "
    "power at high L."
)
_BEYOND_KAPPA_LMAX = (
    " True κ has no power above L = {}: what the estimate has there counts in the map-level "
    "numbers only."
)
_CORRELATION = (
    "Are the estimate's hills and valleys where the truth's are? 1 is perfect, 0 is chance. The "
    "estimate's amplitude plays no part."
)
_TRANSFER = (
    "How much of the true amplitude the estimate keeps. A network that minimises the squared error "
    "is right to keep less than all: the best such estimate, the posterior mean, keeps ρ_L² "
    "(triangles). Squares away from the triangles mean a network that is not yet trained out, or "
    "that cannot represent the posterior mean."
)
_RHO_ALL = (
    "The Wiener filter changes an estimate's amplitude and not ρ_L, but for wide bands, within "
    "which it weighs modes anew."
)
_RESPONSE_ALL = (
    "R_L = <κ̂κ>/<κκ>, 1 for an unbiased estimate. A Wiener-filtered or a network's estimate is "
    "right to have less: ρ_L² where it is the best."
)
_NOISE_ALL = (
    "N_L, the spectrum of κ̂/R_L − κ: all are made unbiased first, each half of the examples with "
    "the response measured on the other. Nothing is drawn where the response is not above zero by "
    "5 σ. Line: true κ."
)
_PIXELS = (
    "How often each pair of values occurs in a pixel. Squares: the mean truth wherever the network "
    "says a certain value. Where they follow the line, the network can be taken at its word."
)
_HISTORY = (
    "Loss: the mean squared error relative to κ's variance, so that 1 is as good as estimating "
    "zero. Dotted: the epoch judged here, the one with the lowest validation loss."
)
_CHANNELS = " The network sees {}; shown is {}."
_ERRORS = "Error bars and ± are standard errors over examples, drawn independently (bootstrap)."

_SIGNIFICANT = 2.0  # sigma, for one estimator to beat another


class Pages(NamedTuple):
    """What a report is made of: the page, its first figure, and all figures by name."""

    html: str
    maps_png: bytes
    figures: dict[str, Figure]


def render(run: Subject, evaluation: Evaluation, checks: Checks | None = None) -> Pages:
    """Draws a judged run.

    Args:
      run: the network, its settings and its history; or predictions, without these.
      evaluation: how it did.
      checks: what else was found; None if it was not looked for.
    """
    drawn = {
        "maps": figures.maps(evaluation, run.lensing),
        "spectra": figures.spectra(evaluation, run.lensing),
        "correlation": figures.correlation(evaluation),
        "transfer": figures.transfer(evaluation),
        "pixels": figures.pixels(evaluation),
    }
    if isinstance(run, Run):
        drawn["history"] = figures.history(run.history)
    if evaluation.others:
        drawn |= {
            "all_correlation": figures.correlations(evaluation),
            "all_response": figures.responses(evaluation),
            "all_noise": figures.noises(evaluation),
        }
    maps_png = page.png(drawn["maps"])
    return Pages(_page(run, evaluation, checks, maps_png, drawn), maps_png, drawn)


def caveats(lensing: LensingConfig) -> list[str]:
    """Says in plain words what a version's maps hold that a real sky does not."""
    notes = [departure.text for departure in realism.departures(lensing)]
    idealised = [c for ideal in realism.idealisations(lensing) for c in ideal.clauses]
    return [*notes, f"Idealised: {', '.join(idealised)}."]


def verdicts(evaluation: Evaluation) -> list[str]:
    """Says of each Wiener-filtered quadratic estimator whether the first estimator beats it."""
    lines = []
    for other in evaluation.others:
        if not other.estimator.name.endswith("_wiener"):
            continue
        above = difference(evaluation.skill, other.skill)
        sigmas = float(above.value) / float(above.error) if above.error > 0 else 0.0
        verb = (
            "matches" if abs(sigmas) < _SIGNIFICANT else "beats" if sigmas > 0 else "is beaten by"
        )
        lines.append(
            f"The {evaluation.judged[0].estimator.label} {verb} {other.estimator.label}: map-level "
            f"ρ {float(above.value):+.4f} ± {float(above.error):.4f}."
        )
    return lines


def _page(
    run: Subject,
    evaluation: Evaluation,
    checks: Checks | None,
    maps_png: bytes,
    drawn: Mapping[str, Figure],
) -> str:
    skill = evaluation.skill
    split, dataset, model = map(escape, (evaluation.split, run.config.dataset, run.config.model))
    remaining = float(skill.mse.value / skill.zero_mse.value)
    tiles = [
        (_plus_minus(skill.map_correlation), "map-level correlation ρ of true and estimated κ"),
        (f"{remaining:.1%}", "mean squared error, relative to estimating zero everywhere"),
        (f"{skill.num_examples:,}", f"{split} examples judged"),
    ]
    if isinstance(run, Run):
        tiles.append((f"{run.model.count_params():,}", f"parameters of the network {model}"))
    shown = ", ".join(str(index) for index in evaluation.gallery.index)
    channels = run.lensing.channels
    caption = f"Examples {shown}: {_MAPS}"
    if len(channels) > 1:
        caption += _CHANNELS.format(", ".join(channels), channels[0])
    maps = page.figure("Maps", page.data_uri(maps_png, "image/png"), caption)
    spectra_caption = _SPECTRA
    if run.lensing.padding > 1:
        spectra_caption += _CUT_OUT
    if run.lensing.kappa_lmax is not None:
        spectra_caption += _BEYOND_KAPPA_LMAX.format(run.lensing.kappa_lmax)
    scales = (
        ("Power spectra", drawn["spectra"], spectra_caption),
        ("Cross-correlation ρ_L", drawn["correlation"], _CORRELATION),
        ("Transfer function T_L", drawn["transfer"], _TRANSFER),
        ("Pixel by pixel", drawn["pixels"], _PIXELS),
    )
    title = f"{model} on {dataset}: estimated κ, judged"
    body = f"""<h1>{title}</h1>
<p class="lead">{_LEAD if isinstance(run, Run) else _PREDICTIONS_LEAD}</p>
<div class="tiles">{"".join(page.tile(*tile) for tile in tiles)}</div>
{maps}
<p class="note"><b>What a real sky would not give.</b> {escape(" ".join(caveats(run.lensing)))}</p>
{_comparison(evaluation, drawn)}
<h2>Scale by scale</h2>
<div class="pair">{"".join(page.svg_figure(*scale) for scale in scales)}</div>
<div class="card">{_band_table(skill)}<p>{_ERRORS}</p></div>
{_checks(evaluation, checks)}
{_training(run, drawn["history"]) if isinstance(run, Run) else ""}
<h2>The dataset</h2>
<div class="card">{page.table(_dataset_rows(run.lensing))}</div>
<h2>Do it again</h2>
<pre>{escape(_commands(run, evaluation, checks))}</pre>"""
    return page.document(title, body)


def _checks(evaluation: Evaluation, checks: Checks | None) -> str:
    if checks is None:
        return ""
    labels = {judged.estimator.name: judged.estimator.label for judged in evaluation.judged}
    return checks_section.section(checks, labels)


def _training(run: Run, drawn: Figure) -> str:
    history = ("Learning history", drawn, _HISTORY)
    return f"""<h2>Training</h2>
<div class="pair">{page.svg_figure(*history)}
<div class="card">{page.table(_run_rows(run))}</div></div>"""


def _plus_minus(measured: Measured) -> str:
    return f"{float(measured.value):.4f} <small>± {float(measured.error):.4f}</small>"


def _band_table(skill: Skill) -> str:
    bands = skill.bands
    rows = "".join(
        f"<tr><td>{low:.0f}–{high:.0f}</td><td>{ell:.0f}</td><td>{modes}</td>"
        f"<td>{rho:.4f} ± {rho_error:.4f}</td><td>{kept:.4f} ± {kept_error:.4f}</td></tr>"
        for low, high, ell, modes, rho, rho_error, kept, kept_error in zip(
            bands.edges[:-1],
            bands.edges[1:],
            bands.ell,
            bands.num_modes,
            *skill.rho_ell,
            *skill.transfer_ell,
            strict=True,
        )
    )
    heads = "".join(f"<th>{head}</th>" for head in ("band", "mean L", "modes", "ρ_L", "T_L"))
    return f'<table class="numbers"><tr>{heads}</tr>{rows}</table>'


def _comparison(evaluation: Evaluation, drawn: Mapping[str, Figure]) -> str:
    """The estimators side by side; nothing if there is but one."""
    if not evaluation.others:
        return ""
    scales = (
        ("Cross-correlation ρ_L of all", drawn["all_correlation"], _RHO_ALL),
        ("Response R_L of all", drawn["all_response"], _RESPONSE_ALL),
        ("Reconstruction noise N_L of all", drawn["all_noise"], _NOISE_ALL),
    )
    said = "".join(f"<p>{escape(line)}</p>" for line in verdicts(evaluation))
    return f"""<h2>Beside the estimators that a cosmologist would use</h2>
<div class="card">{_estimator_table(evaluation)}{said}<p>{escape(_TABLE)}</p></div>
<div class="stack">{"".join(page.svg_figure(*scale) for scale in scales)}</div>"""


_TABLE = (
    "All on the same examples. MSE: mean squared error, relative to estimating zero. N_L/C_L: "
    "noise of the calibrated estimate relative to true κ, the median over the bands in which it is "
    "known. ± are standard errors over examples; those of differences are of pairs."
)


def _estimator_table(evaluation: Evaluation) -> str:
    first = evaluation.judged[0]
    rows = []
    for judged in evaluation.judged:
        skill = judged.skill
        above = difference(first.skill, skill)
        ratio = skill.noise_ell.value / skill.true_cl.value
        known = ratio[np.isfinite(ratio)]
        cells = (
            with_error(skill.map_correlation),
            f"{float(above.value):+.4f} ± {float(above.error):.4f}" if judged is not first else "",
            f"{float(skill.mse.value / skill.zero_mse.value):.1%}",
            f"{np.median(known):.3g}" if known.size else "–",
            escape(judged.estimator.basis),
        )
        rows.append(
            f"<tr><th>{escape(judged.estimator.label)}</th>"
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
        )
    heads = ("", "map-level ρ", "first row − this", "MSE", "N_L/C_L", "rests on")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f'<table class="numbers estimators"><tr>{head}</tr>{"".join(rows)}</table>'


def _run_rows(run: Run) -> list[tuple[str, object]]:
    history, config = run.history, run.config
    best = int(np.argmin(history["val_loss"]))
    memory = run.memory
    return [
        ("epochs trained", f"{len(history['epoch'])}, the best is {history['epoch'][best]:.0f}"),
        ("time trained", f"{history['seconds'].sum() / 60:.1f} minutes"),
        ("parameters", f"{run.model.count_params():,}"),
        (
            "memory of a training step",
            f"about {memory.total / 2**20:,.0f} MiB, of which activations "
            f"{memory.activations / 2**20:,.0f} MiB (estimated)",
        ),
        *config.to_json().items(),
    ]


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


def _commands(run: Subject, evaluation: Evaluation, checks: Checks | None) -> str:
    config, lensing = run.config, run.lensing
    data_dir, workdir = shlex.quote(config.data_dir), shlex.quote(str(run.workdir))
    if isinstance(run, Predicted):
        lines = []
        evaluate = (
            f"python -m trainer.evaluate --predictions {workdir} --dataset {config.dataset} "
            f"--data_dir {data_dir} --split {evaluation.split}"
        )
    else:
        lines = [_train_command(run)]
        evaluate = f"python -m trainer.evaluate --workdir {workdir} --split {evaluation.split}"
    if evaluation.skill.num_examples < lensing.num_examples[evaluation.split]:
        evaluate += f" --max_examples {evaluation.skill.num_examples}"
    if not evaluation.others:
        evaluate += " --no-baselines"
    if checks is not None:
        evaluate += " --checks"
    lines.append(evaluate)
    if lensing.name not in VERSIONS:  # the trainer builds only those by itself
        lines.insert(0, build_command(lensing, config.data_dir))
    return "\n".join(lines)


def _train_command(run: Run) -> str:
    config = run.config
    data_dir, workdir = shlex.quote(config.data_dir), shlex.quote(str(run.workdir))
    train = (
        f"python -m trainer --dataset {config.dataset} --data_dir {data_dir} --workdir {workdir} "
        f"--model {config.model} --epochs {config.epochs} --batch_size {config.batch_size} "
        f"--learning_rate {config.learning_rate:g} --seed {config.seed} "
        f"--{'' if config.augment else 'no-'}augment"
    )
    if config.max_examples is not None:
        train += f" --max_examples {config.max_examples}"
    return train
