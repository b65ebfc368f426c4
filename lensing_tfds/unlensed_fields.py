"""Random numbers -> the modes of κ and of the unlensed sky, as a config has them."""

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.sky import polarization, spectra
from lensing_tfds.sky.flat_sky import as_pairs, pairs_of
from lensing_tfds.sky.gaussian_fields import GaussianField
from lensing_tfds.sky.spectra import PowerSpectra


class UnlensedFields:
    """Makes the modes of κ, T, E, Q and U on the internal grid out of standard normal numbers.

    E is drawn given T, so that a config has the same T whether its polarization is asked for or
    not, and the same Q and U whether its T is.

    Args:
      config: the version.
      table: the spectra.

    Attributes:
      polarized: whether the config has Q and U.
      size: how many normal numbers make one field.
    """

    def __init__(self, config: LensingConfig, table: PowerSpectra):
        sky = config.internal
        self.polarized = "Q" in config.channels

        def power(c_ell: NDArray[np.float64], lmax: int | None) -> NDArray[np.float64]:
            return spectra.at_multipoles(c_ell, sky.ell, lmax) / sky.area

        self._kappa = GaussianField(kappa_power(config, table, sky.ell) / sky.area)
        tt = power(table.TT, config.T_lmax)
        self._temperature = GaussianField(tt)
        self.size = self._kappa.size
        if self.polarized:
            te, ee = (power(c_ell, config.T_lmax) for c_ell in (table.TE, table.EE))
            e_per_t = np.divide(te, tt, out=np.zeros_like(tt), where=tt > 0)
            self._e_per_t = pairs_of(e_per_t)
            self._e_given_t = GaussianField(ee - e_per_t * te)
            self._cosine, self._sine = map(pairs_of, polarization.angles(sky))

    def kappa(self, normals: NDArray[np.float32]) -> NDArray[np.complex64]:
        """The modes of κ, in the memory of the numbers."""
        return self._kappa.modes(normals)

    def unlensed(
        self, normals: NDArray[np.float32], polarization: NDArray[np.complex64]
    ) -> dict[str, NDArray[np.complex64]]:
        """The modes of the unlensed sky, whose B is zero.

        Args:
          normals: the numbers of T and, with polarization, of E: shape (1 or 2, batch, size);
            overwritten by the modes of T and E.
          polarization: where the modes of Q and U go, shape (2, batch, ...), or of no size.
        """
        t = self._temperature.modes(normals[0])
        if not self.polarized:
            return {"T": t}
        e = self._e_given_t.modes(normals[1])
        q, u = polarization
        np.multiply(as_pairs(t), self._e_per_t, out=as_pairs(q))  # q's memory, before it is q
        e += q
        np.multiply(as_pairs(e), self._cosine, out=as_pairs(q))
        np.multiply(as_pairs(e), self._sine, out=as_pairs(u))
        return {"T": t, "E": e, "Q": q, "U": u}
