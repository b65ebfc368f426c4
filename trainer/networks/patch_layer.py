"""The base of layers between which fields of one patch are `Modes`, always in float32."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from lensing_tfds.sky import polarization
from lensing_tfds.sky.flat_sky import FlatSky
from trainer.networks.modes import Modes, as_tensor, centred, padded, times, to_maps, top_of


class PatchLayer(keras.layers.Layer):
    """A layer that knows the patch that its modes are of.

    Args:
      npix: pixels on a side.
      side: length of a side, radians.
      **options: Keras's own.
    """

    def __init__(self, npix: int, side: float, **options: Any):
        super().__init__(**options | {"dtype": "float32"})  # in mixed precision too
        self.sky = FlatSky(npix, side)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"npix": self.sky.npix, "side": self.sky.side}

    def modes_like(self, maps: Any) -> Modes:
        """States the shape, as tracing a layer for it would take seconds a model."""
        shape = (maps.shape[0], self.sky.npix, self.sky.npix)
        re, im = (keras.KerasTensor(shape, "float32") for _ in range(2))
        return re, im

    def constant(self, name: str, *shape: int) -> Any:
        """Adds an array of this shape that is not trained, to be assigned or read from a file."""
        lost = keras.initializers.Constant(float("nan"))
        return self.add_weight(shape=shape, initializer=lost, trainable=False, name=name)

    def half_planes(self, name: str, number: int) -> Any:
        """Adds real, even functions of l that are not trained, on the half plane."""
        return self.constant(name, number, *self.sky.ell.shape)

    def whole(self, half_planes: Any) -> Any:
        """Gives real, even functions of l their other half: (..., npix, npix)."""
        inner = half_planes[..., 1 : (self.sky.npix + 1) // 2]
        mirrored = ops.roll(ops.flip(inner, (-2, -1)), 1, axis=-2)
        return ops.concatenate([half_planes, mirrored], axis=-1)

    def multipoles(self) -> tuple[Any, Any]:
        """(l_y, l_x), zero on Nyquist lines: shapes (npix, 1) and (npix,)."""
        d_y = self.sky.gradient[0].imag
        return as_tensor(d_y), as_tensor(d_y[:, 0])

    def gradients(self, modes: Modes, npix: int) -> Modes:
        """Maps of the derivatives along y and x on a grid of so many pixels.

        They have the phase of `padded` maps; a scalar product of two of them has none.
        """
        top = top_of(self.sky.npix, npix)
        return to_maps(padded(centred(self.gradient(modes), top), npix))

    def gradient(self, modes: Modes) -> Modes:
        """Modes of a real field's derivatives along y and x, as those of one complex map."""
        (re, im), (ly, lx) = modes, self.multipoles()
        return -ly * im - lx * re, ly * re - lx * im  # i l_y a + i (i l_x a)

    def potential(self, kappa: Modes) -> Modes:
        """Modes of the lensing potential, 2 κ / l²."""
        ell = np.array(self.sky.full_plane(self.sky.ell))
        ell[0, 0] = np.inf
        return times(2 / ell**2, kappa)

    def angles(self) -> tuple[Any, Any]:
        """Returns cos 2φ_l and sin 2φ_l, (npix, npix)."""
        cosine, sine = (self.sky.full_plane(f) for f in polarization.angles(self.sky))
        return as_tensor(cosine), as_tensor(sine)

    def to_eb(self, qu: Modes) -> Modes:
        """Returns the modes of E + iB = (Q + iU) exp(-2iφ_l), of two maps as one."""
        (cosine, sine), (re, im) = self.angles(), qu
        return cosine * re + sine * im, cosine * im - sine * re
