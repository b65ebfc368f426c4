"""The power that a config's maps should have in each bin, from its fields and its table of spectra.

κ and the unlensed sky have the table's spectra at the multipoles of the box's modes. What lensing
makes of them on the box's own grid follows to all orders (`lensed_box`), for every config whose
grid is not too large for that; and for no other sky than the flat one that is simulated: CAMB's
lensed spectra are those of the sphere, on which C_l belongs to a flat wave of |l| = l + ½. On 8.5
degrees BB is 0.1 to 0.3 % lower than CAMB's for that alone, TT and EE are within 0.03 %.

A homogeneous field on the simulated, periodic box has a two-dimensional power P(l), or two fields
their cross-power, with a correlation ξ(r) = Σ_l P(l) exp(il·r) / area. A patch that is cut from
the box, and multiplied by a window w there, is the field times w, and the mean power of its modes

    P̃(k) = area / npix⁴ · Σ_r ξ(r) A(r) exp(−ik·r),    A(r) = Σ_x w₁(x + r) w₂(x),

a sum over the pixels' distances r, exact on the pixels. On a periodic patch without a window
this is P(k) itself: one formula serves all configs. It holds for T, Q, U and κ, and for E as a map
of its own; Q and U are rotated to E and B mode by mode only on the patch, as the maps are.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.config_fields.mask import OBSERVED
from lensing_tfds.config_fields.optical_depth import TAU
from lensing_tfds.config_fields.rotation import ROTATION
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.realism import follows_camb, is_periodic
from lensing_tfds.sky import (
    foreground_spectra,
    instrument,
    kappa_correlations,
    polarization,
    spectra,
)
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.spectra import PowerSpectra
from pipelines.validation import lensed_box
from pipelines.validation.finite_box import in_box
from pipelines.validation.modulated import modulated
from pipelines.validation.observables import (
    BORDER,
    FOREGROUNDS,
    KAPPA,
    NOISE_FEATURES,
    Field,
    Observables,
    Spectrum,
)
from pipelines.validation.skewness import third_moment
from pipelines.validation.stokes import Plane, SkyPowers, stokes, truncated
from pipelines.validation.windows import Windows, windowed

LARGEST = 1024
"""Internal pixels on a side up to which lensing is followed to all orders."""

FAINTEST = 1e-60
"""Variance of pixels, µK² or 1, down to which single precision holds a map."""

_ERROR = 1e-4
"""Relative error of a lensed power: of the remap's single precision and its kernel."""

_CAMB_ERROR = dict.fromkeys(("TT", "EE", "TE", "QQ", "UU"), 5e-4) | {"BB": 4e-3}
"""The same of CAMB's on larger grids: what the sphere differs from a plane; that of TE is relative
to sqrt(TT EE)."""

_SKEWED_ERROR = {"TT": 0.02, "EE": 0.05, "BB": 0.1, "TE": 0.02, "QQ": 0.05, "UU": 0.05}
"""The same of what a κ that is not Gaussian changes, per unit of its skewness: its bispectrum
changes EE and BB by 0.3 % (Lewis & Pratten 2016, arXiv:1608.01263), with a skewness of 0.05 to
0.08."""

_PAIRS = {"T": ("TT",), "QU": ("QQ", "UU", "QU"), "TQU": ("TT", "QQ", "UU", "QU", "QT", "TU")}


class Theory:
    """Expected spectra of a config's maps.

    Args:
      observables: what is measured.
      table: the spectra that its skies are drawn from.
      of_camb: give the lensed maps CAMB's lensed spectra, whether or not they follow them.

    Attributes:
      config: the version.
      is_exact: whether lensed spectra are those of the config's own grid.
    """

    def __init__(self, observables: Observables, table: PowerSpectra, of_camb: bool = False):
        self._observables = observables
        self.config = observables.config
        self.is_exact = not of_camb and self.config.internal.npix <= LARGEST
        self._box = observables.config.box
        self._table = table
        self._expected: dict[Spectrum, NDArray[np.float64]] = {}
        self._windows = Windows(self.config)
        self._patch_powers: dict[tuple[Field, Field], Plane] = {}

    def expected(self, spectrum: Spectrum) -> NDArray[np.float64]:
        """Returns a spectrum's mean band powers, µK² sr, µK sr or sr: shape (bins,)."""
        if spectrum not in self._expected:
            bins = self._observables.bins_of(spectrum)
            power = self._power(spectrum.first, spectrum.second)
            self._expected[spectrum] = bins.average(bins.gather(power))
        return self._expected[spectrum]

    def independent_modes(self, spectrum: Spectrum) -> NDArray[np.float64]:
        """Returns how many modes of one power scatter as a bin's do, (Σ P)² / Σ P²: shape (bins,).

        Fewer than it has where power varies within it. That the modes are independent, and a
        patch's are if it is periodic, is taken for granted.
        """
        bins = self._observables.bins_of(spectrum)
        power = bins.gather(self._power(spectrum.first, spectrum.second))
        squares = bins.average(power**2)
        ratio = self.expected(spectrum) ** 2
        return bins.num_modes * np.divide(
            ratio, squares, out=np.ones_like(ratio), where=squares > 0
        )

    @property
    def knows_lensed(self) -> bool:
        """Says whether the lensed maps should have the expected spectra.

        The mean over skies of those of one unlensed sky is not.
        """
        known = self.is_exact or follows_camb(self.config)
        return known and not self.config.fixed_unlensed and self.knows_kappa

    @property
    def knows_kappa(self) -> bool:
        """Says whether κ should have the expected spectrum: not that of somebody's files."""
        return self.config.kappa_files is None

    def scale(self, spectrum: Spectrum) -> NDArray[np.float64]:
        """Returns sqrt(C₁₁ C₂₂), what a cross-spectrum is at most; C of an auto-spectrum."""
        autos = [
            self.expected(Spectrum(field, field, spectrum.nyquist))
            for field in (spectrum.first, spectrum.second)
        ]
        return np.sqrt(np.maximum(autos[0], 0) * np.maximum(autos[1], 0))

    def error(self, spectrum: Spectrum) -> NDArray[np.float64]:
        """Returns what theory leaves open of a lensed spectrum; zeros of all others."""
        pair = spectrum.first.component + spectrum.second.component
        relative = self.relative_error(pair)
        if spectrum.first.feature != "lensed" or spectrum.second.feature != "lensed":
            relative = 0.0
        noise: NDArray[np.float64] | float = 0.0
        if spectrum.is_auto and relative:
            bins = self._observables.bins_of(spectrum)
            of_noise = self._power(spectrum.first, spectrum.second, self._noise_power)
            noise = bins.average(bins.gather(of_noise))
        return relative * (self.scale(spectrum) - noise)

    def relative_error(self, pair: str) -> float:
        """Returns what theory leaves open of the lensed power of two components, relative to it."""
        if pair not in _CAMB_ERROR:
            return 0.0
        error = _ERROR if self.is_exact else _CAMB_ERROR[pair]
        return math.hypot(error, _SKEWED_ERROR.get(pair, 0.0) * self._skewness)

    def mean(self, field: Field) -> float:
        """Returns the expected mean of a map's pixels.

        Of the lensed T it is 2 ⟨Tκ⟩: as ⟨∇(T ∇φ)⟩ is zero, ⟨∇T ∇φ⟩ = −⟨T ∇²φ⟩.
        """
        unlensed = Field("unlensed", field.component)
        if field != Field("lensed", "T") or (cross := self._kappa_cross(unlensed)) is None:
            return 0.0
        total = float(2 * np.sum(cross * self._box.mode_counts) / self._box.area)
        return total * float(np.mean(self._windows.signal)) * self._windows.seen_share

    @property
    def _skewness(self) -> float:
        return 0.0 if self.config.kappa is None else self.config.kappa.skewness

    @functools.cache  # noqa: B019  # a theory lives as long as its use
    def third_moment(self, field: Field) -> float:
        """Returns the mean cube of the pixels of κ or the foregrounds; zero of Gaussian fields."""
        is_skewed = (field == KAPPA and self._skewness > 0) or field == FOREGROUNDS
        return third_moment(field.feature, self.config, self._table) if is_skewed else 0.0

    def variance(self, field: Field) -> float:
        """Returns the expected variance of a map's pixels, the mean over the patch."""
        sky = self.config.sky
        return float(np.sum(self._patch_power(field, field) * sky.mode_counts) / sky.area)

    def correlation(self, field: Field, order: int) -> float:
        """Returns the mean of ρ^order over all pairs of a map's pixels, ρ their correlation.

        One over it is how many independent pixels have the scatter of the map's in a moment of that
        order. Of κ and the unlensed maps, on which there is no window.
        """
        power, npix, box = self._box_power(field, field), self.config.npix, self._box
        assert power is not None
        correlation = box.to_map(power.astype(np.complex128))
        rho = correlation / correlation[0, 0]
        lags = np.arange(1 - npix, npix)
        pairs = npix - abs(lags)
        rho = rho[np.ix_(lags % box.npix, lags % box.npix)]
        return float((pairs @ rho**order @ pairs) / npix**4)

    def _power(
        self, first: Field, second: Field, of_maps: Callable[[Field, Field], Plane] | None = None
    ) -> Plane:
        """Expected power of the patch's modes."""
        total: Plane = np.zeros(self.config.sky.ell.shape)
        for a, factor_a in self._parts(first):
            for b, factor_b in self._parts(second):
                total = total + factor_a * factor_b * (of_maps or self._patch_power)(a, b)
        return total

    def _parts(self, field: Field) -> list[tuple[Field, Plane | float]]:
        """A field as a sum of those that are homogeneous maps: E = Q cos 2φ + U sin 2φ."""
        if field.component not in "EB" or field.feature == "unlensed_E":
            return [(field, 1.0)]
        cosine, sine = polarization.angles(self.config.sky)
        factors = (cosine, sine) if field.component == "E" else (-sine, cosine)
        return [(Field(field.feature, c), f) for c, f in zip("QU", factors, strict=True)]

    def _patch_power(self, first: Field, second: Field) -> Plane:
        if (first, second) not in self._patch_powers:
            power, sky = self._box_power(first, second), self.config.sky
            if power is None:
                power = np.zeros(sky.ell.shape)
            elif not is_periodic(self.config):
                of_first, of_second = map(self._signal_window, (first.feature, second.feature))
                of_lensed = [field.feature == "lensed" for field in (first, second)]
                holes = self._windows.seen if all(of_lensed) else None
                power = windowed(power, self._box, sky, of_first, of_second, holes)
                if any(of_lensed) and not all(of_lensed):
                    power = power * self._windows.seen_share
            self._patch_powers[first, second] = power + self._noise_power(first, second)
        return self._patch_powers[first, second]

    def _signal_window(self, feature: str) -> NDArray[np.float64]:
        """The window of a signal, but for holes."""
        if feature != "lensed":
            return np.ones((self.config.npix, self.config.npix))
        return self._windows.signal

    def _noise_power(self, first: Field, second: Field) -> Plane:
        """Expected power of the noise in the modes of a map."""
        sky, config, windows = self.config.sky, self.config, self._windows
        if first != second or first.feature not in ("lensed", *NOISE_FEATURES):
            return np.zeros(sky.ell.shape)
        power = config.noise_power(first.component, sky.ell)
        window, holes = windows.noise, None
        if first.feature == BORDER:
            assert windows.only_noise is not None
            window = windows.noise * windows.only_noise
        if config.mask is not None and config.mask.multiplies == OBSERVED:
            holes = windows.seen
        if np.all(window == 1) and holes is None:
            return power
        return windowed(power, sky, sky, window, window, holes)

    def _box_power(self, first: Field, second: Field) -> Plane | None:
        """Power of two homogeneous fields on the box; None if it is zero."""
        features = {first.feature, second.feature}
        if features == {"kappa"}:
            return kappa_power(self.config, self._table, self._box.ell)
        modulating = {ROTATION: self.config.rotation, TAU: self.config.optical_depth}
        for name, part in modulating.items():
            if features == {name} and part is not None:
                return part.power(self._box.ell)
        lensed = features == {"lensed"}
        if "kappa" in features or "foregrounds" in features:
            return self._cross(*((first, second) if second == KAPPA else (second, first)))
        if not lensed and not features <= {"unlensed", "unlensed_E"}:
            return None
        pair = "".join(sorted(first.component + second.component))
        beam = instrument.beam(self._box.ell, self.config.beam_arcmin)
        power = (self._lensed[pair] if lensed else self._unlensed(pair)) * beam**2
        if lensed and pair == "TT" and self.config.foregrounds is not None:
            power = power + (self._foregrounds() + 2 * self._t_with_foregrounds()) * beam**2
        return power

    def _cross(self, first: Field, second: Field) -> Plane | None:
        """Power of a field and κ, or of a field and the foregrounds."""
        beam = instrument.beam(self._box.ell, self.config.beam_arcmin)
        if second == KAPPA:
            power = self._kappa_cross(first)
            return None if power is None else power * beam
        if {first.component, second.component} != {"T"} or self.config.foregrounds is None:
            return None
        if "unlensed" in (first.feature, second.feature):
            return None
        through_kappa = 0.0 if first == second else self._t_with_foregrounds()
        return (self._foregrounds() + through_kappa) * beam**2

    def _t_with_foregrounds(self) -> Plane | float:
        """Power of the CMB's T and the foregrounds: by κ, with which both are correlated."""
        of_t, of_foregrounds = map(self._kappa_cross, (Field("unlensed", "T"), FOREGROUNDS))
        if of_t is None or of_foregrounds is None:
            return 0.0
        kappa = kappa_power(self.config, self._table, self._box.ell)
        product = of_t * of_foregrounds
        return np.divide(product, kappa, out=np.zeros_like(product), where=kappa > 0)

    def _foregrounds(self) -> Plane:
        assert self.config.foregrounds is not None
        return foreground_spectra.total(self.config.foregrounds.amplitudes, self._box.ell)

    def _kappa_cross(self, field: Field) -> Plane | None:
        """Power of a field and κ on the box, before the beam.

        Lensing changes that of the unlensed T and E, of degrees, by less than any test sees.
        """
        config, ell = self.config, self._box.ell
        power: Plane | None = None
        if config.kappa is not None and config.kappa.correlated and field.feature != "foregrounds":
            tables, factor = kappa_correlations.fiducial(), config.kappa_exaggeration_factor
            lmax = min(filter(None, (config.T_lmax, config.kappa_lmax)), default=None)
            of_t, of_e = (factor * self._at(c_ell, self._box, lmax) for c_ell in tables)
            cosine, sine = polarization.angles(self._box)
            power = {"T": of_t, "E": of_e, "Q": of_e * cosine, "U": of_e * sine}[field.component]
        has_foregrounds = field.feature == "foregrounds" or field == Field("lensed", "T")
        if has_foregrounds and config.foregrounds is not None:
            kappa = kappa_power(config, self._table, ell)
            amplitudes = config.foregrounds.amplitudes
            cross = foreground_spectra.total_kappa_cross(amplitudes, ell, kappa)
            power = cross if power is None else power + cross
        return power

    def _unlensed(self, pair: str) -> Plane:
        """Power of two of T, Q, U and the label E on the box, in alphabetical order."""
        return self._ofstokes(pair, self._drawn(self._box))

    @functools.cached_property
    def _lensed(self) -> dict[str, Plane]:
        """Lensed power of each two of T, Q and U on the box."""
        pairs = _PAIRS[self.config.stokes]
        if not self.is_exact:
            table = in_box(self._table, self._box)
            spectra_of_sky = table.lensed_TT, table.lensed_EE, table.lensed_TE, table.lensed_BB
            without = SkyPowers(*(self._at(c_ell, self._box) for c_ell in spectra_of_sky))
            sky = self._with_tensors(without, self._box)
            return {pair: self._ofstokes(pair, sky) for pair in pairs}
        internal = self.config.internal
        angles = polarization.angles(internal)
        drawn = self._drawn(internal)
        unlensed = {pair: stokes(pair, drawn, angles, angles) for pair in pairs}
        unlensed = modulated(unlensed, self.config, internal)
        kappa = kappa_power(self.config, self._table, internal.ell)
        found = lensed_box.lensed(unlensed, kappa, internal)
        return {pair: truncated(power, self._box.npix) for pair, power in found.items()}

    def _drawn(self, grid: FlatSky) -> SkyPowers:
        """The unlensed powers that skies are drawn with."""
        lmax, table = self.config.T_lmax, self._table
        tt, ee, te = (self._at(c_ell, grid, lmax) for c_ell in (table.TT, table.EE, table.TE))
        return self._with_tensors(SkyPowers(tt, ee, te, 0.0), grid)

    def _with_tensors(self, sky: SkyPowers, grid: FlatSky) -> SkyPowers:
        """Adds what tensors of the mean r have, before lensing."""
        tensors, found = self.config.tensors, self._table.tensors
        if tensors is None or found is None:
            return sky
        added = (found.TT, found.EE, found.TE, found.BB)
        ratio, lmax = tensors.mean_ratio, self.config.T_lmax
        return SkyPowers(
            *(
                power + ratio * self._at(c_ell, grid, lmax)
                for power, c_ell in zip(sky, added, strict=True)
            )
        )

    def _ofstokes(self, pair: str, sky: SkyPowers) -> Plane:
        """Power of two of T, Q, U and the label E on the box, before the beam.

        The box's own Nyquist frequencies have a sine of zero where it is lensed on its own pixels.
        Where it was cut from finer ones, such a mode is a mean of l and its mirror image: squares
        of the sine survive, products that change sign do not.
        """
        box = self._box
        of_crosses = of_squares = polarization.angles(box)
        if self.config.oversampling > 1:
            ell_squared = box.ell**2
            ell_squared[0, 0] = 1
            of_squares = (box.lx**2 - box.ly**2) / ell_squared, 2 * box.lx * box.ly / ell_squared
        return stokes(pair, sky, of_squares, of_crosses)

    @staticmethod
    def _at(c_ell: NDArray[np.float64], grid: FlatSky, lmax: int | None = None) -> Plane:
        return spectra.at_multipoles(c_ell, grid.ell, lmax)
