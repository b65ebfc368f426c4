"""Gaussian modes of T, E and B, for the tests of the quadratic estimators."""

import numpy as np

from lensing_tfds.sky.gaussian_fields import GaussianField


def gaussian(power, rng, n):
    """n half planes with ⟨|a_l|²⟩ = power, complex128."""
    field = GaussianField(power)
    return field.modes(rng.standard_normal((n, field.size), np.float32)).astype(complex)


def correlated(tt, ee, te, rng, n):
    """Two fields of these ⟨|a_l|²⟩ and cross-power."""
    ratio = np.divide(te, tt, out=np.zeros_like(te), where=tt > 0)
    t = gaussian(tt, rng, n)
    return t, t * ratio + gaussian(np.maximum(ee - te * ratio, 0), rng, n)


def observed(observation, rng, n):
    """Maps as observed, if the lensed sky were Gaussian: what N0 is the noise of."""
    area = observation.sky.area
    tt, ee, te, bb = (observation.total(*pair) / area for pair in ("TT", "EE", "TE", "BB"))
    t, e = correlated(tt, ee, te, rng, n)
    return {"T": t, "E": e, "B": gaussian(bb, rng, n)}
