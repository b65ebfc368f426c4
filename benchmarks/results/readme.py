"""Parts of a README that say what the page of the evidence says, between marks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from benchmarks.results import verdicts
from benchmarks.results.figures import ITERATED, QE, QE_ALL, Made, OfVersion
from lensing_tfds.errors import LensingError
from lensing_tfds.versions import VERSIONS
from trainer.runs.plan import duration

_SHOWN_FIRST = ("v11", "v12", "v10")
_NOTHING = "No network was judged yet."


def filled(text: str, found: Sequence[OfVersion]) -> str:
    """Returns a text with the figures between its marks.

    A part begins with `<!-- results: defaults -->` or `<!-- results: table -->`, and ends with
    `<!-- end of results -->`.

    Args:
      text: Markdown.
      found: the figures.

    Raises:
      LensingError: it has no such part, or one of another name.
    """
    parts = re.findall(r"<!-- results: (.*?) -->", text)
    if not parts or set(parts) - set(_PARTS):
        raise LensingError(
            f"its marked parts are {parts}: expected <!-- results: name --> ... "
            f"<!-- end of results -->, name being {' or '.join(_PARTS)}"
        )
    for name in parts:
        begin, end = f"<!-- results: {name} -->", "<!-- end of results -->"
        parted = re.split(f"{re.escape(begin)}.*?{re.escape(end)}", text, flags=re.DOTALL)
        if len(parted) != 2:
            raise LensingError(
                f"{begin} stands there {len(parted) - 1} times with an end, not once"
            )
        text = f"{begin}\n{_PARTS[name](found)}\n{end}".join(parted)
    return text


def _defaults(found: Sequence[OfVersion]) -> str:
    by_name = {version.version: version for version in found}
    rows = []
    for name in _SHOWN_FIRST:
        version = by_name.get(name)
        default = None if version is None else verdicts.default_of(version)
        if version is None or default is None:
            continue
        forecast = version.forecast
        rows.append(
            [
                f"`python -m trainer --dataset lensing/{name}`",
                f"`{default.model}`",
                f"**{default.estimate.rho:.4f} ± {default.estimate.rho_error:.4f}**",
                "" if QE not in version.references else f"{version.references[QE].rho:.3f}",
                "" if forecast is None else f"{forecast.rho:.3f}",
                _time(default),
            ]
        )
    if not rows:
        return _NOTHING
    return _table(["command", "network", "ρ of the test split", "QE", "forecast", "training"], rows)


def _time(made: Made) -> str:
    if not made.training:
        return ""
    return f"{duration(sum(spent.cpu_seconds for spent in made.training))} of a core"


def _reached(found: Sequence[OfVersion]) -> str:
    rows, errors = [], [0.0]
    order = list(VERSIONS)
    for version in sorted(found, key=lambda one: order.index(one.version)):
        if not version.made:
            continue
        winner, default = verdicts.best(version.made), verdicts.default_of(version)
        shown = [version.references.get(name) for name in (QE, QE_ALL, ITERATED)]
        rows.append(
            [
                version.version,
                *("" if one is None else f"{one.rho:.3f}" for one in shown),
                "" if version.forecast is None else f"{version.forecast.rho:.3f}",
                "" if version.posterior is None else f"{version.posterior.rho:.3f}",
                f"{winner.estimate.rho:.3f}, `{winner.model}`",
                "" if default is None else f"{default.estimate.rho:.3f}, `{default.model}`",
            ]
        )
        errors += [made.estimate.rho_error for made in version.made]
    if not rows:
        return _NOTHING
    head = ["version", QE, QE_ALL, "iterated", "forecast", "MAP", "best network", "default"]
    return f"{_table(head, rows)}\n\nStandard errors are at most {max(errors):.3f}."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


_PARTS: dict[str, Callable[[Sequence[OfVersion]], str]] = {
    "defaults": _defaults,
    "table": _reached,
}
