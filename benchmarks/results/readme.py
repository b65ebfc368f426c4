"""The part of a README that says what the page of the evidence says, between marks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmarks.results import verdicts
from benchmarks.results.figures import QE, Made, OfVersion
from lensing_tfds import realism
from lensing_tfds.errors import LensingError
from lensing_tfds.versions import VERSIONS
from trainer.networks import families
from trainer.runs.plan import duration

_BEGIN, _END = "<!-- results: defaults -->", "<!-- end of results -->"


def filled(text: str, found: Sequence[OfVersion]) -> str:
    """Returns a text with a table of the figures of skies that a telescope could see.

    Args:
      text: Markdown, with `<!-- results: defaults -->` and `<!-- end of results -->` once.
      found: the figures.

    Raises:
      LensingError: it has no such part, several, or one of another name.
    """
    parts = re.findall(r"<!-- results: .*? -->", text)
    parted = re.split(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", text, flags=re.DOTALL)
    if parts != [_BEGIN] or len(parted) != 2:
        raise LensingError(f"its marked parts are {parts}: expected one {_BEGIN} ... {_END}")
    return f"{_BEGIN}\n{_surveys(found)}\n{_END}".join(parted)


def _surveys(found: Sequence[OfVersion]) -> str:
    rows = []
    for version in sorted(found, key=lambda one: list(VERSIONS).index(one.version)):
        if realism.is_step_of_a_study(VERSIONS[version.version]) or not version.made:
            continue
        fitted = [made for made in version.made if families.is_fitted(made.model)]
        trained = [made for made in version.made if not families.is_fitted(made.model)]
        quadratic, forecast = version.references.get(QE), version.forecast
        rows.append(
            [
                f"`lensing/{version.version}`",
                "" if quadratic is None else f"{quadratic.rho:.3f}",
                _best(fitted),
                _best(trained, ", `{}`"),
                "" if forecast is None else f"{forecast.rho:.3f}",
            ]
        )
    if not rows:
        return "No network was judged yet."
    head = ["sky", QE, "iterated", "trained network", "forecast"]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _best(made: Sequence[Made], name: str = "") -> str:
    """Returns the best cell's score, its name in that form, and its time."""
    if not made:
        return ""
    best = verdicts.best(made)
    score = f"{best.estimate.rho:.4f} ± {best.estimate.rho_error:.4f}{name.format(best.model)}"
    seconds = sum(spent.cpu_seconds for spent in best.training)
    return f"{score}, in {duration(seconds)}" if best.training else score
