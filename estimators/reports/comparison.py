"""Several runs that were judged on the same examples, side by side."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from estimators.reports import figures, page
from estimators.resampling import Measured, with_error
from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import replacing

_LEAD = (
    "All on the same {:,} examples. MSE: mean squared error, relative to estimating zero. ± and "
    "bars are standard errors over examples. Each run's own report says how these are measured."
)
_RHO = "1 is perfect, 0 is chance."
_RESPONSE = "1 for an unbiased estimate; the best estimate of κ's maps has ρ_L²."
_NOISE = "Nothing is drawn where a run's response to κ is not above zero by 5 σ."
_CURVES = (
    ("rho_ell", "Cross-correlation ρ_L", _RHO, r"$\rho_L$", False),
    ("transfer_ell", "Response R_L", _RESPONSE, r"$R_L$", False),
    ("noise_ell", "Reconstruction noise N_L, estimates calibrated", _NOISE, r"$N_L$", True),
)
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
    first = marks[0].values
    title = f"{first['dataset']} {first['split']}: runs compared"
    scores = [(*_row(mark), mark.model) for mark in marks]
    skies = _sky_rows(marks, "map-level ρ on")
    html = page.document(
        title,
        page.head(title, _LEAD.format(first["num_examples"])),
        page.card(page.grid(("", "map-level ρ", "MSE", "model, or basis"), scores, text=(0, 3))),
        page.section(
            "Skies off the training distribution",
            page.card(page.grid(skies[0], skies[1:]) if skies else ""),
        ),
        page.below(
            *(
                page.figure(name, _overlay(marks, key, axis, logarithmic), caption, wide=True)
                for key, name, caption, axis, logarithmic in _CURVES
            )
        ),
    )
    with replacing(output) as temporary:
        temporary.write_text(html, "utf-8")


def _overlay(marks: Sequence[Marks], key: str, axis: str, logarithmic: bool) -> Figure:
    names, values = [mark.label for mark in marks], [mark.measured(key) for mark in marks]
    return figures.overlay(names, np.array(marks[0].ell), values, axis, logarithmic)


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
