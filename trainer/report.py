"""A judged run as one self-contained page: figures inside, no scripts, nothing fetched."""

from __future__ import annotations

import base64
import io
import math
import shlex
from collections.abc import Iterable
from html import escape
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from lensing_tfds.command_line import build_command
from lensing_tfds.configs import VERSIONS, LensingConfig
from trainer import figures
from trainer.judge import Evaluation
from trainer.memory import estimate_memory
from trainer.run import Run
from trainer.skill import Measured, Skill

_CSS = """
:root { --ink: #1d2530; --soft: #5a6472; --line: #e1e5ea; --blue: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f6f8; color: var(--ink);
       font: 16px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 1.2rem; margin: 36px 0 12px; }
h3 { font-size: 1.02rem; margin: 0 0 6px; }
p { margin: 0 0 10px; }
.lead { color: var(--soft); margin-bottom: 18px; max-width: 54rem; }
.tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); }
.tile, figure, .card { background: #fff; border: 1px solid var(--line); border-radius: 8px;
                       padding: 14px 18px; margin: 0; }
.tile b { display: block; font-size: 1.7rem; line-height: 1.25; color: var(--blue);
          font-variant-numeric: tabular-nums; }
.tile b small { font-size: 1rem; font-weight: 500; color: var(--soft); }
.tile span { color: var(--soft); font-size: 0.9rem; }
figure img { display: block; width: 100%; height: auto; }
figcaption, .card p { color: var(--soft); font-size: 0.9rem; margin-top: 8px; }
.tiles + figure, .pair + .card { margin-top: 14px; }
.tiles + figure h3 { display: none; }
.pair { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(430px, 1fr)); }
.note { border-left: 4px solid #e69f00; background: #fffaf0; padding: 10px 16px; margin: 16px 0 0;
        font-size: 0.93rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
td, th { text-align: left; padding: 4px 10px 4px 0; border-bottom: 1px solid var(--line);
         vertical-align: top; }
td:first-child { color: var(--soft); }
td:last-child { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.numbers td, .numbers th { text-align: right; color: var(--ink); padding-right: 22px;
                           font-variant-numeric: tabular-nums; }
pre { background: #1d2530; color: #eef2f6; border-radius: 8px; padding: 14px 18px; margin: 0;
      font-size: 0.85rem; white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 520px) { .pair { grid-template-columns: 1fr; }
                           .numbers td, .numbers th { padding-right: 6px; } }
@media print { body { background: #fff; font-size: 12px; }
               figure, .tile, .card { break-inside: avoid; }
               pre { background: #fff; color: #000; border: 1px solid var(--line); } }
"""

_LEAD = (
    "A network sees a lensed map of the cosmic microwave background and estimates the convergence "
    "κ: the projected matter that lensed it. Here its estimates meet the truth, on skies that it "
    "was not trained on."
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
_PIXELS = (
    "How often each pair of values occurs in a pixel. Squares: the mean truth wherever the network "
    "says a certain value. Where they follow the line, the network can be taken at its word."
)
_HISTORY = (
    "Loss: the mean squared error relative to κ's variance, so that 1 is as good as estimating "
    "zero. Dotted: the epoch judged here, the one with the lowest validation loss."
)
_ERRORS = "Error bars and ± are standard errors over examples, drawn independently (bootstrap)."


class Pages(NamedTuple):
    """What a report is made of: the page, and its first figure for use elsewhere."""

    html: str
    maps_png: bytes


def render(run: Run, evaluation: Evaluation) -> Pages:
    """Draws a judged run.

    Args:
      run: the network, its settings and its history.
      evaluation: how it did.
    """
    maps_png = _png(figures.maps(evaluation, run.lensing))
    return Pages(_page(run, evaluation, maps_png), maps_png)


def caveats(lensing: LensingConfig) -> list[str]:
    """Says in plain words what a version's maps hold that a real sky does not."""
    notes = []
    if lensing.fixed_unlensed:
        notes.append(
            "Every example lenses the same unlensed sky, which the network can learn by heart; on "
            "a real sky it is unknown."
        )
    if lensing.kappa_exaggeration_factor != 1:
        notes.append(
            f"κ is exaggerated {lensing.kappa_exaggeration_factor:g} times, and the exaggerated κ "
            "is the truth here."
        )
    nyquist = lensing.sky.nyquist
    if lensing.T_lmax is not None and lensing.T_lmax < nyquist:
        notes.append(
            f"The unlensed temperature stops at T_lmax = {lensing.T_lmax}: what lies above it was "
            f"put there by lensing alone{_noise_clause(lensing)}, a signal that no real sky offers."
        )
    else:
        notes.append(
            f"The sky is lensed on the grid of the maps: power that lensing moves across the "
            f"grid's Nyquist multipole, {nyquist:.0f}, comes back aliased, a signal that no real "
            "sky offers."
        )
    return notes


def _noise_clause(lensing: LensingConfig) -> str:
    return "" if lensing.noise_uK_arcmin else ", free of noise"


def _page(run: Run, evaluation: Evaluation, maps_png: bytes) -> str:
    skill = evaluation.skill
    split, dataset, model = map(escape, (evaluation.split, run.config.dataset, run.config.model))
    remaining = float(skill.mse.value / skill.zero_mse.value)
    tiles = (
        (_plus_minus(skill.map_correlation), "map-level correlation ρ of true and estimated κ"),
        (f"{remaining:.1%}", "mean squared error, relative to estimating zero everywhere"),
        (f"{skill.num_examples:,}", f"{split} examples judged"),
        (f"{run.model.count_params():,}", f"parameters of the network {model}"),
    )
    shown = ", ".join(str(index) for index in evaluation.gallery.index)
    maps = _figure("Maps", _data_uri(maps_png, "image/png"), f"Examples {shown}: {_MAPS}")
    spectra_caption = _SPECTRA
    if run.lensing.kappa_lmax is not None:
        spectra_caption += _BEYOND_KAPPA_LMAX.format(run.lensing.kappa_lmax)
    scales = (
        ("Power spectra", figures.spectra(evaluation, run.lensing), spectra_caption),
        ("Cross-correlation ρ_L", figures.correlation(evaluation), _CORRELATION),
        ("Transfer function T_L", figures.transfer(evaluation), _TRANSFER),
        ("Pixel by pixel", figures.pixels(evaluation), _PIXELS),
    )
    history = ("Learning history", figures.history(run.history), _HISTORY)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{model} on {dataset}: estimated κ, judged</title>
<style>{_CSS}</style>
</head>
<body>
<main>
<h1>{model} on {dataset}: estimated κ, judged</h1>
<p class="lead">{_LEAD}</p>
<div class="tiles">{"".join(_tile(*tile) for tile in tiles)}</div>
{maps}
<p class="note"><b>What a real sky would not give.</b> {escape(" ".join(caveats(run.lensing)))}</p>
<h2>Scale by scale</h2>
<div class="pair">{"".join(_svg_figure(*scale) for scale in scales)}</div>
<div class="card">{_band_table(skill)}<p>{_ERRORS}</p></div>
<h2>Training</h2>
<div class="pair">{_svg_figure(*history)}<div class="card">{_table(_run_rows(run))}</div></div>
<h2>The dataset</h2>
<div class="card">{_table(_dataset_rows(run.lensing))}</div>
<h2>Do it again</h2>
<pre>{escape(_commands(run, evaluation))}</pre>
</main>
</body>
</html>
"""


def _tile(value: str, caption: str) -> str:
    return f'<div class="tile"><b>{value}</b><span>{caption}</span></div>'


def _plus_minus(measured: Measured) -> str:
    return f"{float(measured.value):.4f} <small>± {float(measured.error):.4f}</small>"


def _figure(title: str, source: str, caption: str) -> str:
    return (
        f'<figure><h3>{escape(title)}</h3><img src="{source}" alt="{escape(title)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _svg_figure(title: str, figure: Figure, caption: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _figure(title, _data_uri(buffer.getvalue(), "image/svg+xml"), caption)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _table(rows: Iterable[tuple[str, object]]) -> str:
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(_text(value))}</td></tr>" for name, value in rows
    )
    return f"<table>{cells}</table>"


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


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


def _run_rows(run: Run) -> list[tuple[str, object]]:
    history, config = run.history, run.config
    best = int(np.argmin(history["val_loss"]))
    memory = estimate_memory(run.model, config.batch_size, config.optimizer)
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
        ("patch", f"{math.degrees(lensing.side):.4g}° on a side, periodic"),
        ("pixel", f"{lensing.pixel_arcmin:.4g}′"),
        ("fundamental multipole", f"{lensing.sky.fundamental:.4g}"),
        ("Nyquist multipole", f"{lensing.sky.nyquist:.5g}"),
        *lensing.to_json().items(),
    ]


def _commands(run: Run, evaluation: Evaluation) -> str:
    config, lensing = run.config, run.lensing
    data_dir, workdir = shlex.quote(config.data_dir), shlex.quote(str(run.workdir))
    train = (
        f"python -m trainer --dataset {config.dataset} --data_dir {data_dir} --workdir {workdir} "
        f"--model {config.model} --epochs {config.epochs} --batch_size {config.batch_size} "
        f"--learning_rate {config.learning_rate:g} --seed {config.seed} "
        f"--{'' if config.augment else 'no-'}augment"
    )
    if config.max_examples is not None:
        train += f" --max_examples {config.max_examples}"
    evaluate = f"python -m trainer.evaluate --workdir {workdir} --split {evaluation.split}"
    if evaluation.skill.num_examples < lensing.num_examples[evaluation.split]:
        evaluate += f" --max_examples {evaluation.skill.num_examples}"
    lines = [train, evaluate]
    if lensing.name not in VERSIONS:  # the trainer builds only those by itself
        lines.insert(0, build_command(lensing, config.data_dir))
    return "\n".join(lines)
