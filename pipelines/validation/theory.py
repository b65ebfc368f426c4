"""The power that a config's maps should have in each bin, from its fields and CAMB's table.

A homogeneous field on the simulated, periodic box has a two-dimensional power P(l), or two fields
their cross-power, with a correlation ξ(r) = Σ_l P(l) exp(il·r) / area. A patch that is cut from
the box, and multiplied by a window w there, is the field times w, and the mean power of its modes

    P̃(k) = area / npix⁴ · Σ_r ξ(r) A(r) exp(−ik·r),    A(r) = Σ_x w₁(x + r) w₂(x),

a sum over the pixels' distances r, exact on the pixels. On a periodic patch without a window
this is P(k) itself: one formula serves all configs. It holds for T, Q, U and κ, and for E as a map
of its own; Q and U are rotated to E and B mode by mode only on the patch, as the maps are.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.cosmology import kappa_power
from lensing_tfds.sky import instrument, polarization, spectra
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.spectra import PowerSpectra
from pipelines.validation.finite_box import in_box
from pipelines.validation.observables import Field, Observables, Spectrum

Plane = NDArray[np.float64]
"""Half plane of a power, shape (npix, npix // 2 + 1)."""


CAMB_ERROR = dict.fromkeys(("TT", "EE", "TE", "QQ", "UU"), 0.0015) | {"BB": 0.005}
"""Relative error of CAMB's lensed spectra: what its accuracy settings leave open (0.15 %; see
`spectra.compute_with_camb`), for BB more, which is all made by lensing and doubles with κ's errors;
that of TE is relative to sqrt(TT EE)."""


_UNLENSED = ("TT", "EE", "TE")
_LENSED = ("lensed_TT", "lensed_EE", "lensed_TE", "lensed_BB")


class Theory:
    """Expected spectra of a config's maps.

    Args:
      observables: what is measured.
      table: the spectra that its skies are drawn from.

    Attributes:
      config: the version.
    """

    def __init__(self, observables: Observables, table: PowerSpectra):
        self._observables = observables
        self.config = observables.config
        self._box = observables.config.box
        self._table = in_box(table, self._box)
        self._expected: dict[Spectrum, NDArray[np.float64]] = {}
        self._patch_powers: dict[tuple[Field, Field], Plane] = {}

    def expected(self, spectrum: Spectrum) -> NDArray[np.float64]:
        """Returns a spectrum's mean band powers, µK² sr, µK sr or sr: shape (bins,)."""
        if spectrum not in self._expected:
            bins = self._observables.bins_of(spectrum)
            power = self._power(spectrum.first, spectrum.second)
            self._expected[spectrum] = bins.average(bins.gather(power))
        return self._expected[spectrum]

    def scale(self, spectrum: Spectrum) -> NDArray[np.float64]:
        """Returns sqrt(C₁₁ C₂₂), what a cross-spectrum is at most; C of an auto-spectrum."""
        autos = [
            self.expected(Spectrum(field, field, spectrum.nyquist))
            for field in (spectrum.first, spectrum.second)
        ]
        return np.sqrt(np.maximum(autos[0], 0) * np.maximum(autos[1], 0))

    def error(self, spectrum: Spectrum) -> NDArray[np.float64]:
        """Returns what CAMB's accuracy leaves open of a lensed spectrum; zeros of all others."""
        relative = CAMB_ERROR.get(spectrum.first.component + spectrum.second.component, 0.0)
        if spectrum.first.feature != "lensed" or spectrum.second.feature != "lensed":
            relative = 0.0
        noise = 0.0
        if spectrum.is_auto and relative:
            window = self._window("lensed")
            noise = self._noise(spectrum.first.component) * float(np.mean(window**2))
        return relative * (self.scale(spectrum) - noise)

    def variance(self, field: Field) -> float:
        """Returns the expected variance of a map's pixels, the mean over the patch."""
        power = self._box_power(field, field)
        assert power is not None
        window = self._window(field.feature)
        total = np.sum(power * self._box.mode_counts) / self._box.area
        return float(total * np.mean(window**2))

    def _power(self, first: Field, second: Field) -> Plane:
        """Expected power of the patch's modes."""
        total: Plane = np.zeros(self.config.sky.ell.shape)
        for a, factor_a in self._parts(first):
            for b, factor_b in self._parts(second):
                total = total + factor_a * factor_b * self._patch_power(a, b)
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
            windows = self._window(first.feature), self._window(second.feature)
            self._patch_powers[first, second] = (
                np.zeros(sky.ell.shape)
                if power is None
                else windowed(power, self._box, sky, *windows)
            )
        return self._patch_powers[first, second]

    def _window(self, feature: str) -> NDArray[np.float64]:
        return instrument.taper_window(
            self.config.sky, self.config.taper if feature == "lensed" else 0.0
        )

    def _noise(self, component: str) -> float:
        channel = "T" if component == "T" else "Q"
        depth = instrument.channel_noise(self.config.noise_uK_arcmin, channel)
        return math.radians(depth / 60) ** 2

    def _box_power(self, first: Field, second: Field) -> Plane | None:
        """Power of two homogeneous fields on the box; None if it is zero."""
        features = {first.feature, second.feature}
        if features == {"kappa"}:
            return kappa_power(self.config, self._table, self._box.ell)
        lensed = features == {"lensed"}
        if not lensed and not features <= {"unlensed", "unlensed_E"}:
            return None
        pair = "".join(sorted(first.component + second.component))
        beam = instrument.beam(self._box.ell, self.config.beam_arcmin)
        power = self._of_stokes(pair, lensed) * beam**2
        if lensed and first == second:
            power += self._noise(first.component)
        return power

    def _of_stokes(self, pair: str, lensed: bool) -> Plane:
        """Power of two of T, Q, U and the label E, in alphabetical order, before the beam."""
        table = self._table
        names = _LENSED if lensed else _UNLENSED
        lmax = None if lensed else self.config.T_lmax
        tt, ee, te, *rest = (self._at(getattr(table, name), lmax) for name in names)
        bb = rest[0] if rest else np.zeros_like(tt)
        cosine, sine = self._angles()
        cross_cosine, cross_sine = polarization.angles(self._box)
        return {
            "TT": lambda: tt,
            "EE": lambda: ee,
            "QQ": lambda: ee * cosine**2 + bb * sine**2,
            "UU": lambda: ee * sine**2 + bb * cosine**2,
            "QU": lambda: (ee - bb) * cross_cosine * cross_sine,
            "QT": lambda: te * cross_cosine,
            "TU": lambda: te * cross_sine,
            "ET": lambda: te,
            "EQ": lambda: ee * cross_cosine,
            "EU": lambda: ee * cross_sine,
        }[pair]()

    def _angles(self) -> tuple[Plane, Plane]:
        """Returns cos 2φ and sin 2φ of the modes of which the box's Q and U are made.

        The box's own Nyquist frequencies have a sine of zero where it is lensed on its own pixels.
        Where it was cut from finer ones, such a mode is a mean of l and its mirror image: squares
        of the sine survive, products that change sign do not.
        """
        box = self._box
        if self.config.oversampling == 1:
            return polarization.angles(box)
        ell_squared = box.ell**2
        ell_squared[0, 0] = 1
        return (box.lx**2 - box.ly**2) / ell_squared, 2 * box.lx * box.ly / ell_squared

    def _at(self, c_ell: NDArray[np.float64], lmax: int | None) -> Plane:
        return spectra.at_multipoles(c_ell, self._box.ell, lmax)


def windowed(power: Plane, box: FlatSky, patch: FlatSky, first: NDArray, second: NDArray) -> Plane:
    """Returns the expected power of the modes of a patch, cut from a box and multiplied by windows.

    Args:
      power: cross-power of two fields on the box, half plane of the box.
      box: the periodic box.
      patch: a part of it, with the same pixels.
      first: window of the one field, shape (npix, npix).
      second: window of the other.

    Returns:
      Half plane of the patch; the mean of Re(a₁ a₂*) times the patch's area.
    """
    npix = patch.npix
    correlation = box.to_map((power / box.area).astype(np.complex128))
    lags = np.fft.fftfreq(2 * npix, 1 / (2 * npix)).astype(int)
    padded = [np.fft.rfft2(window, (2 * npix, 2 * npix)) for window in (first, second)]
    overlaps = np.fft.irfft2(padded[0] * padded[1].conj(), (2 * npix, 2 * npix))
    product = correlation[np.ix_(lags % box.npix, lags % box.npix)] * overlaps
    folded = product.reshape(2, npix, 2, npix).sum(axis=(0, 2))
    return np.asarray(patch.to_modes(folded).real * (patch.area / npix**2), np.float64)
