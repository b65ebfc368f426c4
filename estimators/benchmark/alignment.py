"""The alignment of estimates with the truth: turned, mirrored, shifted, negated, out of order.

Whitened estimates are correlated with the true κ as it is and as each of the mistakes would make
it. An estimate that is right correlates best with κ itself, however noisy it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from estimators.benchmark.coarse_maps import CoarseMaps
from lensing_tfds import symmetries
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky

SIGNIFICANT = 6.0
"""Standard deviations: of some thousands of hypotheses none is taken for true by chance."""

_HALVES = 2  # shifts are looked for in half pixels

_PLAIN = ""
_DERIVATIVES = (_PLAIN, "y", "x")


@dataclasses.dataclass(frozen=True)
class Alignment:
    """A way in which estimates follow κ: each is sign · ∂(turned κ), moved by a shift.

    Attributes:
      element: of `symmetries.transform`, which turns κ into the estimate; 0 leaves it.
      sign: 1 or -1.
      shift: pixels (y, x) by which the estimate is moved, of the maps' own, in halves.
      derivative: "x" or "y" if the estimate follows this component of ∇φ, else empty.
      correlation: of whitened modes.
    """

    element: int
    sign: int
    shift: tuple[float, float]
    derivative: str
    correlation: float

    @property
    def is_right(self) -> bool:
        """Says whether the estimate simply follows κ."""
        return (self.element, self.sign, self.shift, self.derivative) == (0, 1, (0.0, 0.0), "")


def best_alignment(maps: CoarseMaps) -> Alignment | None:
    """Finds how estimates lie to the κ of their own examples.

    Returns:
      The alignment that fits best, which is the right one unless another fits significantly
      better; None if none fits significantly.
    """
    noise = maps.noise / np.sqrt(len(maps.index))
    found = list(_alignments(maps))
    right = _right_correlation(maps)
    best = max(found, key=lambda alignment: alignment.correlation)
    margin = SIGNIFICANT * noise
    if (best.element, best.sign, best.derivative) == (0, 1, _PLAIN):
        margin *= _noise_of_a_shift(maps, best.shift)
    if right > SIGNIFICANT * noise and best.correlation < right + margin:
        return Alignment(0, 1, (0.0, 0.0), _PLAIN, right)
    return best if best.correlation > SIGNIFICANT * noise else None


def matched_examples(maps: CoarseMaps) -> tuple[int, int, NDArray[np.int64]]:
    """Finds whose κ each estimate follows, over all examples, in one orientation and sign.

    Returns:
      The element of `symmetries.transform` and the sign with which most estimates match; and for
      each estimate the place of the example that it follows, (n,) int64, -1 where there is none.
    """
    best = (0, 1, np.full(len(maps.index), -1))
    for element in range(symmetries.ORDER):
        correlations = correlation_matrix(maps, element)
        for sign in (1, -1):
            places = np.argmax(sign * correlations, axis=1)
            value = np.take_along_axis(sign * correlations, places[:, None], axis=1)[:, 0]
            places[value < SIGNIFICANT * maps.noise] = -1
            if np.count_nonzero(places >= 0) > np.count_nonzero(best[2] >= 0):
                best = (element, sign, places)
    return best


def correlation_matrix(
    maps: CoarseMaps, element: int = 0, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float32]:
    """Returns the correlation of each estimate with each turned κ, (n estimates, n κ).

    Args:
      maps: the pairs.
      element: of `symmetries.transform`, which turns κ.
      weights: of the modes, half plane, as of `matched_weights`; None weights all alike.
    """
    counts = maps.sky.mode_counts * (1.0 if weights is None else weights)
    scale = np.sqrt(counts).astype(np.float32)
    both = (maps.whitened_estimate, maps.turned(maps.whitened_kappa, element))
    flat = [(modes * scale).reshape(len(modes), -1).view(np.float32) for modes in both]
    return flat[0] @ flat[1].T


def matched_weights(maps: CoarseMaps) -> NDArray[np.float64]:
    """Returns weights by which estimates that follow κ are told best from those that do not.

    They are ρ_L, ring by ring, scaled to leave the noise of a correlation as it is.
    """
    rings = Bins.fundamental(maps.sky)
    product = np.mean(maps.whitened_estimate * maps.whitened_kappa.conj(), axis=0).real
    weights = rings.spread(np.maximum(rings.mean(product.astype(np.float64)), 0))
    rms = np.sqrt(np.average(weights**2, weights=maps.sky.mode_counts * maps.sky.inner))
    return weights / rms if rms else np.ones_like(weights)


def _noise_of_a_shift(maps: CoarseMaps, shift: tuple[float, float]) -> float:
    """The noise of the correlation's change by a shift, in that of the correlation.

    A small shift changes the phases of few modes by much.
    """
    y, x = (pixels * maps.full.pixel for pixels in shift)
    change = np.abs(np.exp(1j * (maps.sky.ly * y + maps.sky.lx * x)) - 1) ** 2
    return float(np.sqrt(np.average(change, weights=maps.sky.mode_counts * maps.sky.inner)))


def _right_correlation(maps: CoarseMaps) -> float:
    product = maps.whitened_estimate * maps.whitened_kappa.conj()
    return float(np.sum(maps.sky.mode_counts * product.real) / len(maps.index))


def _alignments(maps: CoarseMaps) -> Iterator[Alignment]:
    """Yields for each turn and derivative the shift, and the sign, that fit best."""
    sky = maps.sky
    directions = {
        name: 1j
        * np.sqrt(2)
        * np.divide(part, sky.ell, out=np.zeros(sky.ell.shape), where=sky.ell > 0)
        for name, part in (("y", sky.ly), ("x", sky.lx))
    } | {_PLAIN: np.ones(sky.ell.shape)}
    for element in range(symmetries.ORDER):
        kappa = maps.turned(maps.whitened_kappa, element)
        product = np.mean(maps.whitened_estimate * kappa.conj(), axis=0)
        for derivative in _DERIVATIVES:
            surface = _at_every_shift(product * directions[derivative].conj(), sky, maps.full.npix)
            place = np.unravel_index(np.argmax(np.abs(surface)), surface.shape)
            value = float(surface[place])
            steps = [int(p) - len(surface) * (2 * int(p) > len(surface)) for p in place]
            shift = (steps[0] / _HALVES, steps[1] / _HALVES)
            yield Alignment(element, 1 if value > 0 else -1, shift, derivative, abs(value))


def _at_every_shift(
    product: NDArray[np.complexfloating], sky: FlatSky, npix: int
) -> NDArray[np.floating]:
    """Sums a half plane's products for estimates moved by each shift, in halves of a pixel."""
    size, half = _HALVES * npix, sky.npix // 2
    padded = np.zeros((size, size // 2 + 1), np.complex128)
    padded[:half, :half] = product[:half, :half]
    padded[-half + 1 :, :half] = product[-half + 1 :, :half]
    return FlatSky(size, sky.side).to_map(padded)
