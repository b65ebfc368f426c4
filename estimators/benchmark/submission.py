"""A submission's account of itself, and the one JSON file of its scores.

The folder's `submission.json`, by the group:

    name        of the method, for the leaderboard
    authors     of the method
    paper       its address, https://...; null if there is none
    code        likewise
    training    what the method was fitted or trained on, in a sentence

The file that is written, by the judge:

    protocol_version, dataset_version   what it was judged by
    submission      the fields above
    named_bands     by the name of the band: `rho`, the mean of ρ_L over its modes, and its error
    other_skies     as of `out_of_distribution.OutOfDistribution.to_json`, of the protocol's skies
                    and the unchanged ones; null if they were not estimated
    delensing       as of `delensed.BModesLeft`: `residual`, the share of lensing B power left,
                    `moved_noise`, the same with the estimate's noise moved, their errors, and
                    `num_examples`; null where there is no B
    metrics         as of `metrics_json`, without other estimators and checks
    sha256          of all of the above: what was damaged or edited is refused, and so is what
                    cannot be the judge's, see `submission_reading`
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from estimators.benchmark.delensed import BModesLeft
from estimators.metrics_json import Metrics
from estimators.metrics_numbers import measured_scalar, typed, with_errors
from estimators.out_of_distribution import OutOfDistribution
from estimators.resampling import Measured
from lensing_tfds import strict_json
from lensing_tfds.errors import LensingError

FILE = "submission.json"
"""Name of the file by which a group describes its method."""

_EXAMPLE = (
    '{"name": "...", "authors": "...", "paper": "https://..." or null, "code": "https://..." or '
    'null, "training": "..."}'
)
_LONGEST = {"name": 60, "authors": 200, "training": 300}
_URL = re.compile(r"https?://[^\s<>()\[\]|\"'`]+")
SEAL = "sha256"
"""Key of the hash of all else that a judged submission holds."""


@dataclasses.dataclass(frozen=True)
class Description:
    """A group's account of its method; see the module's docstring."""

    name: str
    authors: str
    paper: str | None
    code: str | None
    training: str

    @classmethod
    def from_json(cls, values: Mapping[str, Any], source: str) -> Description:
        """Reads a description.

        Args:
          values: its fields.
          source: where they are from, an error's first words.

        Raises:
          LensingError: a field is missing, unknown, or not what it should be.
        """
        fields = [field.name for field in dataclasses.fields(cls)]
        for name in sorted(values.keys() ^ set(fields)):
            problem = "is missing" if name in fields else "is unknown"
            raise LensingError(f"{source}: {name!r} {problem}: write {_EXAMPLE}")
        for name in fields:
            value = values[name]
            if name in ("paper", "code"):
                good = value is None or isinstance(value, str) and bool(_URL.fullmatch(value))
                wanted = "an address, https://..., or null"
            else:
                good = isinstance(value, str) and bool(value.strip()) and value.isprintable()
                good = good and len(value) <= _LONGEST[name]
                wanted = f"a line of 1 to {_LONGEST[name]} characters"
                if good and name == "name" and not _plain(value):
                    good, wanted = False, f"{wanted}, with a letter a–z or a digit for its file"
            if not good:
                raise LensingError(f"{source}: {name!r} is {value!r}: must be {wanted}")
        return cls(**values)

    @classmethod
    def read(cls, folder: Path) -> Description:
        """Reads the description in a folder.

        Raises:
          LensingError: it is not there, or is none.
        """
        path = folder / FILE
        if not path.exists():
            raise LensingError(f"{folder} has no {FILE} that says whose maps these are: {_EXAMPLE}")
        return cls.from_json(strict_json.read(str(path)), str(path))


@dataclasses.dataclass(frozen=True, eq=False)
class Submission:
    """A judged submission; see the module's docstring."""

    protocol_version: str
    dataset_version: str
    description: Description
    named_bands: Mapping[str, Measured]
    other_skies: OutOfDistribution | None
    b_modes_left: BModesLeft | None
    metrics: Metrics

    @property
    def file_name(self) -> str:
        """Name of the file that it goes to, see `file_name`."""
        return file_name(self.metrics.dataset, self.description)

    def to_json(self) -> dict[str, Any]:
        """Returns what the file holds, but for the seal, in JSON's types."""
        return {
            "protocol_version": self.protocol_version,
            "dataset_version": self.dataset_version,
            "submission": vars(self.description),
            "named_bands": {
                name: with_errors({"rho": rho}) for name, rho in self.named_bands.items()
            },
            "other_skies": None if self.other_skies is None else self.other_skies.to_json(),
            "delensing": None if self.b_modes_left is None else self.b_modes_left.to_json(),
            "metrics": self.metrics.to_json(),
        }

    def to_text(self) -> str:
        """Returns the content of the file."""
        values = self.to_json()
        values[SEAL] = strict_json.digest(values)
        return f"{json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)}\n"

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Submission:
        """Reads what `to_json` gave.

        Raises:
          LensingError: something is missing, or is what no estimate has.
        """
        optional: dict[str, Any] = {}
        for name, kind in (("other_skies", OutOfDistribution), ("delensing", BModesLeft)):
            section = typed(values, name, dict, type(None))
            try:
                optional[name] = None if section is None else kind.from_json(section)
            except LensingError as error:
                raise LensingError(f"{name}: {error}") from error
        return cls(
            protocol_version=typed(values, "protocol_version", str),
            dataset_version=typed(values, "dataset_version", str),
            description=Description.from_json(typed(values, "submission", dict), "submission"),
            named_bands={
                name: measured_scalar(rho, "rho")
                for name, rho in typed(values, "named_bands", dict).items()
            },
            other_skies=optional["other_skies"],
            b_modes_left=optional["delensing"],
            metrics=Metrics.from_json(typed(values, "metrics", dict)),
        )


def file_name(dataset: str, description: Description) -> str:
    """Names the file of a judged submission: "v11-quadratic-estimator.json".

    Args:
      dataset: "lensing/v11".
      description: what a group says of its method.
    """
    version = dataset.removeprefix("lensing/")
    return f"{_plain(f'{version} {description.name}')}.json"


def _plain(name: str) -> str:
    """Returns what a file is called by; empty if nothing is left of the name."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")
