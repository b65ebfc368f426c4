"""Modes in a border of zeros, which the conjugate gradients of a Wiener filter find last.

Within a border the sky's bright modes are held by what is around it alone: preconditioned by its
diagonal D, the system A of T has eigenvalues there as small as noise over sky, a thousandth on v15.
To D⁻¹ are therefore added inverses of A among functions that are near their modes, Z,

    M = D⁻¹ + Σ Z (Zᵗ A Z)⁻¹ Zᵗ,

which is additive Schwarz (for the same by grids of growing size: Smith, Zahn & Doré 2007,
arXiv:0705.3980). Z are those of the strip of rows that are zero, of that of columns, and of where
the two cross: in a strip sines across and waves along, for which A falls into a block a wave if the
strip is the only one, and crossing it sines both ways. All are low-passed where noise is as
strong as the sky.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from estimators.filtering.masked_patch import MaskedPatch
from lensing_tfds.sky.flat_sky import FlatSky

Modes = NDArray[np.complexfloating]

_LEAST_RATIO = 5.0  # of signal and noise; below it the diagonal does
_STEEPNESS = 8  # of the low pass
_MOST_ACROSS, _MOST_CROSSING = 24, 12  # sines: wider borders keep their longest
_MARGIN = np.radians(16 / 60)  # around the crossing, where its modes are held from
_CROSSING_REACH = 0.44  # of the reach: what is shorter the strips have
_SINGULAR = 1e-4  # of the largest eigenvalue of a block: what is below, single precision loses


class Strip(NamedTuple):
    """Functions in a strip of zeros.

    Attributes:
      is_rows: whether rows are zero, and waves run along x; else columns are.
      across: modes of the sines, (sines, npix), complex.
      inverse: for each wave along the strip, from 0 on, (waves, sines, sines), real: a wave and its
        mirror image have the same.
    """

    is_rows: bool
    across: Modes
    inverse: NDArray[np.floating]


class Crossing(NamedTuple):
    """Functions where two strips cross.

    Attributes:
      along_y: modes of the sines, (sines, npix), complex.
      along_x: likewise.
      inverse: (sines of y x sines of x, the same), real.
    """

    along_y: Modes
    along_x: Modes
    inverse: NDArray[np.floating]


@dataclasses.dataclass(frozen=True, eq=False)
class BorderModes:
    """Adds to a preconditioner of T what is in the border; made by `of`.

    Attributes:
      sky: the patch.
      scale: of modes, half plane: it makes white ones of those of a function.
      strips: one or two.
      crossing: of two strips.
    """

    sky: FlatSky
    scale: NDArray[np.floating]
    strips: tuple[Strip, ...]
    crossing: Crossing | None

    @classmethod
    def of(
        cls,
        patch: MaskedPatch,
        roots: NDArray[np.float64],
        inverse_noise: NDArray[np.float64],
    ) -> Self | None:
        """Makes the functions of a patch; None where there is no border of zeros worth it.

        Args:
          patch: mask and noise.
          roots: of T, as of `Planes.roots`, (npix, npix // 2 + 1).
          inverse_noise: of T, as of `Planes.inverse_noise`.
        """
        sky, signal = patch.sky, patch.seen().signal
        ratio = np.mean(signal**2) * roots**2 * inverse_noise
        if not np.any(bright := ratio >= _LEAST_RATIO):
            return None
        reach = float(np.max(sky.ell[bright]))
        zeros = (~np.any(signal > 0, axis=1), ~np.any(signal > 0, axis=0))
        seen = signal[np.ix_(~zeros[0], ~zeros[1])]
        level = float(np.sqrt(np.mean(seen**2)))
        low = 1 / (1 + (sky.ell / reach) ** _STEEPNESS)
        scale = np.divide(low, roots, out=np.zeros_like(roots), where=roots > 0)
        strips, runs = [], []
        for is_rows, zero in zip((True, False), zeros, strict=True):
            start, length = _longest_run(zero)
            sines = _sines(sky, start, length, reach, _MOST_ACROSS)
            if len(sines):
                profile = np.full(sky.npix, level)
                profile[(start + np.arange(length)) % sky.npix] = 0
                waves = min(int(reach / sky.fundamental), (sky.npix - 1) // 2) + 1
                of_waves = _blocks(sky, roots, inverse_noise, scale, sines, profile, waves, is_rows)
                inverse = np.linalg.pinv(of_waves, rcond=_SINGULAR, hermitian=True)
                strips.append(Strip(is_rows, sines, inverse))
                runs.append((start, length))
        if not strips:
            return None
        found = cls(sky, scale, tuple(strips), None)
        if len(runs) < 2:
            return found
        margin = round(_MARGIN / sky.pixel)
        along_y, along_x = (
            _sines(
                sky,
                start - margin,
                min(length + 2 * margin, sky.npix),
                _CROSSING_REACH * reach,
                _MOST_CROSSING,
            )
            for start, length in runs
        )
        size = len(along_y) * len(along_x)
        if not size:
            return found
        crossing = Crossing(along_y, along_x, np.eye(size))
        found = dataclasses.replace(found, crossing=crossing)
        block = np.concatenate(  # a few at a time, for memory
            [
                found._crossing_parts(_system(sky, roots, inverse_noise, signal, functions))
                for functions in map(
                    found._crossing_modes, np.array_split(np.eye(size), min(8, size))
                )
            ]
        )
        inverse = np.linalg.pinv((block + block.T) / 2, rcond=_SINGULAR, hermitian=True)
        return dataclasses.replace(found, crossing=crossing._replace(inverse=inverse))

    def astype(self, dtype: DTypeLike) -> Self:
        """Returns the same in a real dtype's precision."""
        real = np.dtype(dtype)
        pair = np.result_type(real, 1j)
        strips = tuple(
            s._replace(across=s.across.astype(pair), inverse=s.inverse.astype(real))
            for s in self.strips
        )
        crossing = self.crossing and Crossing(
            self.crossing.along_y.astype(pair),
            self.crossing.along_x.astype(pair),
            self.crossing.inverse.astype(real),
        )
        return dataclasses.replace(
            self, scale=self.scale.astype(real), strips=strips, crossing=crossing
        )

    def __call__(self, modes: Modes) -> Modes:
        """Returns Σ Z (Zᵗ A Z)⁻¹ Zᵗ of white modes of T, (n, npix, npix // 2 + 1)."""
        scaled = modes * self.scale
        found = np.zeros_like(scaled)
        for strip in self.strips:
            waves, across = len(strip.inverse), strip.across
            if strip.is_rows:
                parts = across.conj() @ scaled[..., :waves]
                parts = np.einsum("kij,njk->nik", strip.inverse, parts)
                found[..., :waves] += across.T @ parts
            else:
                which = np.r_[0:waves, 1 - waves : 0]
                inverse = np.concatenate([strip.inverse, strip.inverse[:0:-1]])
                rows = scaled[:, which]
                half = across[:, : rows.shape[-1]]
                doubled = slice(1, (self.sky.npix + 1) // 2)  # columns that have a mirror image
                parts = rows @ half.conj().T
                mirrored = rows[..., doubled] @ half[:, doubled].conj().T
                parts += mirrored[:, -np.arange(len(which))].conj()
                parts = np.einsum("kij,nkj->nki", inverse, parts)
                found[:, which] += parts @ half
        found *= self.scale
        if self.crossing is not None:
            found += self._crossing_modes(self._crossing_parts(modes) @ self.crossing.inverse)
        return found

    def _crossing_modes(self, parts: NDArray[np.floating]) -> Modes:
        """White modes of functions where strips cross, (n, functions)."""
        assert self.crossing is not None
        along_y, along_x = self.crossing[:2]
        parts = parts.reshape(-1, len(along_y), len(along_x))
        return (along_y.T @ parts @ along_x[:, : self.scale.shape[-1]]) * self.scale

    def _crossing_parts(self, modes: Modes) -> NDArray[np.floating]:
        """Scalar products of white modes with the same functions."""
        assert self.crossing is not None
        along_y, along_x = self.crossing[:2]
        counts = self.sky.mode_counts.astype(self.scale.dtype)
        scaled = modes * (self.scale * counts)
        parts = along_y.conj() @ scaled @ along_x[:, : self.scale.shape[-1]].conj().T
        return parts.real.reshape(len(modes), -1)


def _longest_run(zero: NDArray[np.bool_]) -> tuple[int, int]:
    """Start and length of the longest run, in a periodic array that is not all of it."""
    best, length = (0, 0), 0
    for i, value in enumerate(np.concatenate([zero, zero])):
        length = length + 1 if value else 0
        if length > best[1]:
            best = (i + 1 - length, length)
    return best


def _sines(sky: FlatSky, start: int, length: int, reach: float, most: int) -> Modes:
    """Modes of sines that are zero outside of so many pixels, (sines, npix)."""
    number = min(int(reach * (length + 1) * sky.pixel / np.pi), length, most)
    within = np.arange(1, length + 1)
    waves = np.zeros((number, sky.npix))
    frequencies = np.arange(1, number + 1)[:, None]
    waves[:, (start + np.arange(length)) % sky.npix] = np.sin(
        np.pi * frequencies * within / (length + 1)
    )
    return np.fft.fft(waves, axis=1, norm="ortho")


def _blocks(
    sky: FlatSky,
    roots: NDArray[np.float64],
    inverse_noise: NDArray[np.float64],
    scale: NDArray[np.float64],
    sines: Modes,
    profile: NDArray[np.float64],
    waves: int,
    is_rows: bool,
) -> NDArray[np.float64]:
    """Zᵗ A Z of each wave along a strip that is the only one, (waves, sines, sines).

    Args:
      sky: the patch.
      roots: as of `BorderModes.of`.
      inverse_noise: likewise.
      scale: as of `BorderModes`.
      sines: as of `Strip`.
      profile: what multiplies the signal across the strip, (npix,).
      waves: their number.
      is_rows: as of `Strip`.
    """

    def across(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        whole = sky.full_plane(plane)
        return (whole.T if is_rows else whole)[:waves, None]

    def seen(modes: Modes) -> Modes:
        return np.fft.fft(profile * np.fft.ifft(modes))

    white = across(scale) * sines
    observed = seen(across(roots) * white)
    noise = across(inverse_noise)
    found = np.einsum("kim,kjm->kij", white.conj(), white)
    found += np.einsum("kim,kjm->kij", observed.conj() * noise, observed)
    return found.real  # as planes are even in l_x and in l_y


def _system(
    sky: FlatSky,
    roots: NDArray[np.float64],
    inverse_noise: NDArray[np.float64],
    signal: NDArray[np.floating],
    modes: Modes,
) -> Modes:
    """A of white modes of T, (n, npix, npix // 2 + 1)."""
    seen = sky.to_modes(signal * sky.to_map(roots * modes))
    return modes + roots * sky.to_modes(signal * sky.to_map(inverse_noise * seen))
