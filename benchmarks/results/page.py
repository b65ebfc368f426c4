"""The page of the evidence, in Markdown, made of the file of figures beside it and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.results import picture, readme, record
from benchmarks.results.cells import MODELS, STACK
from benchmarks.results.evidence import posterior_of
from benchmarks.results.figures import (
    BAND_SIGMAS,
    QE,
    QE_ALL,
    Estimate,
    Made,
    OfVersion,
    band_names,
)
from benchmarks.results.merging import merged
from benchmarks.results.picture import DEFAULT_MARK
from benchmarks.results.verdicts import best, default_of, defaults_beside_quadratic, sentence
from estimators.resampling import compact
from lensing_tfds.errors import LensingError
from lensing_tfds.records.locks import alone_in
from lensing_tfds.records.storage import make_folder, replacing
from lensing_tfds.versions import VERSIONS
from trainer.runs.plan import duration

_UNKNOWN = "–"

_INTRODUCTION = """\
# Results

<!-- Written by python -m benchmarks.results --page; edit nothing here. -->

Every network of this project on every version of the dataset: the correlation ρ of its estimate
with the true κ, over all modes of a map, on the **test split**. Beside it stand the quadratic
estimator (QE) and the iterated estimator, the forecast of the latter where theory holds, and the
maximum a posteriori (MAP) where it was measured. κ itself has ρ = 1.

```bash
python -m benchmarks.results --minutes 10 --page docs/results.md
```

makes what is missing, goes on where it was stopped, and writes this page; each version's section
has the command of each network. Networks that were judged before, or on another machine, stay
beside those of the same test examples, as they were measured, until they are judged again. {cost}

Errors are of a bootstrap over test examples, and differences have the errors of pairs, on the very
same examples. 0.6301(14) is 0.6301 ± 0.0014. Each network was trained once, with the seed that is
said: another seed may differ by more than these errors. All were trained on stored skies: what
others are worth has [a page of its own](fresh_training.md).
"""


def write(
    found: Sequence[OfVersion], path: Path, readme_path: Path | None = None
) -> tuple[str, ...]:
    """Writes the page, its figures and its picture.

    The figures that are in their file already are kept, see `merging`.

    Args:
      found: what was gathered.
      path: of the page, a .md; beside it come .json and .png.
      readme_path: a file whose marked part is written too; None for none.

    Returns:
      A line for each kept figure that is dropped.

    Raises:
      LensingError: the file of figures is damaged, a file cannot be written, or has no marked part.
    """
    if path.suffix != ".md":
        raise LensingError(f"{path} is no .md: name the page docs/results.md, say")
    make_folder(path.parent)
    figures = figures_of(path)
    with alone_in(path.parent, f"writing {path.name}", wait=True):  # no other's cells are lost
        found, dropped = merged(record.read(figures), found)
        # The package's own file has it: that of a version whose runs are elsewhere may be newer.
        found = tuple(
            dataclasses.replace(one, posterior=posterior_of(one.version) or one.posterior)
            for one in found
        )
        record.write(found, figures)
        found = record.read(figures)
        with replacing(path.with_suffix(".png")) as temporary:
            temporary.write_bytes(picture.png(found))
        with replacing(path) as temporary:
            temporary.write_text(render(found, path.with_suffix(".png").name), encoding="utf-8")
        if readme_path is not None:
            text = readme.filled(readme_path.read_text("utf-8"), found)
            with replacing(readme_path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return tuple(f"{figures}: {line}" for line in dropped)


def figures_of(path: Path) -> Path:
    """Names the file of a page's figures."""
    return path.with_suffix(".json")


def render(found: Sequence[OfVersion], picture_name: str) -> str:
    """Returns the page.

    Args:
      found: as it was read from the file of figures.
      picture_name: of the picture's file, beside the page.
    """
    judged = [version for version in found if version.made]
    parts = [_INTRODUCTION.format(cost=_whole_cost(found))]
    if judged:
        parts += [f"![ρ of each network on each version]({picture_name})\n", _summary(judged)]
        parts.append("## Does a trained network beat the iterated estimator?\n")
        parts.append("\n".join(f"- **{one.version}**: {sentence(one)}" for one in judged) + "\n")
        parts.append(f"{defaults_beside_quadratic(judged)}\n")
    parts += [_section(version) for version in found]
    return "\n".join(parts)


def _whole_cost(found: Iterable[OfVersion]) -> str:
    spent = [s for version in found for made in version.made for s in made.training]
    if not spent:
        return "Nothing was trained yet."
    devices = ", ".join(sorted({_device(s.device, s.cores) for s in spent}))
    return (
        f"All training here took {duration(sum(s.seconds for s in spent))}, and "
        f"{duration(sum(s.cpu_seconds for s in spent))} of processors ({devices}). Where they had "
        "other work beside, minutes hold less training than on a machine of one's own: compare by "
        "examples and processor time."
    )


def _device(device: str, cores: int) -> str:
    return f"{device}, {cores} core{'s' * (cores > 1)}"


def _summary(found: Sequence[OfVersion]) -> str:
    columns = _columns(found)
    references = (QE, QE_ALL, "forecast", "MAP")
    head = ["version", *references, *(_title(column) for column in columns)]
    rows = []
    for version in found:
        row = [f"[{version.version}](#{version.version})"]
        row += [_three(version.references.get(name)) for name in (QE, QE_ALL)]
        row.append(_three(version.forecast))
        posterior = version.posterior
        row.append("" if posterior is None else f"{posterior.rho:.3f}")
        row += [_summary_cell(version, column) for column in columns]
        rows.append(row)
    errors = [made.estimate.rho_error for version in found for made in version.made]
    return (
        f"{table(head, rows)}\n"
        f"**Bold**: a version's best; {DEFAULT_MARK}: the default of `python -m trainer --dataset "
        "lensing/<version>`; failed: see the version. Standard errors are at most "
        f"{max(errors):.3f}; the MAP has fewer examples.\n"
    )


def _columns(found: Iterable[OfVersion]) -> list[str]:
    named = {cell.column for version in found for cell in version.cells}
    known = [column for column in MODELS if column in named]
    return known + sorted(named - set(known))


def _title(column: str) -> str:
    return "study's CNN" if column == STACK else f"`{column}`"


def _three(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{estimate.rho:.3f}"


def _summary_cell(version: OfVersion, column: str) -> str:
    made = [one for one in version.made if one.column == column]
    if not made:
        return "failed" if any(one.column == column for one in version.failed) else ""
    shown = best(made)
    text = f"{shown.estimate.rho:.4f}"
    if shown is best(version.made):
        text = f"**{text}**"
    return text + (f" {DEFAULT_MARK}" if shown is default_of(version) else "")


def _section(version: OfVersion) -> str:
    parts = [f"## {version.version}\n\n{VERSIONS[version.version].description}\n"]
    if version.made:
        parts.append(_scores(version))
        parts.append(_folded(f"ρ_L of {version.version} in the judge's bands", _bands(version)))
        if any(made.coverage for made in version.made):
            parts.append(_folded(f"Coverage of {version.version}", _coverage(version)))
    for failed in version.failed:
        parts.append(f"`{failed.model}` failed: {_escaped(failed.line)}\n")
    commands = "\n".join(one.command for one in version.cells)
    parts.append(_folded("Commands", f"```bash\n{commands}\n```\n"))
    return "\n".join(parts)


def _scores(version: OfVersion) -> str:
    head = [
        "estimate",
        "ρ",
        "less iterated",
        "bands above / below QE",
        "examples",
        "steps",
        "minutes",
    ]
    head += ["CPU minutes", "memory", "parameters", "seed", "judged, release"]
    rows = []
    for name, reference in _others(version):
        rows.append([name, _measured(reference), *[""] * (len(head) - 2)])
    if version.forecast is not None:
        rows.append(["forecast", f"{version.forecast.rho:.4f}", *[""] * (len(head) - 2)])
    if (posterior := version.posterior) is not None:
        score = f"{posterior.rho:.4f} ± {posterior.rho_error:.4f}"
        rows.append([f"MAP, of {posterior.num_examples} examples", score, *[""] * (len(head) - 2)])
    rows += [_score(version, made) for made in version.made]
    return (
        f"{table(head, rows)}\n"
        f"Of {version.num_examples:,} test examples; of {len(version.ell_edges) - 1} bands, those "
        f"in which ρ_L is above all quadratic estimators', and below one's, by {BAND_SIGMAS:g} σ.\n"
    )


def _others(version: OfVersion) -> list[tuple[str, Estimate]]:
    """The references but for those that are a cell themselves."""
    made = {one.model for one in version.made}
    return [(name, one) for name, one in version.references.items() if name not in made]


def _score(version: OfVersion, made: Made) -> list[str]:
    bands = _UNKNOWN
    if made.above_quadratic is not None and made.below_quadratic is not None:
        bands = f"{made.above_quadratic} / {len(made.below_quadratic)}"
    above, less = made.above_iterated, _UNKNOWN
    if above is not None:
        less = f"{above.value:+.4f} ± {above.error:.4f}" if above.error else ""
    score, spent = _measured(made.estimate), made.training
    return [
        f"`{made.model}`" + (f" {DEFAULT_MARK}" if made is default_of(version) else ""),
        f"**{score}**" if made is best(version.made) else score,
        less,
        bands,
        f"{made.examples:,}",
        "" if made.steps is None else f"{made.steps:,}",
        f"{sum(s.seconds for s in spent) / 60:.1f}" if spent else _UNKNOWN,
        f"{sum(s.cpu_seconds for s in spent) / 60:.1f}" if spent else _UNKNOWN,
        f"{max(s.peak_gib for s in spent):.1f} GiB" if spent else _UNKNOWN,
        _UNKNOWN if made.parameters is None else f"{made.parameters:,}",
        str(made.seed),
        _when(made),
    ]


def _when(made: Made) -> str:
    judging = made.judging
    if judging is None or judging.date is None:
        return _UNKNOWN
    return f"{judging.date}, {judging.release}"


def _bands(version: OfVersion) -> str:
    columns = dict(_others(version))
    if version.forecast is not None:
        columns["forecast"] = version.forecast
    columns |= {f"`{made.model}`": made.estimate for made in version.made}
    head = ["L", *columns]
    rows = []
    for place, band in enumerate(band_names(version)):
        cells = (compact(e.rho_ell[place], e.rho_ell_error[place]) for e in columns.values())
        rows.append([band, *cells])
    return table(head, rows)


def _coverage(version: OfVersion) -> str:
    columns = {
        f"`{made.model}`, {level} %": shares
        for made in version.made
        for level, shares in (made.coverage or {}).items()
    }
    rows = [
        [band, *(f"{100 * shares[place]:.1f} %" for shares in columns.values())]
        for place, band in enumerate(band_names(version))
    ]
    return "Share of the modes' parts that the network's own intervals hold.\n\n" + table(
        ["L", *columns], rows
    )


def _measured(estimate: Estimate) -> str:
    return f"{estimate.rho:.4f} ± {estimate.rho_error:.4f}"


def _folded(title: str, content: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{content}\n</details>\n"


def _escaped(line: str) -> str:
    return line.replace("<", "&lt;").replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
