"""Power spectrum -> realisations of a Gaussian field, drawn mode by mode.

The random numbers come from Philox, a counter-based generator (Salmon et al. 2011, "Parallel
random numbers: as easy as 1, 2, 3"): any number of any stream is computed from its address, so that
an example needs no other example. The stream is keyed by (seed, dataset version, split) and the
counter holds (index, field): never the name, the size of the split or the physics, so that
enlarging a split keeps its examples, and two configs on the same grid share a sky.
"""

import numpy as np
from numpy.typing import NDArray

# Fields of one example; the values are part of the data's definition.
TEMPERATURE, KAPPA, NOISE = 0, 1, 2


class NormalStream:
    """Standard normal numbers addressed by (index, field).

    Args:
      key: non-negative integers that name the stream, e.g. (seed, 1, 0, 0, split).
    """

    def __init__(self, key: tuple[int, ...]):
        self._philox = np.random.Philox(
            key=np.random.SeedSequence(key).generate_state(2, np.uint64)
        )
        self._state = self._philox.state

    def draw(self, index: int, field: int, size: int) -> NDArray[np.float32]:
        """Draws standard normal numbers; the same address gives the same numbers.

        Box–Muller in single precision on 32 raw bits per number: quick on whole arrays, and fixed
        by this file rather than by the version of NumPy. The tails end at 6.8 standard deviations
        (probability 1e-11).

        Args:
          index: which example.
          field: which of its fields.
          size: how many numbers.

        Returns:
          float32 of shape (size,).
        """
        # The generator counts in the lowest word; the address stands in the highest two.
        self._state["state"]["counter"][:] = (0, 0, field, index)
        self._state["buffer_pos"] = 4  # nothing buffered: the next number starts a new block
        self._philox.state = self._state
        half = (size + 1) // 2
        bits = self._philox.random_raw(half).astype("<u8", copy=False).view("<u4")
        uniform = bits.astype(np.float32)
        uniform *= np.float32(2.0**-32)
        radius, angle = uniform[:half], uniform[half:]
        radius += np.float32(2.0**-33)  # never log(0)
        np.log(radius, out=radius)
        radius *= np.float32(-2)
        np.sqrt(radius, out=radius)
        angle *= np.float32(2 * np.pi)
        normal = np.empty(2 * half, np.float32)
        np.cos(angle, out=normal[:half])
        np.sin(angle, out=normal[half:])
        normal[:half] *= radius
        normal[half:] *= radius
        return normal[:size]


def unit_modes(normals: NDArray[np.float32], npix: int) -> NDArray[np.complex64]:
    """Arranges white noise as the half planes of real fields, every mode of unit power.

    A real field on the grid has npix² independent real numbers: complex modes with ⟨|a|²⟩ = 1,
    except that a(-l) = a(l)* ties the columns l_x = 0 and l_x = Nyquist to themselves, where
    the self-conjugate modes are real, with ⟨a²⟩ = 1.

    Args:
      normals: standard normal numbers, float32 of shape (batch, npix * (npix // 2 + 1) * 2).
      npix: pixels on a side.

    Returns:
      complex64 of shape (batch, npix, npix // 2 + 1), sharing memory with `normals`.
    """
    modes = normals.view(np.complex64).reshape(len(normals), npix, npix // 2 + 1)
    modes *= np.float32(np.sqrt(0.5))
    own_rows = [0, npix // 2] if npix % 2 == 0 else [0]
    upper = slice(1, (npix + 1) // 2)
    lower = slice(npix - 1, npix // 2, -1)
    for column in own_rows:  # the same frequencies are self-conjugate along both axes
        modes[:, lower, column] = modes[:, upper, column].conj()
        for row in own_rows:
            modes[:, row, column] = modes[:, row, column].real * np.float32(np.sqrt(2))
    return modes
