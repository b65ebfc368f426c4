"""The file of figures.

It is JSON with a seal, so that a figure that was edited by hand is told from one that was
measured.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results.cost import Spent
from benchmarks.results.figures import Difference, Estimate, Failed, Made, OfVersion, Posterior
from lensing_tfds import strict_json
from lensing_tfds.errors import LensingError
from lensing_tfds.field_types import check_names
from lensing_tfds.records.storage import replacing

_SEAL = "sha256"


def write(found: Sequence[OfVersion], path: Path) -> None:
    """Writes the file of figures, whole or not at all."""
    values = {one.version: dataclasses.asdict(one) for one in found}
    with replacing(path) as temporary:
        text = json.dumps({"versions": values, _SEAL: strict_json.digest(values)}, indent=1)
        temporary.write_text(f"{text}\n", encoding="utf-8")


def read(path: Path) -> tuple[OfVersion, ...]:
    """Reads a file of figures; there are none where there is no file.

    Raises:
      LensingError: it cannot be read, was edited, or is of another release.
    """
    if not path.exists():
        return ()
    values = strict_json.read(str(path))
    found = values.get("versions")
    if not isinstance(found, dict) or values.get(_SEAL) != strict_json.digest(found):
        raise LensingError(
            f"{path} is not as it was measured: restore it, or remove it, and with it the figures "
            "of all cells that are not in a folder of results here"
        )
    return tuple(_version_of(one) for one in found.values())


def _version_of(values: Mapping[str, Any]) -> OfVersion:
    check_names(OfVersion, values, "figures of a version")
    posterior = values["posterior"]
    return OfVersion(
        **{
            **values,
            "ell_edges": tuple(values["ell_edges"]),
            "references": {n: _estimate_of(e) for n, e in values["references"].items()},
            "forecast": values["forecast"] and _estimate_of(values["forecast"]),
            "posterior": posterior and Posterior(**posterior),
            "made": tuple(map(_made_of, values["made"])),
            "failed": tuple(Failed(**one) for one in values["failed"]),
        }
    )


def _estimate_of(values: Mapping[str, Any]) -> Estimate:
    check_names(Estimate, values, "figures of an estimate")
    whole, bands = (values[n] for n in ("rho", "rho_error")), ("rho_ell", "rho_ell_error")
    return Estimate(*whole, *(tuple(values[name]) for name in bands))


def _made_of(values: Mapping[str, Any]) -> Made:
    values = {"fingerprint": None, **values}  # of an earlier release
    check_names(Made, values, "figures of a cell")
    above, below, coverage = (values[n] for n in ("above_iterated", "below_quadratic", "coverage"))
    return Made(
        **{
            **values,
            "training": tuple(Spent(**spent) for spent in values["training"]),
            "judging": values["judging"] and Spent(**values["judging"]),
            "estimate": _estimate_of(values["estimate"]),
            "above_iterated": above and Difference(*above),
            "below_quadratic": None if below is None else tuple(below),
            "coverage": coverage and {level: tuple(shares) for level, shares in coverage.items()},
        }
    )
