"""The frozen protocol of the benchmark, from the package's own file.

`protocol.json` is the one place of its facts: docs/benchmark.md is written from it, datasets are
compared with it, and the judge refuses to score by bands that are not its own. It is never edited
for data that have changed: another version of the data is another version of the protocol.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.benchmark.digests import Digest
from estimators.ensemble import bands_of
from lensing_tfds import strict_json
from lensing_tfds.config_differences import differences
from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.versions import VERSIONS

FILE = "protocol.json"

FEWEST_EXAMPLES = 32
"""The least number of examples of a line: the bootstrap's error is then good to 1 / √(2 · 31),
13 %, and of two examples it is none."""

_SAME_BANDS = 1e-9


@dataclasses.dataclass(frozen=True)
class NamedBand:
    """A range of multipoles that has a name.

    Attributes:
      name: short, for files.
      low: the lowest multipole.
      high: the highest; None where there is no limit but the pixels.
      use: of the range, in words.
    """

    name: str
    low: float
    high: float | None
    use: str

    @property
    def label(self) -> str:
        """As in a table's head: "L < 200"."""
        if self.high is None:
            return f"L > {self.low:,.0f}"
        return f"L < {self.high:,.0f}" if self.low == 0 else f"{self.low:,.0f}–{self.high:,.0f}"

    def weights(self, ell: NDArray[np.float64], num_modes: NDArray[Any]) -> NDArray[np.float64]:
        """Returns the share of each of the judge's bands in this one, (num_bands,), by its modes.

        Args:
          ell: mean multipoles of the judge's bands, (num_bands,): a band is where its mean is.
          num_modes: modes in each.
        """
        high = np.inf if self.high is None else self.high
        modes = np.where((self.low <= ell) & (ell < high), num_modes, 0.0)
        total = modes.sum()
        return modes / total if total else modes


@dataclasses.dataclass(frozen=True)
class FrozenSplit:
    """The examples that are judged, of one version.

    Attributes:
      name: the version's.
      ell_edges: of the judge's bands, (num_bands + 1,).
      arrays: digests of the decoded arrays, by the feature's name.
      first: the same of the first examples alone, which take less long to simulate.
    """

    name: str
    ell_edges: tuple[float, ...]
    arrays: Mapping[str, Digest]
    first: Mapping[str, Digest]

    @property
    def config(self) -> LensingConfig:
        """Of the version."""
        return VERSIONS[self.name]

    @property
    def num_first(self) -> int:
        """Number of the examples that `first` is of."""
        return next(iter(self.first.values())).shape[0]

    @classmethod
    def of(
        cls, name: str, arrays: Mapping[str, Digest], first: Mapping[str, Digest]
    ) -> FrozenSplit:
        """Gathers what is to be frozen of a version, from the code as it is."""
        edges = bands_of(VERSIONS[name]).edges
        return cls(name, tuple(edges.tolist()), arrays, first)

    @classmethod
    def from_json(cls, name: str, values: Mapping[str, Any]) -> FrozenSplit:
        """Reads what `to_json` gave."""
        arrays, first = (
            {array: Digest.from_json(digest) for array, digest in values[key].items()}
            for key in ("arrays", "first")
        )
        return cls(name, tuple(values["ell_edges"]), arrays, first)

    def to_json(self) -> dict[str, Any]:
        """Returns all but the name in JSON's types."""
        return {
            "ell_edges": list(self.ell_edges),
            "arrays": {name: digest.to_json() for name, digest in self.arrays.items()},
            "first": {name: digest.to_json() for name, digest in self.first.items()},
        }

    def has_bands(self, edges: NDArray[np.float64]) -> bool:
        """Says whether bands are the protocol's."""
        expected = np.array(self.ell_edges)
        same = edges.shape == expected.shape
        return same and np.allclose(edges, expected, rtol=_SAME_BANDS, atol=0)

    def refuse_other_bands(self, edges: NDArray[np.float64]) -> None:
        """Refuses bands that are not the protocol's.

        Raises:
          LensingError: the code has changed since the protocol was frozen.
        """
        if not self.has_bands(edges):
            raise LensingError(
                f"this release judges {self.name} in other bands than the protocol does: a score "
                "would not compare; use the release that the protocol came with"
            )


@dataclasses.dataclass(frozen=True)
class Protocol:
    """All that is frozen.

    Attributes:
      version: of the protocol.
      dataset_version: of the data.
      split: which examples are judged.
      named_bands: in which ρ_L is tabulated.
      other_skies: off the training distribution, by their names in `out_of_distribution`.
      num_other_skies: examples of each kind.
      splits: by the version's name.
    """

    version: str
    dataset_version: str
    split: str
    named_bands: tuple[NamedBand, ...]
    other_skies: tuple[str, ...]
    num_other_skies: int
    splits: Mapping[str, FrozenSplit]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Protocol:
        """Reads what `to_json` gave."""
        return cls(
            **{
                **values,
                "named_bands": tuple(NamedBand(**band) for band in values["named_bands"]),
                "other_skies": tuple(values["other_skies"]),
                "splits": {
                    name: FrozenSplit.from_json(name, split)
                    for name, split in values["splits"].items()
                },
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types."""
        return {
            **vars(self),
            "named_bands": [vars(band) for band in self.named_bands],
            "other_skies": list(self.other_skies),
            "splits": {name: split.to_json() for name, split in self.splits.items()},
        }

    def split_of(self, config: LensingConfig) -> FrozenSplit:
        """Returns the examples of a version that are judged.

        Raises:
          LensingError: it is not of the benchmark, or this release makes data of another version.
        """
        if self.dataset_version != DATASET_VERSION:
            raise LensingError(
                f"protocol {self.version} is of data version {self.dataset_version}, this release "
                f"makes {DATASET_VERSION}: use a release of that data version"
            )
        if config.name not in self.splits:
            raise LensingError(
                f"lensing/{config.name} is not of the benchmark: it has "
                f"{', '.join(f'lensing/{name}' for name in self.splits)}"
            )
        if changed := differences(VERSIONS[config.name].to_json(), config.to_json()):
            raise LensingError(f"lensing/{config.name} is not the benchmark's: {changed}")
        return self.splits[config.name]


@functools.cache
def protocol() -> Protocol:
    """Returns the protocol that this release has."""
    file = importlib.resources.files("estimators.benchmark").joinpath(FILE)
    return Protocol.from_json(strict_json.parse(file.read_bytes(), FILE))


def text_of(frozen: Protocol) -> str:
    """Returns the content of the protocol's file."""
    return f"{json.dumps(frozen.to_json(), indent=1, ensure_ascii=False)}\n"


def named_weights(
    frozen: Protocol, ell: Sequence[float] | NDArray[np.float64], num_modes: NDArray[Any]
) -> dict[str, NDArray[np.float64]]:
    """Returns the weights of each named band that holds any of the judge's bands."""
    weights = {b.name: b.weights(np.asarray(ell), num_modes) for b in frozen.named_bands}
    return {name: weight for name, weight in weights.items() if weight.any()}
