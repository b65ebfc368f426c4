"""The Wiener filter of maps with a mask and uneven noise, by conjugate gradients.

With d = A b f + σ n (see `masked_patch`) and f = C^½ y, white y, the most probable sky is

    f̂ = C^½ y,    (1 + Gᵗ N⁻¹ G) y = Gᵗ N⁻¹ d/σ,    G = (A/σ) R b C^½,

with C and b diagonal in harmonic space, A and σ in pixels, N the noise spectrum, and R the turn
of E and B to Q and U. Where maps are masked the noise's correlations across the mask are left
out, which makes the filter a little less than optimal, and biases nothing: what is made of filtered
fields is normalised by simulations (Wiener filter of polarization on cut skies: Bunn & Wandelt
2017, arXiv:1610.03345; for quadratic estimates Hirata et al. 2004, astro-ph/0406004; Planck 2018
VIII, arXiv:1807.06210).

Preconditioned by its diagonal the interior is solved in ten to twenty steps, and what is left are
modes in the mask's edge, where little is known (`benchmarks.masked_filter`): of T, which is bright
there, `border_modes` has them.

What is returned are not f̂ but x_l = (b² C + N) / b · f̂/C, the fields that a periodic patch with
the same f̂ would have had: without mask, x = d. So whatever takes fields of periodic patches,
quadratic estimators and templates, takes these, and filters them by itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from estimators.filtering.conjugate_gradients import Solution, solve
from estimators.filtering.masked_patch import SPECTRUM_OF, MaskedPatch, checked_mask
from estimators.filtering.planes import Planes, planes_of
from estimators.quadratic.observation import Observation
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import polarization
from lensing_tfds.sky.flat_sky import FlatSky, as_pairs

Modes = NDArray[np.complexfloating]

TOLERANCE, MOST_STEPS = 3e-3, 200


class NotConvergedWarning(UserWarning):
    """A filter stopped before it reached its tolerance."""


class Weighted(NamedTuple):
    """Maps as they go into a filter.

    Attributes:
      maps: channels to maps d / σ, (n, npix, npix), µK.
      signal: (n, npix, npix), what the sky is multiplied by in them: A / σ.
    """

    maps: Mapping[str, NDArray[np.floating]]
    signal: NDArray[np.floating]


class WienerFilter:
    """Filters maps of a patch.

    Args:
      patch: mask and noise.
      observation: beam, modes and spectra of the signal, and the power that the fields are to have
        on a periodic patch: as of `MaskedPatch.observation`.
      channels: of the maps, "T", "Q", "U", in this order.
      residual_b: C_l^BB of the sky in place of the lensed one, half plane, µK²: of maps less a
        template.
      tolerance: of the residual of conjugate gradients, of E and B; T is solved to a tenth of it.
      most_steps: of them.
      dtype: float32, or float64.

    Attributes:
      observation: as given.
      patch: as given.
      tolerance: as given.

    Raises:
      LensingError: the noise of a channel is not in the patch.
    """

    def __init__(
        self,
        patch: MaskedPatch,
        observation: Observation,
        channels: Sequence[str],
        residual_b: NDArray[np.float64] | None = None,
        tolerance: float = TOLERANCE,
        most_steps: int = MOST_STEPS,
        dtype: DTypeLike = np.float32,
    ):
        self.patch, self.observation = patch, observation
        self._channels, self._dtype = tuple(channels), np.dtype(dtype)
        self.tolerance, self._most_steps = tolerance, most_steps
        for channel in channels:
            if SPECTRUM_OF[channel] not in patch.noise:
                raise LensingError(f"the patch has no noise spectrum for {channel}")
        self._systems: list[_System] = []
        if "T" in channels:
            self._systems.append(_System(patch, observation, "T", None, dtype))
        if "Q" in channels:
            self._systems.append(_System(patch, observation, "EB", residual_b, dtype))

    def fields(
        self, maps: NDArray[np.floating], masks: NDArray[np.floating] | None = None
    ) -> dict[str, Modes]:
        """Filters maps.

        Args:
          maps: µK, (n, npix, npix, channels), as observed.
          masks: (n, npix, npix), 0 to 1, of these maps; None is the patch's.

        Returns:
          "T", or "E" and "B", or all: half planes, µK, (n, npix, npix // 2 + 1), with beam and
          noise, as of `fields.fields_of`.

        Raises:
          LensingError: maps or masks have another shape, or impossible values.

        Warns:
          NotConvergedWarning: the tolerance was not reached.
        """
        return self.of_weighted(self.weighted(maps, masks))

    def fields_of_splits(
        self, splits: NDArray[np.floating], masks: NDArray[np.floating] | None = None
    ) -> list[dict[str, Modes]]:
        """Filters each split of the data, all alike: their mean is what the mean's fields are.

        Args:
          splits: µK, (n, npix, npix, splits x channels), one split's channels after the other's.
          masks: as of `fields`.

        Returns:
          Fields of each split, as of `fields`; for `quadratic.splits`.

        Raises:
          LensingError: as of `fields`, or the channels are not those of whole splits.
        """
        count = len(self._channels)
        if splits.ndim != 4 or splits.shape[-1] % count:
            raise LensingError(
                f"splits have shape {splits.shape}: must be (n, npix, npix, splits x {count})"
            )
        return [
            self.fields(splits[..., first : first + count], masks)
            for first in range(0, splits.shape[-1], count)
        ]

    @property
    def planes(self) -> list[Planes]:
        """The numbers of its systems: that of T, that of E and B, or both."""
        return [system.planes for system in self._systems]

    def weighted(
        self, maps: NDArray[np.floating], masks: NDArray[np.floating] | None = None
    ) -> Weighted:
        """Returns maps as they go into the filter; arguments and errors as of `fields`."""
        npix, channels = self.patch.sky.npix, "".join(self._channels)
        if maps.ndim != 4 or maps.shape[1:] != (npix, npix, len(channels)):
            raise LensingError(
                f"maps have shape {maps.shape}: must be (n, {npix}, {npix}, {len(channels)}), of "
                f"{channels}"
            )
        if masks is not None:
            masks = checked_mask(masks, self.patch.sky, several=True)
            if len(masks) != len(maps):
                raise LensingError(f"{len(masks)} masks of {len(maps)} maps: give one for each")
        seen = self.patch.seen(masks)
        signal, data = (factor.astype(self._dtype) for factor in seen)
        found = {
            name: maps[..., i].astype(self._dtype) * data for i, name in enumerate(self._channels)
        }
        if not all(np.isfinite(values).all() for values in found.values()):
            raise LensingError("maps to be filtered are not finite (NaN or infinite)")
        return Weighted(found, np.broadcast_to(signal, (len(maps), npix, npix)))

    def of_weighted(
        self, weighted: Weighted, start: Mapping[str, Modes] | None = None
    ) -> dict[str, Modes]:
        """Filters maps that are weighted already; results and warnings as of `fields`.

        Args:
          weighted: as of `weighted`.
          start: fields near those that are to be found.
        """
        found: dict[str, Modes] = {}
        for system in self._systems:
            tolerance = system.planes.tolerance(self.tolerance)
            solution = system.solve(weighted, start, tolerance, self._most_steps)
            if np.any(missed := ~(solution.residual <= tolerance)):  # NaN is not solved
                warnings.warn(
                    f"the Wiener filter of {missed.sum()} of {len(missed)} maps stopped after "
                    f"{solution.steps} steps at a residual of {solution.residual.max():.1e}, "
                    f"above {tolerance:.1e}: allow more steps",
                    NotConvergedWarning,
                    stacklevel=2,
                )
            found |= system.fields(solution.x)
        return found

    def less(self, weighted: Weighted, fields: Mapping[str, Modes]) -> Weighted:
        """Returns weighted maps less what fields put into them.

        Args:
          weighted: as of `weighted`.
          fields: of the sky, without beam, "T", or "E" and "B", or all: half planes, µK.
        """
        maps: dict[str, NDArray[np.floating]] = {}
        for system in self._systems:
            for name, seen in system.observed(fields, weighted.signal).items():
                maps[name] = weighted.maps[name] - seen
        return weighted._replace(maps=maps)


class _System:
    """The linear system of T, or of E and B together.

    Args:
      patch: mask and noise.
      observation: as of `WienerFilter`.
      names: "T" or "EB".
      residual_b: as of `WienerFilter`.
      dtype: real.

    Attributes:
      planes: its numbers.
    """

    def __init__(
        self,
        patch: MaskedPatch,
        observation: Observation,
        names: str,
        residual_b: NDArray[np.float64] | None,
        dtype: DTypeLike,
    ):
        self.planes = planes_of(patch, observation, names, residual_b)
        self._sky: FlatSky = patch.sky
        self._names, self._channels = names, self.planes.channels
        sky, beam = patch.sky, observation.beam
        real = np.dtype(dtype)

        def of_pairs(plane: NDArray[np.floating]) -> NDArray[np.floating]:
            return np.repeat(plane.astype(real), 2, axis=-1)

        turn = [[np.ones(sky.ell.shape)]]
        if names == "EB":
            cosine, sine = polarization.angles(sky)
            turn = [[cosine, -sine], [sine, cosine]]
        self._turn = np.array([[of_pairs(factor * beam) for factor in row] for row in turn])
        self._into = np.array(
            [
                [of_pairs(f * root) for f, root in zip(row, self.planes.roots, strict=True)]
                for row in turn
            ]
        )
        self._to_fields = of_pairs(self.planes.to_fields)[:, None]
        self._inverse_noise = of_pairs(self.planes.inverse_noise)
        self._preconditioner = of_pairs(self.planes.preconditioner)[:, None]
        self._counts = of_pairs(sky.mode_counts)
        border = self.planes.border
        self._border = None if border is None else border.astype(real)

    def solve(
        self,
        weighted: Weighted,
        start: Mapping[str, Modes] | None,
        tolerance: float,
        most_steps: int,
    ) -> Solution:
        """Solves for white y, (fields, n, npix, 2 (npix // 2 + 1)): real and imaginary parts."""
        maps = np.stack([weighted.maps[name] for name in self._channels])
        signal, first = weighted.signal, None
        if start is not None:
            fields = np.stack([start[name] for name in self._names])
            first = np.divide(
                as_pairs(fields),
                self._to_fields,
                out=np.zeros_like(as_pairs(fields)),
                where=self._to_fields > 0,
            )

        def operator(y: NDArray[np.floating]) -> NDArray[np.floating]:
            seen = self._maps(_mixed(self._into, y))
            seen *= signal
            result = self._gathered(seen, signal)
            result += y
            return result

        return solve(
            operator,
            self._gathered(maps, signal),
            self._preconditioned,
            self._dot,
            tolerance,
            most_steps,
            first,
        )

    def fields(self, y: NDArray[np.floating]) -> dict[str, Modes]:
        """The fields of a periodic patch that would have been filtered to y."""
        return dict(zip(self._names, _modes(self._to_fields * y), strict=True))

    def observed(
        self, fields: Mapping[str, Modes], signal: NDArray[np.floating]
    ) -> dict[str, NDArray[np.floating]]:
        """Weighted maps of fields of the sky."""
        stacked = as_pairs(np.stack([fields[name] for name in self._names]))
        seen = self._maps(_mixed(self._turn, stacked)) * signal
        return dict(zip(self._channels, seen, strict=True))

    def _maps(self, pairs: NDArray[np.floating]) -> NDArray[np.floating]:
        return self._sky.to_map(_modes(pairs))

    def _gathered(
        self, maps: NDArray[np.floating], signal: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """Gᵗ N⁻¹ of weighted maps."""
        if self.planes.is_white:
            maps = maps * self._inverse_noise[0, 0]
        else:
            pairs = as_pairs(self._sky.to_modes(maps))
            pairs *= self._inverse_noise
            maps = self._maps(pairs)
        maps *= signal
        return _mixed(self._into.swapaxes(0, 1), as_pairs(self._sky.to_modes(maps)))

    def _preconditioned(self, y: NDArray[np.floating]) -> NDArray[np.floating]:
        near = self._preconditioner * y
        if self._border is not None:
            near[0] += as_pairs(self._border(_modes(y[0])))
        return near

    def _dot(self, one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sums over the whole plane: in blocks, so that float32 will do."""
        counted = one * self._counts
        found = [
            [np.dot(a.ravel(), b.ravel()) for a, b in zip(*fields, strict=True)]
            for fields in zip(counted, other, strict=True)
        ]
        return np.sum(found, axis=0, dtype=np.float64)


def _mixed(matrix: NDArray[np.floating], pairs: NDArray[np.floating]) -> NDArray[np.floating]:
    """A matrix of each mode times fields: (i, j, rows, columns), (j, n, ...) -> (i, n, ...)."""
    mixed = matrix[:, 0, None] * pairs[0]
    for column, field in enumerate(pairs[1:], start=1):
        mixed += matrix[:, column, None] * field
    return mixed


def _modes(pairs: NDArray[np.floating]) -> Modes:
    """The inverse of `as_pairs`."""
    return pairs.view(np.result_type(pairs.dtype, 1j))
