"""A version of the dataset as data: one frozen, checked dataclass."""

import dataclasses
import math
import numbers
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.config_fields.cosmology import CosmologyField
from lensing_tfds.config_fields.features import Feature
from lensing_tfds.config_fields.foregrounds import Foregrounds
from lensing_tfds.config_fields.hits import Hits
from lensing_tfds.config_fields.kappa_distribution import KappaDistribution
from lensing_tfds.config_fields.kappa_files import KappaFiles
from lensing_tfds.config_fields.mask import Mask
from lensing_tfds.config_fields.nested import check_nested, nested, nested_fields, objects_of
from lensing_tfds.config_fields.one_over_f import OneOverF, noise_power
from lensing_tfds.config_fields.optical_depth import OpticalDepth
from lensing_tfds.config_fields.patch import Patch
from lensing_tfds.config_fields.rotation import Rotation
from lensing_tfds.config_fields.tensors import Tensors
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import foreground_spectra, lensing, spectra

DATASET_VERSION = "2.0.0"
"""Version of the *data*: any change of an example's values changes it, and the random streams."""

LENSED, KAPPA = "lensed", "kappa"
"""Features of an example: what estimates are made from, and what they are of."""

SPLIT_MAPS = "splits"
"""Feature of the maps of independent noise, where there are several."""

SPLITS = ("train", "validation", "test")

STOKES = ("T", "TQU", "QU")
"""Stokes parameters that may be observed: each letter is a channel of the maps, in this order."""

_DEFAULT_NUM_EXAMPLES = {"train": 20_000, "validation": 1_000, "test": 1_000}

_LENSED = "CMB as observed: lensed, with the config's beam and noise."
_UNLENSED = "CMB before lensing, through the same beam, without noise."
_KAPPA = "Convergence κ = −½∇²φ, positive where matter magnifies."
_UNLENSED_E = "E polarization before lensing, through the same beam, without noise."

_MAX_NAME_BYTES = 100  # files and folders, whose names have at most 255, are named with it

_MAX_NUM_EXAMPLES = 2**40

_MAX_SPLITS = 64

_RMS_DEFLECTION = 7.2e-4  # radians, of the whole fiducial sky, rounded up
_LARGEST_PER_RMS = 5  # of a Gaussian deflection's pixels

# Internal pixels on a side at which data version 2.0.0 had wrong lensed pixels at first: there the
# rounded 1 / size of `nufft`'s fine grid, 486, 972, ..., times the size is below one.
_ONCE_WRAPPED_WRONGLY = ((343, 347), (686, 694), (1372, 1388), (2743, 2777), (5486, 5554))

# TFDS asks a builder config for these attributes; they say nothing about the sky.
_TFDS_FIELDS = frozenset({"version", "description", "release_notes", "supported_versions", "tags"})


@dataclasses.dataclass(frozen=True)
class LensingConfig(CosmologyField, Patch):
    """One version of the dataset `lensing`; equal physics and seed give equal examples.

    Frozen and checked when constructed. Exactly one of `lx` and `nside_equiv` gives the patch.

    Attributes:
      name: name of the version, letters, digits, `_`, `-` and `.`, the first of them a letter or a
        digit of ASCII; at most 100 bytes.
      npix: pixels on a side of the square patch, 8 to 4096.
      lx: side of the patch, degrees, 0.0225 to 90: a smaller one has no modes within the spectra.
        Default null: from `nside_equiv`.
      nside_equiv: the pixel area is that of a HEALPix map of this nside, so that
        lx = npix · sqrt(4π / (12 nside²)) rad. Default null: from `lx`.
      T_lmax: the unlensed temperature and polarization have no power above it. Default null: no
        cut.
      kappa_lmax: κ has no power above it. Default null: no cut.
      kappa_exaggeration_factor: κ is multiplied by it before lensing; the label is the
        exaggerated κ. At most 1e6, and such that single precision resolves where in a pixel the
        deflection ends. Default 1.
      noise_uK_arcmin: white noise of the lensed temperature, µK·arcmin; that of Q and of U is √2
        times it. Default 0.
      fixed_unlensed: every example has the same unlensed map. Default false.
      stokes: what is observed, "T", "TQU" or "QU": the channels of the maps. Default "T".
      oversampling: the sky is lensed on pixels so many times smaller along each axis, 1 to 16, then
        smoothed by the beam and cut in Fourier space to the output's pixels. Default 1: lensed on
        its own pixels, which aliases what lensing moves beyond their Nyquist frequency.
      beam_arcmin: full width at half maximum of a Gaussian beam, arcmin, at most some 2.5 times the
        simulated box, which would pass nothing. Default 0: none.
      padding: the side of the simulated box in units of the patch's, 1 to 8; the patch is cut from
        the box's middle, and its edges are not periodic if this is above 1. Default 1.
      taper: width of the cosine edge that the lensed map is multiplied by, degrees, at most half
        the patch. Default 0: none.
      unlensed_E: the unlensed E polarization is a label too. Default false.
      cosmology: CAMB's names of cosmological parameters (`camb_spectra.PARAMETERS`) to values, in
        place of the fiducial ones (`spectra.COSMOLOGY`), e.g. {"H0": 70, "omch2": 0.115}. Default
        null: the fiducial.
      one_over_f: noise that grows towards large scales, an object of `OneOverF`'s fields, e.g.
        {"P_knee": 100}. Default null: the noise is white.
      hits: how the noise varies over the patch, an object of `Hits`' fields, e.g.
        {"contrast": 4}. Default null: it does not.
      mask: border and holes, an object of `Mask`'s fields, e.g. {"border": 0.4, "edge": 0.6}.
        Default null: none.
      foregrounds: of the temperature at 150 GHz, an object of `Foregrounds`' fields, e.g. {} for
        all of them, {"ksz": 0} for all but one. Default null: none.
      kappa: how κ is distributed, an object of `KappaDistribution`'s fields, e.g.
        {"skewness": 0.05}. Default null: it is Gaussian, and independent of the unlensed sky.
      kappa_files: κ maps of your own in place of drawn ones, an object of `KappaFiles`' fields:
        a list of files for each split. Default null: κ is drawn.
      tensors: primordial gravitational waves, an object of `Tensors`' fields, e.g.
        {"r_min": 1e-6, "r_max": 0.1}. Default null: none.
      rotation: a random rotation of polarization, an object of `Rotation`'s fields, e.g.
        {"amplitude": 1e-6}. Default null: none.
      optical_depth: a random modulation of the sky, an object of `OpticalDepth`'s fields, e.g.
        {"rms": 0.01, "L_c": 500}. Default null: none.
      splits: maps of independent noise whose mean the lensed map is, 1 to 64. Default 1.
      seed: seed of all random streams, a non-negative integer. Default 0.
      num_examples: examples of each of the splits train, validation, test. Default 20,000,
        1,000 and 1,000.
      version: TFDS's own field, as are those below. Default null.
      description: what the version is for.
      release_notes: version number to note.
      supported_versions: none.
      tags: none.

    Raises:
      LensingError: a field is impossible; the message names it, its value and its bound.
    """

    name: str
    npix: int
    lx: float | None = None
    nside_equiv: int | None = None
    T_lmax: int | None = None
    kappa_lmax: int | None = None
    kappa_exaggeration_factor: float = 1.0
    noise_uK_arcmin: float = 0.0
    fixed_unlensed: bool = False
    stokes: str = "T"
    oversampling: int = 1
    beam_arcmin: float = 0.0
    padding: float = 1.0
    taper: float = 0.0
    unlensed_E: bool = False
    cosmology: Mapping[str, Any] | None = dataclasses.field(default=None, hash=False)
    one_over_f: OneOverF | None = nested(OneOverF)
    hits: Hits | None = nested(Hits)
    mask: Mask | None = nested(Mask)
    foregrounds: Foregrounds | None = nested(Foregrounds)
    kappa: KappaDistribution | None = nested(KappaDistribution)
    kappa_files: KappaFiles | None = nested(KappaFiles)
    tensors: Tensors | None = nested(Tensors)
    rotation: Rotation | None = nested(Rotation)
    optical_depth: OpticalDepth | None = nested(OpticalDepth)
    splits: int = 1
    seed: int = 0
    num_examples: Mapping[str, int] = dataclasses.field(
        default_factory=lambda: dict(_DEFAULT_NUM_EXAMPLES), hash=False
    )
    version: str | None = None
    description: str = ""
    release_notes: Mapping[str, str] | None = dataclasses.field(default=None, hash=False)
    supported_versions: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check_name()
        self._check_integer("npix", 8, 4096)
        self._check_patch()
        self._check_box()
        self._check_longest_wave()
        for field in ("T_lmax", "kappa_lmax"):
            self._check_lmax(field)
        self._check_cosmology()
        self._check_real("kappa_exaggeration_factor", 1e-6, 1e6)
        most = lensing.largest_resolved(np.float32) * self.internal.pixel / _LARGEST_PER_RMS
        if self.cosmology is None and self.kappa_exaggeration_factor * _RMS_DEFLECTION > most:
            self.check_deflection(spectra.fiducial())  # which takes a while to read
        self._check_real("noise_uK_arcmin", 0.0, 1e6)
        for field in ("fixed_unlensed", "unlensed_E"):
            self._check_flag(field)
        self._check_choice("stokes", STOKES)
        if self.unlensed_E and "Q" not in self.stokes:
            raise self._error("unlensed_E", "false where stokes has no 'QU'")
        self._check_beam()
        self._check_real("taper", 0.0, math.degrees(self.side) / 2)
        self._check_integer("seed", 0, 2**63 - 1)
        self._check_num_examples()
        self._check_integer("splits", 1, _MAX_SPLITS)
        if self.splits > 1 and self.noise_uK_arcmin == 0:
            raise self._error("splits", "1 where noise_uK_arcmin is 0")
        check_nested(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "LensingConfig":
        """Builds a config from JSON's types.

        Args:
          fields: field names to values; an omitted field takes its default.

        Raises:
          LensingError: an unknown field, a missing one, or an impossible value.
        """
        known = [f.name for f in dataclasses.fields(cls) if f.name not in _TFDS_FIELDS]
        unknown = sorted(set(fields) - set(known))
        if unknown:
            raise LensingError(
                f"config: unknown field {unknown[0]!r}; the fields are {', '.join(known)}"
            )
        for required in ("name", "npix"):
            if required not in fields:
                raise LensingError(f"config: the field {required!r} is missing")
        return cls(**fields)

    def to_json(self) -> dict[str, Any]:
        """Returns every field that defines the data, as JSON's types; `from_json` reads it.

        Of the fields that came after v12 only those that are not at their default: what was written
        of a config before is what is written of it now.
        """
        fields = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in _TFDS_FIELDS
        }
        fields["num_examples"] = dict(self.num_examples)
        if self.cosmology is not None:
            fields["cosmology"] = dict(self.cosmology)
        for name in nested_fields(self):
            del fields[name]
        if self.splits == 1:
            del fields["splits"]
        return fields | {name: value.to_json() for name, value in objects_of(self).items()}

    def to_json_of_examples(self) -> dict[str, Any]:
        """Returns the fields that an example is a function of, where they are not at their default.

        So a field that is added to the class later changes nothing that was said of a config
        before, as long as its default is what was done before.
        """
        fields = self.to_json()
        for field in dataclasses.fields(self):
            if field.name in ("name", "num_examples") or fields.get(field.name) == field.default:
                fields.pop(field.name, None)
        return fields | {n: value.to_json_of_examples() for n, value in objects_of(self).items()}

    @property
    def corrections(self) -> tuple[str, ...]:
        """Corrections that changed this config's examples, and not every config's.

        They are part of what shards are known by, so that those from before count as damaged and
        are made again. `DATASET_VERSION` would change the examples of all configs.
        """
        npix = self.internal.npix
        wrapped = any(low <= npix <= high for low, high in _ONCE_WRAPPED_WRONGLY)
        return ("periodic wrap",) if wrapped else ()

    def number_of_first(self, split: str, max_examples: int | None) -> int:
        """Counts the examples of a split, or its first so many.

        Args:
          split: "train", "validation" or "test".
          max_examples: how many are asked for; None for all.

        Raises:
          LensingError: there are fewer.
        """
        available = self.num_examples[split]
        if max_examples is not None and max_examples > available:
            raise LensingError(
                f"max_examples is {max_examples}: lensing/{self.name} {split} has {available}"
            )
        return available if max_examples is None else max_examples

    def check_deflection(self, table: spectra.PowerSpectra) -> None:
        """Refuses an exaggeration that lenses to where single precision resolves no pixel.

        Args:
          table: the spectra that κ is drawn from.

        Raises:
          LensingError: so it is; the message names the bound.
        """
        first = math.floor(self._lowest_multipole("kappa"))
        last = self.kappa_lmax if self.kappa_lmax is not None else table.lmax
        rms = lensing.rms_deflection(table.kappa, first, last) / self.internal.pixel
        bound = lensing.largest_resolved(np.float32) / _LARGEST_PER_RMS
        if not self.kappa_exaggeration_factor * rms <= bound:
            raise self._error(
                "kappa_exaggeration_factor",
                f"at most {bound / rms:.4g}: beyond, the rms deflection is above {bound:.4g} "
                "internal pixels, and float32 does not tell where in a pixel it ends",
            )

    def without_noise(self) -> "LensingConfig":
        """Returns the config of the same skies, seen without noise."""
        return dataclasses.replace(self, noise_uK_arcmin=0.0, one_over_f=None, hits=None, splits=1)

    def noise_power(self, channel: str, ell: NDArray[np.floating]) -> NDArray[np.float64]:
        """Returns the spectrum of a channel's noise, the mean over the patch, µK² sr.

        Args:
          channel: "T", "Q", "U", "E" or "B".
          ell: multipoles, any shape, which the result has too.
        """
        return noise_power(self.noise_uK_arcmin, self.one_over_f, channel, ell)

    def foreground_power(self, channel: str, ell: NDArray[np.floating]) -> NDArray[np.float64]:
        """Returns the spectrum of a channel's foregrounds, before the beam, µK² sr.

        Args:
          channel: "T", "Q", "U", "E" or "B"; only T has any.
          ell: multipoles, any shape, which the result has too.
        """
        if self.foregrounds is None or channel != "T":
            return np.zeros(np.shape(ell))
        return foreground_spectra.total(self.foregrounds.amplitudes, ell)

    @property
    def features(self) -> tuple[Feature, ...]:
        """Maps and numbers that an example holds, but for its index."""
        stokes, single = self.channels, len(self.channels) == 1
        of_each = "" if single else f" Channels: {', '.join(stokes)}."
        found = [
            Feature(LENSED, _LENSED + of_each, "µK", stokes),
            Feature("unlensed", _UNLENSED + of_each, "µK", stokes),
            Feature(KAPPA, _KAPPA, "dimensionless", (KAPPA,)),
        ]
        if self.unlensed_E:
            found.append(Feature("unlensed_E", _UNLENSED_E, "µK", ("E",)))
        if self.splits > 1:
            text = f"The lensed map's {self.splits} splits, one after the other.{of_each}"
            found.append(Feature(SPLIT_MAPS, text, "µK", stokes * self.splits))
        for value in objects_of(self).values():
            found += value.features(self)
        return tuple(found)

    @property
    def map_features(self) -> dict[str, int]:
        """The maps of an example, and their numbers of channels."""
        return {f.name: len(f.channels) for f in self.features if f.channels is not None}

    @property
    def feature_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all that an example holds, but for its index."""
        return {feature.name: feature.shape(self.npix) for feature in self.features}

    def _check_name(self) -> None:
        name = self.name
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
            raise self._error(
                "name",
                "letters, digits, '_', '-' and '.', the first one a to z, A to Z or a digit, e.g. "
                '"wide"',
            )
        if len(name.encode()) > _MAX_NAME_BYTES:
            raise LensingError(
                f"config: name is {name[:20]!r}... of {len(name.encode())} bytes, must have at "
                f"most {_MAX_NAME_BYTES}: files are named with it"
            )

    def _check_num_examples(self) -> None:
        given = self.num_examples
        if not isinstance(given, Mapping) or sorted(given) != sorted(SPLITS):
            raise self._error("num_examples", f"a number for each of {', '.join(SPLITS)}")
        for count in given.values():
            is_integer = isinstance(count, numbers.Integral) and not isinstance(count, bool)
            if not is_integer or not 1 <= count <= _MAX_NUM_EXAMPLES:
                raise self._error("num_examples", f"integers from 1 to {_MAX_NUM_EXAMPLES:,}")
        # A copy in one order, so that nobody changes it afterwards and equal configs print alike.
        object.__setattr__(self, "num_examples", {split: int(given[split]) for split in SPLITS})
