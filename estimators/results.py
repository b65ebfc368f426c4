"""Writes the metrics, the report and the figures of a judged subject, and sums them up."""

from __future__ import annotations

from pathlib import Path

from estimators.baselines import beside_baselines
from estimators.checks import Checks
from estimators.judge import Evaluation
from estimators.metrics_json import Metrics, file_name
from estimators.reach import left_to_win
from estimators.reports import coverage_section, regions_section, run_page, style
from estimators.resampling import NOT_NORMALISED, with_error
from estimators.subject import Subject
from lensing_tfds.records.storage import make_folder, replacing


def write(
    subject: Subject, evaluation: Evaluation, export: bool = False, checks: Checks | None = None
) -> Path:
    """Writes the metrics, the report and its gallery of maps into the subject's folder.

    Everything is made before anything is written, and each file is there whole or not at all.

    Args:
      subject: what was judged; where to write.
      evaluation: how it did.
      export: write each figure as a PDF and a PNG too, into the folder's `figures`.
      checks: what else was found; None if it was not looked for.

    Returns:
      The report's path.

    Raises:
      LensingError: the folder cannot be written to.
    """
    workdir = subject.workdir
    suffix = "" if evaluation.split == "test" else f"-{evaluation.split}"
    report_path = workdir / f"report{suffix}.html"
    metrics = Metrics.of(subject.dataset.name, subject.name, evaluation, checks)
    pages = run_page.render(subject, evaluation, checks)
    files = {
        workdir / f"maps{suffix}.png": pages.maps_png,
        report_path: pages.html.encode(),
        workdir / file_name(evaluation.split): metrics.to_text().encode(),
    }
    if export:
        folder = workdir / f"figures{suffix}"
        for name, figure in pages.figures.items():
            files[folder / f"{name}.pdf"] = style.save(figure, "pdf")
            files[folder / f"{name}.png"] = style.save(figure, "png")
        make_folder(folder)
    for path, content in files.items():
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    return report_path


def summary(subject: Subject, evaluation: Evaluation) -> str:
    """Returns the result in a few lines of text."""
    skill = evaluation.skill
    remaining = float(skill.mse.value / skill.zero_mse.value)
    lines = [
        f"{subject.dataset.name} {evaluation.split}: {subject.name}, {skill.num_examples} examples",
        f"map-level correlation  {with_error(skill.map_correlation)}",
        f"mean squared error     {float(skill.mse.value):.4g}, "
        f"{remaining:.1%} of the zero estimate's",
        "     L     rho_L              transfer",
    ]
    if evaluation.share < 1:
        lines.insert(1, f"judged inside the mask: {evaluation.share:.0%} of the map counts")
    if subject.caution:
        lines.insert(1, subject.caution)
    for ell, rho, rho_error, transfer, transfer_error in zip(
        skill.bands.ell, *skill.rho_ell, *skill.transfer_ell, strict=True
    ):
        lines.append(
            f"{ell:6.0f}   {rho:7.4f} ± {rho_error:.4f}   {transfer:7.4f} ± {transfer_error:.4f}"
        )
    lines += regions_section.sentences(evaluation)
    if evaluation.coverage is not None:
        lines.append(coverage_section.sentence(evaluation.coverage, evaluation.split))
    if evaluation.others:
        width = max(len(judged.estimator.label) for judged in evaluation.judged)
        lines.append(f"{'':{width}}  map-level rho      mean squared error")
        for judged in evaluation.judged:
            if not judged.estimator.is_normalised:
                lines.append(f"{judged.estimator.label:{width}}  {NOT_NORMALISED}")
                continue
            mse = float(judged.skill.mse.value / judged.skill.zero_mse.value)
            lines.append(
                f"{judged.estimator.label:{width}}  {with_error(judged.skill.map_correlation)}"
                f"{mse:11.1%}"
            )
        lines += [comparison.sentence for comparison in beside_baselines(evaluation)]
        lines.append(left_to_win(evaluation))
    return "\n".join(lines)
