"""The tensor-to-scalar ratio r from band powers of B, delensed or not.

Band powers Ĉ_b of the B modes that are left are taken as Gaussian, with mean L_b + r T_b: L_b what
skies without tensors have, T_b the tensors' own at r = 1. Then r̂ is linear in Ĉ, and its error is
Fisher's, (Σ T_b M⁻¹_bb' T_b')^(−1/2), with M the covariance of skies without tensors. If delensing
takes away a part of the tensors too, r̂ is low by it: T_b does not know.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError


@dataclasses.dataclass(frozen=True, eq=False)
class RatioLikelihood:
    """A Gaussian likelihood of r.

    Attributes:
      tensors: T_b, (bands,), µK².
      mean: L_b, (bands,), µK².
      precision: M⁻¹, (bands, bands).
    """

    tensors: NDArray[np.float64]
    mean: NDArray[np.float64]
    precision: NDArray[np.float64]

    @classmethod
    def of(cls, tensors: NDArray[np.float64], without: NDArray[np.float64]) -> RatioLikelihood:
        """Returns the likelihood by skies without tensors.

        Args:
          tensors: T_b, (bands,).
          without: band powers of skies without tensors, (skies, bands).

        Raises:
          LensingError: there are too few skies to invert their covariance without bias, or the
            tensors have no power in any band.
        """
        skies, bands = without.shape
        if skies < bands + 3:
            raise LensingError(
                f"{skies} skies without tensors: the covariance of {bands} bands needs at least "
                f"{bands + 3}"
            )
        if not tensors.any():
            raise LensingError("tensors have no power in these bands: r cannot be told from them")
        # Hartlap, Simon & Schneider 2007, astro-ph/0608064.
        factor = (skies - bands - 2) / (skies - 1)
        covariance = np.atleast_2d(np.cov(without, rowvar=False))
        return cls(tensors, without.mean(axis=0), factor * np.linalg.inv(covariance))

    @property
    def error(self) -> float:
        """Fisher's error of r, at r = 0."""
        return float(1 / np.sqrt(self.tensors @ self.precision @ self.tensors))

    def ratio(self, band_powers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns r̂ of skies, which may be negative.

        Args:
          band_powers: (skies, bands), µK².

        Returns:
          Shape (skies,).
        """
        return (band_powers - self.mean) @ self.weights

    @property
    def weights(self) -> NDArray[np.float64]:
        """The weights of band powers in r̂, (bands,), 1/µK²."""
        return self.tensors @ self.precision * self.error**2
