"""Random numbers -> an example's r, and the modes that its gravitational waves make."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from lensing_tfds import field_numbers
from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky import polarization, spectra
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.gaussian_fields import GaussianField
from lensing_tfds.sky.spectra import PowerSpectra
from lensing_tfds.sky.tensor_spectra import LMAX
from lensing_tfds.telescope import Stream

Modes = NDArray[np.complex64]


class TensorModes(NamedTuple):
    """The tensor modes of a block, half planes of a coarse grid; T of size 0 if it is not wanted.

    Attributes:
      t: (batch, npix, npix // 2 + 1), µK, as are all others.
      e: E.
      q_of_b: what B adds to Q.
      u_of_b: what B adds to U.
      ratio: r of each example, float32 of shape (batch,).
    """

    t: Modes
    e: Modes
    q_of_b: Modes
    u_of_b: Modes
    ratio: NDArray[np.float32]


class TensorFields:
    """Draws the tensor modes of a config with tensors, on the coarsest grid that carries them all.

    Args:
      config: the version.
      table: its spectra, with those of tensors.
    """

    def __init__(self, config: LensingConfig, table: PowerSpectra):
        assert config.tensors is not None and table.tensors is not None
        self._tensors, internal = config.tensors, config.internal
        # Without power on its own Nyquist lines, unless it is the internal grid itself.
        enough = 2 * (math.floor(LMAX / internal.fundamental) + 2)
        self._sky = FlatSky(min(enough, internal.npix), internal.side)
        power = {
            name: spectra.at_multipoles(getattr(table.tensors, name), self._sky.ell, config.T_lmax)
            / self._sky.area
            for name in ("TT", "EE", "BB", "TE")
        }
        self._e, self._b = GaussianField(power["EE"]), GaussianField(power["BB"])
        shape = power["EE"].shape
        self._t_per_e = np.divide(
            power["TE"], power["EE"], out=np.zeros(shape), where=power["EE"] > 0
        )
        self._t_given_e = GaussianField(
            np.maximum(power["TT"] - self._t_per_e * power["TE"], 0)  # not below by rounding
        )
        self._cosine, self._sine = (f.astype(np.float32) for f in polarization.angles(self._sky))
        self._has_t, self._polarized = "T" in config.channels, "Q" in config.channels

    def ratios(self, stream: Stream, indices: Sequence[int]) -> NDArray[np.float32]:
        """Returns r of each example."""
        normals = np.empty((len(indices), 1), np.float32)
        stream.fill(indices, field_numbers.TENSOR_RATIO, normals)
        low, high = math.sqrt(self._tensors.r_min), math.sqrt(self._tensors.r_max)
        return ((low + (high - low) * ndtr(normals[:, 0].astype(float))) ** 2).astype(np.float32)

    def draw(self, stream: Stream, indices: Sequence[int]) -> TensorModes:
        """Draws a block's modes.

        Args:
          stream: of the examples' random numbers.
          indices: of the examples.
        """
        ratio = self.ratios(stream, indices)
        scale = np.sqrt(ratio)[:, None, None]
        e = self._drawn(stream, indices, field_numbers.TENSOR_E, self._e)
        t = e[:0]
        if self._has_t:
            t = self._drawn(stream, indices, field_numbers.TENSOR_T, self._t_given_e)
            t += e * self._t_per_e.astype(np.float32)
            t *= scale
        e *= scale
        q = u = e[:0]
        if self._polarized:
            b = self._drawn(stream, indices, field_numbers.TENSOR_B, self._b)
            b *= scale
            q, u = b * -self._sine, b * self._cosine
        return TensorModes(t, e, q, u, ratio)

    def _drawn(
        self, stream: Stream, indices: Sequence[int], number: int, field: GaussianField
    ) -> Modes:
        normals = np.empty((len(indices), field.size), np.float32)
        stream.fill(indices, number, normals)
        return field.modes(normals)


def add_coarse(modes: Modes, coarse: Modes) -> None:
    """Adds modes of a coarser grid over the same side, without its Nyquist lines, in place.

    Args:
      modes: half planes, (..., npix, npix // 2 + 1).
      coarse: half planes of as many pixels or fewer.
    """
    if coarse.shape == modes.shape:
        modes += coarse
        return
    half = (coarse.shape[-2] - 1) // 2
    modes[..., : half + 1, : half + 1] += coarse[..., : half + 1, : half + 1]
    modes[..., -half:, : half + 1] += coarse[..., -half:, : half + 1]
