"""Observables of a config's maps: fields, their spectra, and the modes of each."""

from __future__ import annotations

import dataclasses
import functools
import math

from lensing_tfds.config_fields.optical_depth import TAU
from lensing_tfds.config_fields.rotation import ROTATION
from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky.binning import Bins
from pipelines.validation import bins
from pipelines.validation.windows import Windows

MOST_BINS = 24
EXAMPLES_PER_BIN = 8
"""A covariance of p bins is measured from this many times p examples at least."""

FEWEST_EXAMPLES = 3 * EXAMPLES_PER_BIN


@dataclasses.dataclass(frozen=True)
class Field:
    """One real field of an example.

    Attributes:
      feature: `lensed`, `unlensed`, `kappa`, `unlensed_E` or `foregrounds`: the maps it is
        measured on.
      component: T, Q, U, E, B or κ.
    """

    feature: str
    component: str

    @property
    def name(self) -> str:
        """Its name in tables."""
        prefixes = {
            "kappa": "",
            "unlensed_E": "label ",
            BORDER: "noise in the border, ",
            DIFFERENCE: "noise between splits, ",
            ROTATION: "",
            TAU: "",
        }
        prefix = prefixes.get(self.feature, f"{self.feature} ")
        return prefix + self.component


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """An auto- or cross-spectrum.

    Attributes:
      first: a field.
      second: a field, the same for an auto-spectrum.
      nyquist: over the Nyquist row and column of the grid, rather than over rings.
    """

    first: Field
    second: Field
    nyquist: bool = False

    @property
    def name(self) -> str:
        """Its name in tables, as `lensed TE`, `lensed T × κ` or `κκ, Nyquist`."""
        if self.first.feature == self.second.feature:
            name = self.first.name + self.second.component
        else:
            name = f"{self.first.name} × {self.second.name}"
        return f"{name}, Nyquist" if self.nyquist else name

    @property
    def is_auto(self) -> bool:
        """Says whether both fields are the same."""
        return self.first == self.second


BORDER, DIFFERENCE = "border", "split"
NOISE_FEATURES = (BORDER, DIFFERENCE)
"""Maps of noise alone: of the border that a mask hides the signal in; half the difference of the
first two splits, scaled so that it has the noise of the lensed maps."""

KAPPA = Field("kappa", "κ")
LABEL_E = Field("unlensed_E", "E")
FOREGROUNDS = Field("foregrounds", "T")
ALPHA, DEPTH = Field(ROTATION, "α"), Field(TAU, "τ")


@dataclasses.dataclass(frozen=True, eq=False)
class Observables:
    """The observables of each example of a config.

    Attributes:
      config: the version.
      num_rings: how many rings of modes there may be.
    """

    config: LensingConfig
    num_rings: int

    @classmethod
    def of(cls, config: LensingConfig, num_examples: int) -> Observables:
        """Chooses as many rings as the covariance over examples allows."""
        return cls(config, min(MOST_BINS, num_examples // EXAMPLES_PER_BIN))

    @functools.cached_property
    def rings(self) -> Bins:
        """The rings of modes; they begin lower where κ ends low."""
        lowest = min(bins.LOWEST, (self.config.kappa_lmax or math.inf) / 4)
        return bins.rings(self.config.sky, self.num_rings, lowest)

    @functools.cached_property
    def nyquist_lines(self) -> Bins | None:
        """The Nyquist row and column, of an even grid."""
        return bins.nyquist_lines(self.config.sky)

    def bins_of(self, spectrum: Spectrum) -> Bins:
        """The sets of modes that a spectrum is measured in."""
        if not spectrum.nyquist:
            return self.rings
        assert self.nyquist_lines is not None  # `spectra` saw to it
        return self.nyquist_lines

    @functools.cached_property
    def channels(self) -> tuple[Field, ...]:
        """Every channel of every map."""
        config = self.config
        maps = [Field(name, c) for name in ("lensed", "unlensed") for c in config.channels]
        maps += [KAPPA, *((LABEL_E,) if config.unlensed_E else ()), *self.modulating]
        return (*maps, *((FOREGROUNDS,) if config.foregrounds else ()))

    @functools.cached_property
    def modulating(self) -> tuple[Field, ...]:
        """The fields by which the sky is modulated."""
        config = self.config
        fields = ((config.rotation, ALPHA), (config.optical_depth, DEPTH))
        return tuple(field for part, field in fields if part is not None)

    @functools.cached_property
    def noises(self) -> tuple[Field, ...]:
        """The maps of noise alone, if there are any."""
        if self.config.splits > 1:
            return tuple(Field(DIFFERENCE, channel) for channel in self.config.channels)
        if Windows(self.config).only_noise is not None:
            return tuple(Field(BORDER, channel) for channel in self.config.channels)
        return ()

    def is_one_sky(self, spectrum: Spectrum) -> bool:
        """Says whether a spectrum is that of the one unlensed sky which all examples have."""
        fields = spectrum.first, spectrum.second
        return self.config.fixed_unlensed and all(
            field.feature.startswith("unlensed") for field in fields
        )

    @functools.cached_property
    def beyond_t_lmax(self) -> Bins | None:
        """All modes up to the config's `T_lmax`, and all above it; None without any above."""
        lmax, sky = self.config.T_lmax, self.config.sky
        if lmax is None or lmax >= sky.ell.max():
            return None
        return bins.beyond(sky, lmax)

    @functools.cached_property
    def beyond_fields(self) -> tuple[Field, ...]:
        """The fields whose power beyond `T_lmax` is measured."""
        if self.beyond_t_lmax is None:
            return ()
        return tuple(field for field in self.channels if field.feature == "lensed")

    @functools.cached_property
    def spectra(self) -> tuple[Spectrum, ...]:
        """Every spectrum, those over rings first."""
        config = self.config
        components = ("T",) * ("T" in config.channels) + ("E", "B") * ("Q" in config.channels)
        lensed, unlensed = (
            {c: Field(feature, c) for c in components} for feature in ("lensed", "unlensed")
        )
        found = [Spectrum(field, field) for field in lensed.values()]
        for first, second in ("TE", "TB", "EB"):
            if first in lensed and second in lensed:
                found.append(Spectrum(lensed[first], lensed[second]))
        found.append(Spectrum(KAPPA, KAPPA))
        found += [Spectrum(field, KAPPA) for field in lensed.values()]
        found += [Spectrum(field, field) for field in unlensed.values()]
        if "T" in unlensed and "E" in unlensed:
            found.append(Spectrum(unlensed["T"], unlensed["E"]))
        if config.unlensed_E:
            found.append(Spectrum(LABEL_E, LABEL_E))
            found.append(Spectrum(LABEL_E, unlensed["E"]))
            found.append(Spectrum(LABEL_E, KAPPA))
        if config.kappa is not None and config.kappa.correlated:
            found += [Spectrum(field, KAPPA) for field in unlensed.values()]
        if config.foregrounds is not None:
            found.append(Spectrum(FOREGROUNDS, FOREGROUNDS))
            found.append(Spectrum(FOREGROUNDS, KAPPA))
            found.append(Spectrum(FOREGROUNDS, lensed["T"]))
        found += [Spectrum(field, field) for field in (*self.modulating, *self.noises)]
        found += [Spectrum(field, KAPPA) for field in self.modulating]
        if self.nyquist_lines is not None:
            found += [Spectrum(field, field, nyquist=True) for field in self.channels]
        return tuple(found)
