"""Spectra of the temperature's extragalactic foregrounds at 150 GHz, as published.

What is measured is D_3000 = l(l+1) C_l / 2π at l = 3000 of each component, in µK² of the CMB's
temperature, and how D_l depends on l. Reichardt et al. (2021, SPT, arXiv:2002.06197)
measured the Sunyaev-Zeldovich effects, Choi et al. (2020, ACT, arXiv:2007.07289, the
survey's deep part, where sources above 15 mJy at 150 GHz are masked) the galaxies. Each of the
two fits both; their thermal effects, 3.4 and 5.3 µK², differ by more than their errors, as the
galaxies that they leave in differ: for one consistent sky the SZ effects are all SPT's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lensing_tfds.sky.point_sources import Counts, PointSources

FREQUENCY = 150e9
"""Hz."""

FLUX_CUT = 0.015
"""Flux of the brightest source that is left, Jy."""

PIVOT = 3000.0
"""Multipole at which the spectra are quoted."""

POWERS = {"radio": 3.74, "dusty": 6.58, "cib": 3.15, "tsz": 3.42, "ksz": 3.0}
"""D_3000, µK². Radio sources 3.74 ± 0.24, dusty galaxies 6.58 ± 0.37, their clustering 3.15 ± 0.72
(Choi et al. 2020; at 150 GHz); thermal SZ effect 3.42 ± 0.54 at 143 GHz, kinetic 3.0 ± 1.0
(Reichardt et al. 2021). The thermal effect is scaled to 150 GHz by `tsz_spectrum`."""

_TSZ_FREQUENCY = 143e9  # at which its power is quoted

KAPPA_CORRELATION = {"cib": 0.8, "tsz": 0.33}
"""|ρ| of a component with κ, at all l. The clustered CIB follows κ to 80 % (Planck 2013 XVIII,
arXiv:1303.5078); the thermal effect to about a third (Hill & Spergel 2014, arXiv:1312.4525)."""

TSZ_CIB_CORRELATION = 0.1
"""|ρ| of the thermal effect with the clustered CIB at all l: 0.08 ± 0.04 (Reichardt et al. 2021)
and 0.1 ± 0.1 (Dunkley et al. 2013, arXiv:1301.0776)."""

MEAN_COMPTON_Y = 1.77e-6
"""Of the sky (Hill et al. 2015, arXiv:1507.01583): scale of the thermal effect's field."""

_MEAN_CIB = (1.3e-5, 18.5, 0.64, 3e12)
"""Factor, temperature (K), index and frequency (Hz) of the CIB's mean spectrum, a modified black
body fitted to FIRAS (Fixsen et al. 1998, astro-ph/9803021, equation 1): scale of its field."""

_RADIO_SLOPE = 2.1
"""Of dN/dS of synchrotron sources from 10 to 100 mJy at 150 GHz, where S^2.5 dN/dS rises slowly
(Mocanu et al. 2013, arXiv:1306.3470); the power after a cut is then nearly proportional to it."""

_DUSTY_SLOPE, _DUSTY_KNEE = -2.12, 2.35e-3
"""Schechter's function of dusty galaxies at 1.2 mm (Fujimoto et al. 2016, arXiv:1505.03523), S* in
Jy, which is scaled to 150 GHz."""
_DUSTY_FREQUENCY, _DUSTY_INDEX = 250e9, 3.5
"""The counts' frequency, Hz, and the index by which a galaxy's flux rises, near that between 150
and 220 GHz (Reichardt et al. 2021)."""

_PLANCK, _BOLTZMANN, _LIGHT, _CMB = 6.62607015e-34, 1.380649e-23, 2.99792458e8, 2.7255  # SI, K
_JANSKY = 1e-26


def spectrum(component: str, ell: NDArray[np.floating]) -> NDArray[np.float64]:
    """Evaluates C_l of a component at 150 GHz, µK²; zero at l = 0.

    The sources are white. The other shapes stand for published templates: clustered galaxies have
    D_l ∝ l^0.8 (Addison et al. 2012, Dunkley et al. 2013, Reichardt et al. 2021); the thermal
    effect peaks at l = 3000, with half of that at 500 and three fifths at 10,000, as in Battaglia
    et al. (2012, arXiv:1109.3711); the kinetic effect is flat at its peak and falls to small l, as
    in Shaw et al. (2012, arXiv:1109.0553).

    Args:
      component: one of `POWERS`.
      ell: multipoles, any shape.
    """
    safe = np.maximum(ell, 1.0)
    x = safe / PIVOT
    shape = {
        "radio": lambda: safe * (safe + 1) / (PIVOT * (PIVOT + 1)),
        "cib": lambda: x**0.8,
        "tsz": lambda: _peaked(x, 1.2),
        "ksz": lambda: _peaked(x, 0.8),
    }["radio" if component == "dusty" else component]()
    power = POWERS[component]
    if component == "tsz":
        power *= (tsz_spectrum(FREQUENCY) / tsz_spectrum(_TSZ_FREQUENCY)) ** 2
    c_ell = power * shape * 2 * np.pi / (safe * (safe + 1))
    return np.where(ell > 0, c_ell, 0.0)


def _peaked(x: NDArray[np.float64], slope: float) -> NDArray[np.float64]:
    """A spectrum that rises like x^slope, has its peak, 1, at x = 1, and falls slowly."""
    return x**slope * np.exp(-2 * slope * (np.sqrt(x) - 1))


def lognormal_scale(component: str) -> float:
    """Returns the mean temperature of the sky by a component, "cib" or "tsz", µK.

    It is the scale of its lognormal field: no line of sight has less of it than nothing.
    """
    if component == "tsz":
        return MEAN_COMPTON_Y * tsz_spectrum(FREQUENCY)
    factor, temperature, index, frequency = _MEAN_CIB
    black_body = 2 * _PLANCK * FREQUENCY**3 / _LIGHT**2 / np.expm1(_x(FREQUENCY, temperature))
    intensity = factor * (FREQUENCY / frequency) ** index * black_body
    return float(intensity / _JANSKY / jansky_per_uK())


def tsz_spectrum(frequency: float) -> float:
    """Returns ΔT / y of the thermal effect, without relativistic terms, µK: negative below 217 GHz.

    x coth(x/2) − 4, with x = hν / kT (Sunyaev & Zeldovich 1972).
    """
    x = _x(frequency, _CMB)
    return 1e6 * _CMB * (x / math.tanh(x / 2) - 4)


def jansky_per_uK() -> float:
    """Returns dB/dT of the CMB's black body at 150 GHz, Jy / sr / µK."""
    x = _x(FREQUENCY, _CMB)
    flux = 2 * _BOLTZMANN**3 * _CMB**2 / (_PLANCK * _LIGHT) ** 2
    return flux * x**4 * math.exp(x) / math.expm1(x) ** 2 * 1e-6 / _JANSKY


def _x(frequency: float, temperature: float) -> float:
    return _PLANCK * frequency / (_BOLTZMANN * temperature)


def sources(component: str, pixel_area: float) -> PointSources:
    """Returns the point sources of a component, "radio" or "dusty".

    Args:
      component: which.
      pixel_area: of the maps, sr.
    """
    # numba is slow to import: only where it is used
    from lensing_tfds.sky.point_sources import PointSources, PowerLaw, Schechter

    counts: Counts = PowerLaw(_RADIO_SLOPE, FLUX_CUT)
    if component == "dusty":
        knee = _DUSTY_KNEE * (FREQUENCY / _DUSTY_FREQUENCY) ** _DUSTY_INDEX
        counts = Schechter(_DUSTY_SLOPE, knee, FLUX_CUT)
    white = float(spectrum(component, np.array(PIVOT)))
    return PointSources(counts, white, jansky_per_uK(), pixel_area)


def cib_tsz_cross(ell: NDArray[np.floating]) -> NDArray[np.float64]:
    """Evaluates the cross-spectrum of clustered galaxies and the thermal effect, µK²: negative."""
    return -TSZ_CIB_CORRELATION * np.sqrt(spectrum("cib", ell) * spectrum("tsz", ell))


def kappa_cross(
    component: str, ell: NDArray[np.floating], kappa: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Evaluates the cross-spectrum of a component with κ, µK; zero for all but "cib" and "tsz".

    Args:
      component: one of `POWERS`.
      ell: multipoles, any shape.
      kappa: C_l^κκ there.
    """
    correlation = KAPPA_CORRELATION.get(component, 0.0)
    sign = -1 if component == "tsz" else 1
    return sign * correlation * np.sqrt(spectrum(component, ell) * kappa)


def total(amplitudes: Mapping[str, float], ell: NDArray[np.floating]) -> NDArray[np.float64]:
    """Evaluates the spectrum of the sum of all components, µK².

    Args:
      amplitudes: factors of the components' temperatures.
      ell: multipoles, any shape.
    """
    autos = [factor**2 * spectrum(name, ell) for name, factor in amplitudes.items() if factor]
    both = 2 * amplitudes.get("cib", 0.0) * amplitudes.get("tsz", 0.0)
    return np.asarray(sum(autos) + both * cib_tsz_cross(ell))


def total_kappa_cross(
    amplitudes: Mapping[str, float], ell: NDArray[np.floating], kappa: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Evaluates the cross-spectrum of the sum of all components with κ, µK.

    Args:
      amplitudes: factors of the components' temperatures.
      ell: multipoles, any shape.
      kappa: C_l^κκ there.
    """
    crosses = [factor * kappa_cross(name, ell, kappa) for name, factor in amplitudes.items()]
    return np.asarray(sum(crosses))
