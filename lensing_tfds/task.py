"""A task: which maps of an example an estimate is made from, and which maps it is of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lensing_tfds.configs import KAPPA, LENSED, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.symmetries import spin


@dataclasses.dataclass(frozen=True)
class MapFeature:
    """Maps that every example holds under one name.

    Attributes:
      name: the feature's: "lensed".
      channels: names of its channels, in order: ("T", "Q", "U").
    """

    name: str
    channels: tuple[str, ...]

    @property
    def spins(self) -> tuple[int, ...]:
        """Each channel's spin: 2 for a component of polarization, 0 for a scalar."""
        return tuple(map(spin, self.channels))


@dataclasses.dataclass(frozen=True)
class Task:
    """To estimate κ from the lensed maps of a dataset.

    Attributes:
      lensing: the config of the dataset.
      dataset_version: of its data: another one holds other examples.
    """

    lensing: LensingConfig
    dataset_version: str

    @property
    def inputs(self) -> MapFeature:
        """The lensed maps, µK."""
        return MapFeature(LENSED, self.lensing.channels)

    @property
    def labels(self) -> MapFeature:
        """The convergence κ, dimensionless."""
        return MapFeature(KAPPA, (KAPPA,))

    @property
    def npix(self) -> int:
        """Pixels on a side of all maps."""
        return self.lensing.npix

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(npix, npix, channels) of one example's input."""
        return (self.npix, self.npix, len(self.inputs.channels))

    @property
    def label_shape(self) -> tuple[int, int, int]:
        """(npix, npix, channels) of one example's label."""
        return (self.npix, self.npix, len(self.labels.channels))

    def to_json(self) -> dict[str, Any]:
        """Returns the dataset's config and "dataset_version", as JSON's types."""
        return self.lensing.to_json() | {"dataset_version": self.dataset_version}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Task:
        """Reads what `to_json` returned.

        Raises:
          LensingError: a field is unknown, missing or impossible.
        """
        fields = dict(values)
        version = fields.pop("dataset_version", None)
        if not isinstance(version, str):
            raise LensingError(f"dataset_version is {version!r}: must be text")
        return cls(LensingConfig.from_json(fields), version)
