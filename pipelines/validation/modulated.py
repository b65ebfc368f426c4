"""Powers of a sky that is turned and dimmed by Gaussian fields, exactly.

With α and τ Gaussian, of correlations C_α(r) and C_τ(r), the field P = (Q + iU) e^{2iα − τ} has

    ⟨P(x + r) P*(x)⟩ = ξ₊(r) exp(−4 [C_α(0) − C_α(r)]) exp(C_τ(0) + C_τ(r)),
    ⟨P(x + r) P(x)⟩  = ξ₋(r) exp(−4 [C_α(0) + C_α(r)]) exp(C_τ(0) + C_τ(r)),

with ξ± those of Q + iU, and ⟨T P⟩ is dimmed likewise and turned by exp(−2 C_α(0)).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky.flat_sky import FlatSky

Plane = NDArray[np.float64]


def modulated(powers: Mapping[str, Plane], config: LensingConfig, sky: FlatSky) -> dict[str, Plane]:
    """Returns the powers of the modulated sky.

    Args:
      powers: of each two of T, Q and U, half planes, µK² sr: those of T with itself, or those of Q
        and U, or all.
      config: with a rotation, an optical depth, both or none.
      sky: the grid on which it is modulated.
    """
    if config.rotation is None and config.optical_depth is None:
        return dict(powers)
    found = {pair: sky.to_map((power / sky.area) * (1 + 0j)) for pair, power in powers.items()}
    if config.rotation is not None:
        c = sky.to_map(config.rotation.power(sky.ell) / sky.area * (1 + 0j))
        plus, minus = np.exp(-4 * (c[0, 0] - c)), np.exp(-4 * (c[0, 0] + c))
        qq, uu = found["QQ"], found["UU"]
        total, difference = (qq + uu) * plus, (qq - uu) * minus
        found |= {"QQ": (total + difference) / 2, "UU": (total - difference) / 2}
        found["QU"] = found["QU"] * minus
        for pair in ("QT", "TU"):
            if pair in found:
                found[pair] = found[pair] * np.exp(-2 * c[0, 0])
    if config.optical_depth is not None:
        c = sky.to_map(config.optical_depth.power(sky.ell) / sky.area * (1 + 0j))
        found = {pair: values * np.exp(c[0, 0] + c) for pair, values in found.items()}
    return {
        pair: np.asarray(sky.to_modes(values).real * sky.area) for pair, values in found.items()
    }
