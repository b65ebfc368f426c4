"""Several runs that were judged on the same examples, side by side."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from estimators.reports import figures, page
from estimators.reports.figures import Curve
from estimators.resampling import Measured, with_error
from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import replacing

_CURVES = (
    ("rho_ell", "Cross-correlation ρ_L", r"$\rho_L$", False),
    ("transfer_ell", "Response R_L", r"$R_L$", False),
    ("noise_ell", "Reconstruction noise N_L of the calibrated estimates", r"$N_L$", True),
)
_CAPTION = "What it is, and how it is measured: see each run's own report. Bars: standard errors."
_SAME = ("dataset", "split", "num_examples", "ell_edges")


@dataclasses.dataclass(frozen=True, eq=False)
class Marks:
    """What an estimator was found to be worth.

    Attributes:
      label: whose marks they are.
      model: the network's name; what they rest on for another estimator.
      values: the keys of metrics.json, or of one of its "estimators".
      ell: multipoles of the bands.
      other_skies: map-level ρ off the training distribution, by the skies' name; empty if the
        checks were not made.
    """

    label: str
    model: str
    values: Mapping[str, Any]
    ell: list[float]
    other_skies: Mapping[str, Measured]

    def measured(self, name: str) -> Measured:
        """A value and its error; null becomes NaN.

        Raises:
          LensingError: it is not there.
        """
        try:
            pair = (self.values[name], self.values[f"{name}_error"])
        except KeyError as error:
            raise LensingError(
                f"the metrics of {self.label} have no {error}: judge the run again, with "
                "python -m trainer.evaluate"
            ) from error
        return Measured(*(np.array(values, float) for values in pair))


def read(runs: Sequence[str | Path], split: str = "test") -> list[Marks]:
    """Reads the marks of runs, then those of the Wiener-filtered estimators that they share.

    Args:
      runs: folders of judged runs.
      split: which examples they were judged on.

    Raises:
      LensingError: a run was not judged, its metrics cannot be read, or the runs were judged on
        different examples.
    """
    tables = [_read(Path(run), split) for run in runs]
    for run, table in zip(runs[1:], tables[1:], strict=True):
        for key in _SAME:
            if table[key] != tables[0][key]:
                what = "bands" if key == "ell_edges" else f"{key} {table[key]}"
                other = "others" if key == "ell_edges" else str(tables[0][key])
                raise LensingError(
                    f"{run} was judged with {what}, {runs[0]} with {other}: only marks for the "
                    "same examples compare"
                )
    names = [Path(run).resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run) for run in runs]
    ell = tables[0]["ell"]
    marks = [
        Marks(n, t["model"], t, ell, _other_skies([t], "network"))
        for n, t in zip(names, tables, strict=True)
    ]
    # The estimators that need no training have the same marks in every run judged beside them.
    shared: dict[str, Any] = next(
        (table["estimators"] for table in tables if table["estimators"]), {}
    )
    marks += [
        Marks(values["label"], values["basis"], values, ell, _other_skies(tables, name))
        for name, values in shared.items()
        if name.endswith("_wiener")
    ]
    for mark in marks:  # what is missing is named before anything is written
        for name in ("map_correlation", "mse", "zero_mse", *(curve[0] for curve in _CURVES)):
            mark.measured(name)
    return marks


def summary(marks: Sequence[Marks]) -> str:
    """Returns the marks as tables of text."""
    rows = [("", "map-level rho", "mean squared error"), *map(_row, marks)]
    skies = _sky_rows(marks, "map-level rho on")
    width = max(len(row[0]) for row in (*rows, *skies))
    lines = [f"{label:{width}}  {rho:17}  {mse}" for label, rho, mse in rows]
    for label, *cells in skies:
        lines.append(f"{label:{width}}" + "".join(f"  {cell:15}" for cell in cells))
    return "\n".join(line.rstrip() for line in lines)


def write(marks: Sequence[Marks], output: Path) -> None:
    """Writes the page.

    Raises:
      LensingError: it cannot be written.
    """
    title = f"{marks[0].values['dataset']} {marks[0].values['split']}: runs compared"
    heads = "".join(f"<th>{head}</th>" for head in ("", "map-level ρ", "MSE", "model, or basis"))
    rows = "".join(
        "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td></tr>".format(
            *map(escape, (*_row(mark), mark.model))
        )
        for mark in marks
    )
    drawn = "".join(
        page.svg_figure(name, figures.overlay(_curves(marks, key), axis, logarithmic), _CAPTION)
        for key, name, axis, logarithmic in _CURVES
    )
    number = marks[0].values["num_examples"]
    body = f"""<h1>{escape(title)}</h1>
<p class="lead">All on the same {number:,} examples. Mean squared errors relative to estimating
zero; ± are standard errors over examples.</p>
<div class="card"><table class="numbers estimators"><tr>{heads}</tr>{rows}</table></div>
{_other_skies_card(marks)}
<div class="stack">{drawn}</div>"""
    with replacing(output) as temporary:
        temporary.write_bytes(page.document(escape(title), body).encode())


def _row(mark: Marks) -> tuple[str, str, str]:
    rho, mse, zero = map(mark.measured, ("map_correlation", "mse", "zero_mse"))
    remaining = float(mse.value / zero.value)
    return mark.label, with_error(rho), f"{remaining:.1%}"


def _sky_rows(marks: Sequence[Marks], title: str) -> list[tuple[str, ...]]:
    """A head and a row for each that was tried on other skies; nothing if none was."""
    tried = [mark for mark in marks if mark.other_skies]
    kinds = list(dict.fromkeys(kind for mark in tried for kind in mark.other_skies))
    rows = [
        (
            mark.label,
            *(with_error(mark.other_skies[k]) if k in mark.other_skies else "–" for k in kinds),
        )
        for mark in tried
    ]
    return [(title, *kinds), *rows] if rows else []


def _other_skies_card(marks: Sequence[Marks]) -> str:
    rows = _sky_rows(marks, "map-level ρ on")
    if not rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = "".join(
        f"<tr><th>{escape(label)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for label, *cells in rows[1:]
    )
    return f"""<h2>Skies off the training distribution</h2>
<div class="card"><table class="numbers estimators"><tr>{head}</tr>{body}</table></div>"""


def _curves(marks: Sequence[Marks], name: str) -> list[Curve]:
    return [Curve(mark.label, np.array(mark.ell), mark.measured(name)) for mark in marks]


def _other_skies(tables: Sequence[Mapping[str, Any]], name: str) -> dict[str, Measured]:
    """An estimator's map-level ρ on other skies, from the first run that has it."""
    for table in tables:
        found = (table.get("checks") or {"out_of_distribution": {}})["out_of_distribution"]
        if name in found:
            return {
                row["name"]: Measured(row["map_correlation"], row["map_correlation_error"])
                for row in found[name]["rows"]
            }
    return {}


def _read(run: Path, split: str) -> dict[str, Any]:
    suffix = "" if split == "test" else f"-{split}"
    path = run / f"metrics{suffix}.json"
    command = f"python -m trainer.evaluate --workdir {run}{f' --split {split}' if suffix else ''}"
    if not path.exists():
        raise LensingError(f"{run} has no {path.name}: judge it first, with {command}")
    try:
        table = json.loads(path.read_text())
        missing = {*_SAME, "model", "ell", "estimators"} - set(table)
    except (ValueError, OSError, TypeError) as error:
        raise LensingError(f"{path} cannot be read ({error}): judge again, with {command}") from (
            error
        )
    if missing:
        raise LensingError(f"{path} has no {min(missing)!r}: judge again, with {command}")
    return table
