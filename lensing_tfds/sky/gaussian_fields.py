"""Power spectrum -> realisations of a Gaussian field, made mode by mode.

A real field on npix² pixels has npix² independent real numbers. Its half plane holds complex modes
with ⟨|a_l|²⟩ = C_l / area, except that a(-l) = a(l)* ties the columns l_x = 0 and l_x = Nyquist to
themselves, where the self-conjugate modes are real, with ⟨a²⟩ = C_l / area.
"""

import numpy as np
from numpy.typing import NDArray


class GaussianField:
    """Makes realisations of a field out of standard normal numbers.

    Args:
      power: ⟨|a_l|²⟩ on the half plane, shape (npix, npix // 2 + 1); the same at (l_y, l_x) and
        (-l_y, l_x).
    """

    def __init__(self, power: NDArray[np.floating]):
        self._npix = len(power)
        # Frequencies that are their own opposites, along either axis: 0 and, if even, npix / 2.
        self._own = slice(None, None, self._npix // 2 if self._npix % 2 == 0 else self._npix)
        variance = np.array(power, np.float64)  # of the real part, and of the imaginary part
        variance *= 0.5
        variance[self._own, self._own] *= 2
        self._rms = np.repeat(np.sqrt(variance).astype(np.float32), 2, axis=-1).ravel()

    @property
    def size(self) -> int:
        """Normal numbers that make one realisation: npix * (npix // 2 + 1) * 2."""
        return self._rms.size

    def modes(self, normals: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Turns each row of numbers into the modes of one realisation, in place.

        Args:
          normals: standard normal numbers, float32 of shape (batch, size); overwritten.

        Returns:
          Half planes, complex64 of shape (batch, npix, npix // 2 + 1), in the same memory.
        """
        normals *= self._rms
        npix = self._npix
        modes = normals.view(np.complex64).reshape(len(normals), npix, npix // 2 + 1)
        tied = modes[:, :, self._own]
        np.conjugate(tied[:, 1 : (npix + 1) // 2], out=tied[:, : npix // 2 : -1])
        tied[:, self._own].imag = 0
        return modes
