"""A run, or predictions, judged on a split of its dataset, and what is written about it.

metrics.json holds

    dataset                 "lensing/<name>"
    split                   which examples were judged
    num_examples            how many of them
    model                   the network's name; of another group's predictions, their folder's
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

    noise_ell               reconstruction noise of the calibrated estimate: the spectrum of
                            estimate/response - truth, the response measured on other examples

beside each measured value `<name>_error`: its standard error, bootstrapped over examples, and

    estimators              an object a name: what the network was judged beside, on the same
                            examples; empty if it was judged alone. Each holds

        label               what it is, for people
        basis               what its normalisation or its filter rests on
        difference          the network's map_correlation - this one's, with its error from pairs
        mse, map_correlation, rho_ell, ... and their errors, as above

The names are `zero`; `qe_<pairs>` for a quadratic estimator, pairs being tt, eb, or mv for the
minimum-variance combination; `qe_<pairs>_ordinary` and `qe_<pairs>_all` where the maps carry power
that a real sky does not (see `baselines.references`); and each of these with `_wiener` added, the
same Wiener-filtered. noise_ell is null where the response is not above zero by 5 σ.

    checks                  null tests, skies off the training distribution and delensing: see
                            `estimators.checks`; null if they were not asked for
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from estimators import estimator
from estimators.checks import Checks
from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator
from estimators.judge import Evaluation, judge_estimators
from estimators.references import references
from estimators.reports import run_page, style
from estimators.resampling import Measured, with_error
from estimators.skill import Skill, difference
from estimators.subject import Predicted, Subject
from lensing_tfds.errors import LensingError
from lensing_tfds.records.reading import evaluation_batches
from lensing_tfds.records.storage import make_folder, replacing

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

_BATCH_SIZE = 32
_HELD_OUT = 1000  # examples on which baselines are calibrated where theory does not hold
_SECONDS_BETWEEN_LINES = 10


def evaluate(
    run: Subject, split: str = "test", max_examples: int | None = None, baselines: bool = True
) -> Evaluation:
    """Judges a run on a split of its dataset, beside the estimators that one would use instead.

    Args:
      run: the network, and the dataset it was trained on; or predictions.
      split: "train", "validation" or "test".
      max_examples: judge the first ones by index only; None judges all.
      baselines: judge quadratic estimators and zero too, on the same examples. The network's own
        numbers are the same without.

    Raises:
      LensingError: the run has no finished epoch; its dataset or the split is not there, or the
        dataset is another one now; the predictions are those of other examples; the estimates are
        not finite; or there are too few examples or modes to judge.
    """
    total = number_of_examples(run, split, max_examples)
    builder = run.builder()
    batches = evaluation_batches(builder, f"{split}[:{total}]", _BATCH_SIZE)
    ensemble = SkyEnsemble.of(run.lensing, str(builder.data_path))
    judged = [
        run.estimator(split, total)
        if isinstance(run, Predicted)
        else estimator.network(run.predict, f"network {run.config.model}")
    ]
    if baselines:
        judged += [*_references(ensemble, builder, split), estimator.zero()]
    return judge_estimators(
        _counted(batches, total, f"judging {run.config.dataset} {split}"),
        judged,
        ensemble,
        split,
        np.random.default_rng(0),  # the same run and examples give the same errors
    )


def number_of_examples(run: Subject, split: str, max_examples: int | None = None) -> int:
    """Counts what `evaluate` would judge, and refuses what it cannot.

    Args:
      run: the network, or predictions.
      split: "train", "validation" or "test".
      max_examples: as of `evaluate`.

    Raises:
      LensingError: the run has no finished epoch; its dataset or the split is not there, or the
        dataset is another one now; or it is fewer than two.
    """
    if max_examples is not None and max_examples < 2:
        raise LensingError(f"max_examples is {max_examples}: must be at least 2")
    if isinstance(run, Predicted):
        if run.split not in (None, split):
            raise LensingError(f"{run.workdir} holds predictions of {run.split}, not of {split}")
    elif len(run.history["epoch"]) == 0:
        raise LensingError(f"the run in {run.workdir} has no finished epoch yet")
    builder = run.builder()
    if split not in builder.info.splits:
        raise LensingError(
            f"{run.config.dataset} has no split {split!r}; it has {', '.join(builder.info.splits)}"
        )
    available = builder.info.splits[split].num_examples
    return min(available, max_examples or available)


def _references(
    ensemble: SkyEnsemble, builder: tfds.core.DatasetBuilder, split: str
) -> list[Estimator]:
    """The quadratic estimators of a run's version, calibrated on examples of another split."""
    other = "validation" if split == "train" else "train"
    number = min(_HELD_OUT, builder.info.splits[other].num_examples)
    return references(
        ensemble,
        lambda: evaluation_batches(builder, f"{other}[:{number}]", _BATCH_SIZE),
        f"the first {number:,} {'training' if other == 'train' else other} examples",
    )


def metrics(run: Subject, evaluation: Evaluation, checks: Checks | None = None) -> dict[str, Any]:
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
    values |= _measured(skill)
    values["estimators"] = {}
    for other in evaluation.others:
        above = difference(skill, other.skill)
        values["estimators"][other.estimator.name] = {
            "label": other.estimator.label,
            "basis": other.estimator.basis,
            "difference": float(above.value),
            "difference_error": float(above.error),
            **_measured(other.skill),
        }
    values["checks"] = None if checks is None else checks.to_json()
    return values


def _measured(skill: Skill) -> dict[str, Any]:
    """All measured values and their errors, NaN as None."""
    values = {}
    for field in dataclasses.fields(skill):
        measured = getattr(skill, field.name)
        if isinstance(measured, Measured):
            values[field.name] = _json(measured.value)
            values[f"{field.name}_error"] = _json(measured.error)
    return values


def _json(values: NDArray[np.float64]) -> Any:
    if np.ndim(values) == 0:
        return float(values)
    return [None if math.isnan(value) else value for value in values.tolist()]


def write(
    run: Subject, evaluation: Evaluation, export: bool = False, checks: Checks | None = None
) -> Path:
    """Writes the metrics, the report and its first figure into the run's folder.

    Everything is made before anything is written, and each file is there whole or not at all.

    Args:
      run: the network; where to write.
      evaluation: how it did.
      export: write each figure as a PDF and a PNG too, into the folder's `figures`.
      checks: what else was found; None if it was not looked for.

    Returns:
      The report's path.

    Raises:
      LensingError: the folder cannot be written to.
    """
    suffix = "" if evaluation.split == "test" else f"-{evaluation.split}"
    report_path = run.workdir / f"report{suffix}.html"
    text = json.dumps(metrics(run, evaluation, checks), indent=2, allow_nan=False)
    pages = run_page.render(run, evaluation, checks)
    files = {
        run.workdir / f"maps{suffix}.png": pages.maps_png,
        report_path: pages.html.encode(),
        run.workdir / f"metrics{suffix}.json": f"{text}\n".encode(),
    }
    if export:
        folder = run.workdir / f"figures{suffix}"
        for name, figure in pages.figures.items():
            files[folder / f"{name}.pdf"] = style.save(figure, "pdf")
            files[folder / f"{name}.png"] = style.save(figure, "png")
        make_folder(folder)
    for path, content in files.items():
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    return report_path


def summary(run: Subject, evaluation: Evaluation) -> str:
    """Returns the result in a few lines of text."""
    skill = evaluation.skill
    remaining = float(skill.mse.value / skill.zero_mse.value)
    lines = [
        f"{run.config.dataset} {evaluation.split}: {run.config.model}, "
        f"{skill.num_examples} examples",
        f"map-level correlation  {with_error(skill.map_correlation)}",
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
    if evaluation.others:
        width = max(len(judged.estimator.label) for judged in evaluation.judged)
        lines.append(f"{'':{width}}  map-level rho      mean squared error")
        for judged in evaluation.judged:
            mse = float(judged.skill.mse.value / judged.skill.zero_mse.value)
            lines.append(
                f"{judged.estimator.label:{width}}  {with_error(judged.skill.map_correlation)}"
                f"{mse:11.1%}"
            )
        lines += run_page.verdicts(evaluation)
    return "\n".join(lines)


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
