"""Random numbers -> the modes of the unlensed sky, as a config has it."""

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import LensingConfig
from lensing_tfds.kappa_fields import KappaField
from lensing_tfds.sky import kappa_correlations, polarization, spectra
from lensing_tfds.sky.flat_sky import as_pairs, pairs_of
from lensing_tfds.sky.gaussian_fields import GaussianField
from lensing_tfds.sky.spectra import PowerSpectra
from lensing_tfds.tensor_fields import TensorModes, add_coarse


class UnlensedFields:
    """Makes the modes of T, E, Q and U on the internal grid out of standard normal numbers.

    T is drawn given κ's seed, if they are correlated, and E given T and that, so that a config has
    the same T whether its polarization is asked for or not, and the same Q and U whether its T is.

    Args:
      config: the version.
      table: the spectra.
      kappa: the κ of the sky.

    Attributes:
      polarized: whether the config has Q and U.
      size: how many normal numbers make one field.
    """

    def __init__(self, config: LensingConfig, table: PowerSpectra, kappa: KappaField):
        sky = config.internal
        self.polarized = "Q" in config.channels

        def power(c_ell: NDArray[np.float64], lmax: int | None) -> NDArray[np.float64]:
            return spectra.at_multipoles(c_ell, sky.ell, lmax) / sky.area

        tt = power(table.TT, config.T_lmax)
        t_per_seed = e_per_seed = None
        if config.kappa is not None and config.kappa.correlated:
            correlations = kappa_correlations.fiducial()
            # Of the seed with T: that of κ over the scale of what κ is made of.
            unit = config.kappa_exaggeration_factor
            unit *= 1.0 if np.isinf(kappa.scale) else 1 / kappa.scale
            there = kappa.seed_power > 0  # a κ that is cut has no seed beyond
            t_seed, e_seed = (there * unit * power(c_ell, config.T_lmax) for c_ell in correlations)
            t_per_seed, e_per_seed = (
                np.divide(cross, kappa.seed_power, out=np.zeros_like(cross), where=there)
                for cross in (t_seed, e_seed)
            )
            self._t_per_seed, self._e_per_seed = pairs_of(t_per_seed), pairs_of(e_per_seed)
        self._correlated = t_per_seed is not None
        t_given_seed = tt if t_per_seed is None else tt - t_per_seed * t_seed
        self._temperature = GaussianField(t_given_seed)
        self.size = self._temperature.size
        if self.polarized:
            te, ee = (power(c_ell, config.T_lmax) for c_ell in (table.TE, table.EE))
            if t_per_seed is not None and e_per_seed is not None:
                te, ee = te - t_per_seed * e_seed, ee - e_per_seed * e_seed
            e_per_t = np.divide(te, t_given_seed, out=np.zeros_like(tt), where=t_given_seed > 0)
            self._e_per_t = pairs_of(e_per_t)
            self._e_given_t = GaussianField(ee - e_per_t * te)
            self._cosine, self._sine = map(pairs_of, polarization.angles(sky))

    def unlensed(
        self,
        normals: NDArray[np.float32],
        polarization: NDArray[np.complex64],
        seed: NDArray[np.complex64] | None = None,
        tensors: TensorModes | None = None,
    ) -> dict[str, NDArray[np.complex64]]:
        """The modes of the unlensed sky, whose B is that of tensors.

        Args:
          normals: the numbers of T and, with polarization, of E: shape (1 or 2, batch, size);
            overwritten by the modes of T and E.
          polarization: where the modes of Q and U go, shape (2, batch, ...), or of no size.
          seed: the modes that κ is made of, which those of T and E may be correlated with.
          tensors: what is added to them; None is nothing.
        """
        t = self._temperature.modes(normals[0])
        if not self.polarized:
            t = self._with_seed(t, seed, "T")
            if tensors is not None:
                add_coarse(t, tensors.t)
            return {"T": t}
        e = self._e_given_t.modes(normals[1])
        q, u = polarization
        np.multiply(as_pairs(t), self._e_per_t, out=as_pairs(q))  # q's memory, before it is q
        e += q
        t, e = self._with_seed(t, seed, "T"), self._with_seed(e, seed, "E")
        if tensors is not None:
            add_coarse(e, tensors.e)
            if tensors.t.size:
                add_coarse(t, tensors.t)
        np.multiply(as_pairs(e), self._cosine, out=as_pairs(q))
        np.multiply(as_pairs(e), self._sine, out=as_pairs(u))
        if tensors is not None:
            add_coarse(q, tensors.q_of_b)
            add_coarse(u, tensors.u_of_b)
        return {"T": t, "E": e, "Q": q, "U": u}

    def _with_seed(
        self, modes: NDArray[np.complex64], seed: NDArray[np.complex64] | None, field: str
    ) -> NDArray[np.complex64]:
        """Adds the part of T or E that goes with κ's seed, in place."""
        if self._correlated and seed is not None:
            factor = self._t_per_seed if field == "T" else self._e_per_seed
            as_pairs(modes)[...] += factor * as_pairs(seed)
        return modes
