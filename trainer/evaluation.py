"""A run, judged on a split of its dataset, and what is written about it.

metrics.json holds

    dataset                 "lensing/<name>"
    split                   which examples were judged
    num_examples            how many of them
    model                   the network's name
    mse                     mean squared error of κ per pixel
    zero_mse                the same for the trivial estimate, zero
    map_correlation         Pearson's correlation of true and estimated κ over all pixels
    ell                     mean multipole of a band's modes; one number a band, as all that follow
    ell_edges               the bands' edges, one more than there are bands
    num_modes               modes in a band
    rho_ell                 cross-correlation of true and estimated κ
    transfer_ell            transfer function, <C^κκ̂>/<C^κκ>
    true_cl, estimate_cl    mean spectra of true and estimated κ, raw C_l
    cross_cl, residual_cl   their cross-spectrum, and the spectrum of estimate - truth
    expected_cl             the spectrum that true κ was drawn from, averaged over each band's modes

and, beside each measured value, `<name>_error`: its standard error, bootstrapped over examples.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import LensingError
from lensing_tfds.cosmology import spectra_of
from trainer import report
from trainer.files import replacing
from trainer.judge import Evaluation, judge
from trainer.run import Run
from trainer.skill import Measured
from trainer.stream import evaluation_batches

_BATCH_SIZE = 32
_SECONDS_BETWEEN_LINES = 10


def evaluate(run: Run, split: str = "test", max_examples: int | None = None) -> Evaluation:
    """Judges a run on a split of its dataset.

    Args:
      run: the network, and the dataset it was trained on.
      split: "train", "validation" or "test".
      max_examples: judge the first ones by index only; None judges all.

    Raises:
      LensingError: the run has no finished epoch; its dataset or the split is not there, or the
        dataset is another one now; the estimates are not finite; or there are too few examples or
        modes to judge.
    """
    if max_examples is not None and max_examples < 2:
        raise LensingError(f"max_examples is {max_examples}: must be at least 2")
    if len(run.history["epoch"]) == 0:
        raise LensingError(f"the run in {run.workdir} has no finished epoch yet")
    builder = run.builder()
    if split not in builder.info.splits:
        raise LensingError(
            f"{run.config.dataset} has no split {split!r}; it has {', '.join(builder.info.splits)}"
        )
    available = builder.info.splits[split].num_examples
    total = min(available, max_examples or available)
    batches = evaluation_batches(builder, f"{split}[:{total}]", _BATCH_SIZE)
    return judge(
        _counted(batches, total, f"judging {run.config.dataset} {split}"),
        run.predict,
        run.lensing,
        split,
        np.random.default_rng(0),  # the same run and examples give the same errors
        spectra_of(run.lensing, str(builder.data_path)),
    )


def metrics(run: Run, evaluation: Evaluation) -> dict[str, Any]:
    """Returns what metrics.json holds, as the module's docstring lists it."""
    skill = evaluation.skill
    values: dict[str, Any] = {
        "dataset": run.config.dataset,
        "split": evaluation.split,
        "num_examples": skill.num_examples,
        "model": run.config.model,
        "ell": skill.bands.ell.tolist(),
        "ell_edges": skill.bands.edges.tolist(),
        "num_modes": skill.bands.num_modes.tolist(),
        "expected_cl": evaluation.expected_cl.tolist(),
    }
    for field in dataclasses.fields(skill):
        measured = getattr(skill, field.name)
        if isinstance(measured, Measured):
            values[field.name] = measured.value.tolist()
            values[f"{field.name}_error"] = measured.error.tolist()
    return values


def write(run: Run, evaluation: Evaluation) -> Path:
    """Writes the metrics, the report and its first figure into the run's folder.

    Everything is made before anything is written, and each file is there whole or not at all.

    Returns:
      The report's path.

    Raises:
      LensingError: the folder cannot be written to.
    """
    suffix = "" if evaluation.split == "test" else f"-{evaluation.split}"
    page = run.workdir / f"report{suffix}.html"
    text = json.dumps(metrics(run, evaluation), indent=2, allow_nan=False)
    pages = report.render(run, evaluation)
    for path, content in (
        (run.workdir / f"maps{suffix}.png", pages.maps_png),
        (page, pages.html.encode()),
        (run.workdir / f"metrics{suffix}.json", f"{text}\n".encode()),
    ):
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    return page


def summary(run: Run, evaluation: Evaluation) -> str:
    """Returns the result in a few lines of text."""
    skill = evaluation.skill
    remaining = float(skill.mse.value / skill.zero_mse.value)
    lines = [
        f"{run.config.dataset} {evaluation.split}: {run.config.model}, "
        f"{skill.num_examples} examples",
        f"map-level correlation  {_with_error(skill.map_correlation)}",
        f"mean squared error     {float(skill.mse.value):.4g}, "
        f"{remaining:.1%} of the zero estimate's",
        "     L     rho_L              transfer",
    ]
    for ell, rho, rho_error, transfer, transfer_error in zip(
        skill.bands.ell, *skill.rho_ell, *skill.transfer_ell, strict=True
    ):
        lines.append(
            f"{ell:6.0f}   {rho:7.4f} ± {rho_error:.4f}   {transfer:7.4f} ± {transfer_error:.4f}"
        )
    return "\n".join(lines)


def _with_error(measured: Measured) -> str:
    return f"{float(measured.value):.4f} ± {float(measured.error):.4f}"


def _counted(
    batches: Iterable[Mapping[str, NDArray]], total: int, title: str
) -> Iterator[Mapping[str, NDArray]]:
    """Prints how far the judging is, now and then."""
    done, shown = 0, time.monotonic()
    for batch in batches:
        yield batch
        done += len(batch["index"])
        if time.monotonic() - shown > _SECONDS_BETWEEN_LINES:
            shown = time.monotonic()
            print(f"{title}: {done}/{total} examples", file=sys.stderr, flush=True)
