"""A shard's examples -> sums that can be added: what travels through Beam instead of maps."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import KAPPA, LENSED, SPLITS, LensingConfig
from lensing_tfds.records.shard_plans import ShardSpec
from lensing_tfds.records.shards import read_shard
from lensing_tfds.sky import polarization
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.spectra import PowerSpectra
from pipelines.validation.effects import Effects
from pipelines.validation.moments import Moments
from pipelines.validation.observables import Field, Observables
from pipelines.validation.response import Responses

_HASH_BYTES = 8

ADDRESS = np.dtype([("split", "u1"), ("index", "<i8"), ("hash", "<u8")])
"""Place of an example, by the split's place in `SPLITS`, and a hash of its κ, or lensed map."""


@dataclasses.dataclass(frozen=True, eq=False)
class Statistics:
    """Statistics of a set of examples.

    Attributes:
      moments: by the name of what is measured: band powers of a spectrum (µK² sr, µK sr or sr),
        the means of x, x², x³, x⁴ over a channel's pixels (`pixels <field>`), a field's power up
        to and beyond `T_lmax` (`beyond <field>`, µK²), and what `response` measures.
      addresses: all examples, of type `ADDRESS`.
      not_finite: (split, index, feature) of maps with a NaN or an infinity; their examples are in
        no moments.
    """

    moments: Mapping[str, Moments] = dataclasses.field(default_factory=dict)
    addresses: NDArray[Any] = dataclasses.field(default_factory=lambda: np.empty(0, ADDRESS))
    not_finite: tuple[tuple[str, int, str], ...] = ()

    def __add__(self, other: Statistics) -> Statistics:
        moments = dict(self.moments)
        for name, more in other.moments.items():
            moments[name] = moments[name] + more if name in moments else more
        return Statistics(
            moments,
            np.concatenate([self.addresses, other.addresses]),
            self.not_finite + other.not_finite,
        )

    def to_bytes(self) -> bytes:
        """Returns the content of an `.npz` file."""
        names = list(self.moments)
        arrays: dict[str, Any] = {
            "names": np.array(names, str),
            "addresses": self.addresses,
            "not_finite": np.array(self.not_finite, str).reshape(-1, 3),
        }
        for number, moments in enumerate(self.moments.values()):
            arrays[f"count_{number}"] = np.int64(moments.count)
            arrays[f"total_{number}"] = moments.total
            arrays[f"outer_{number}"] = moments.outer
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Statistics:
        """The inverse of `to_bytes`."""
        arrays = np.load(io.BytesIO(content))
        moments = {
            str(name): Moments(
                int(arrays[f"count_{n}"]), arrays[f"total_{n}"], arrays[f"outer_{n}"]
            )
            for n, name in enumerate(arrays["names"])
        }
        not_finite = tuple((str(s), int(i), str(f)) for s, i, f in arrays["not_finite"])
        return cls(moments, arrays["addresses"], not_finite)


def measure_shard(spec: ShardSpec, measurement: Measurement) -> Statistics:
    """Reads a shard and measures all its examples.

    Args:
      spec: the shard.
      measurement: of its config.

    Raises:
      LensingError: the shard cannot be read, or is damaged.
    """
    measured = Statistics()
    addresses = []
    moments: dict[str, Moments] = {}
    not_finite: list[tuple[str, int, str]] = []
    # κ maps of files come again and again.
    hashed = KAPPA if spec.config.kappa_files is None else LENSED
    for index, example in read_shard(spec):
        addresses.append((SPLITS.index(spec.split), index, content_hash(example[hashed])))
        bad = [name for name, maps in example.items() if not np.isfinite(maps).all()]
        not_finite += [(spec.split, index, name) for name in bad]
        if bad:
            continue
        for name, row in measurement.rows(example).items():
            one = Moments.of(row)
            moments[name] = moments[name] + one if name in moments else one
    return measured + Statistics(moments, np.array(addresses, ADDRESS), tuple(not_finite))


def content_hash(maps: NDArray[np.float32]) -> int:
    """A hash of 64 bits: two different maps have the same one with probability 5e-20."""
    digest = hashlib.blake2b(maps.tobytes(), digest_size=_HASH_BYTES).digest()
    return int.from_bytes(digest, "little")


class Measurement:
    """Measures examples of a config one by one.

    Args:
      observables: what to measure.
      table: the spectra that its skies are drawn from.
    """

    def __init__(self, observables: Observables, table: PowerSpectra):
        self._observables = observables
        self._responses = Responses(observables.config, table)
        self._effects = Effects(observables, table)

    def rows(self, example: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float64]]:
        """Measures one example.

        Args:
          example: its maps by feature, each of shape (npix, npix, channels).

        Returns:
          A vector for each name of `Statistics.moments`.
        """
        config = self._observables.config
        maps = {
            field: example[field.feature][..., _channel(config, field)].astype(np.float64)
            for field in self._observables.channels
        }
        rows = {f"pixels {field.name}": _pixel_moments(image) for field, image in maps.items()}
        noises = self._effects.noise_maps(example)
        spectra = self._spectra(maps | noises)
        rows |= spectra | self._responses.measure(maps)
        return rows | self._effects.rows(example, noises, spectra)

    def _spectra(self, maps: Mapping[Field, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        observables, sky = self._observables, self._observables.config.sky
        modes = {field: sky.to_modes(image) for field, image in maps.items()}
        for feature in ("lensed", "unlensed"):
            if Field(feature, "Q") in modes:
                q, u = (modes[Field(feature, c)] for c in "QU")
                e, b = polarization.to_eb(q, u, sky)
                modes |= {Field(feature, "E"): e, Field(feature, "B"): b}
        gathered: dict[tuple[Field, Bins], NDArray[np.complex128]] = {}
        rows = {}
        for spectrum in observables.spectra:
            bins = observables.bins_of(spectrum)
            pair = []
            for field in (spectrum.first, spectrum.second):
                if (field, bins) not in gathered:
                    gathered[field, bins] = bins.gather(modes[field])
                pair.append(gathered[field, bins])
            rows[spectrum.name] = bins.average((pair[0] * pair[1].conj()).real) * sky.area
        if (cut := observables.beyond_t_lmax) is not None:
            for field in observables.beyond_fields:
                powers = cut.average(cut.gather(np.abs(modes[field]) ** 2))
                rows[f"beyond {field.name}"] = powers * cut.num_modes
        return rows


def _channel(config: LensingConfig, field: Field) -> int:
    return config.channels.index(field.component) if field.component in config.channels else 0


def _pixel_moments(image: NDArray[np.float64]) -> NDArray[np.float64]:
    square = image * image
    return np.array([image.mean(), square.mean(), (square * image).mean(), (square**2).mean()])
