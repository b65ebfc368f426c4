"""Judges estimates of κ against the truth, in one pass over a split."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from lensing_tfds import spectra
from lensing_tfds.configs import LensingConfig, LensingError
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.spectra import PowerSpectra
from trainer import power_spectra
from trainer.power_spectra import Bands
from trainer.skill import Skill, SkillMeter

_GALLERY_SIZE = 4
_HISTOGRAM_BINS = 81  # odd: one is centred at zero
_HISTOGRAM_SIGMAS = 4.5


@dataclasses.dataclass(frozen=True, eq=False)
class Gallery:
    """The first examples of a split by index: a fixed rule, so that none is picked for its looks.

    Attributes:
      index: (n,) int64.
      lensed: (n, npix, npix) float32, the first channel, T or Q, µK.
      kappa: (n, npix, npix) float32, dimensionless, as is the next.
      estimate: (n, npix, npix) float32.
    """

    index: NDArray[np.int64]
    lensed: NDArray[np.float32]
    kappa: NDArray[np.float32]
    estimate: NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class PixelHistogram:
    """How often each pair of true and estimated κ occurs in a pixel.

    Attributes:
      edges: (bins + 1,) float64 values of κ, for both axes.
      counts: (bins, bins) float64, [true, estimate].
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.float64]

    @property
    def centres(self) -> NDArray[np.float64]:
        """(bins,) float64, the middles of the bins."""
        return (self.edges[:-1] + self.edges[1:]) / 2


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """A judged split.

    Attributes:
      split: "train", "validation" or "test".
      skill: the statistics.
      expected_cl: (num_bands,) float64, the spectrum that true κ was drawn from, in the bands.
      gallery: a few examples.
      histogram: all pixels.
      theory: the spectra that the skies were drawn from.
    """

    split: str
    skill: Skill
    expected_cl: NDArray[np.float64]
    gallery: Gallery
    histogram: PixelHistogram
    theory: PowerSpectra


def bands_of(lensing: LensingConfig) -> Bands:
    """Chooses the bands in which a version's κ has power.

    Raises:
      LensingError: the version's κ has too few modes for a spectrum.
    """
    lmax = min(lensing.kappa_lmax or spectra.LMAX, spectra.LMAX)
    return power_spectra.choose_bands(lensing.npix, lensing.side, lmax)


def kappa_spectrum(
    lensing: LensingConfig, ell: NDArray[np.float64], theory: PowerSpectra | None = None
) -> NDArray[np.float64]:
    """Evaluates the spectrum that a version's κ is drawn from; zero above its `kappa_lmax`.

    Args:
      lensing: the version.
      ell: multipoles, any shape.
      theory: the spectra of its cosmology; None is what `cosmology.spectra_of` says.
    """
    theory = theory or spectra_of(lensing)
    c_ell = spectra.at_multipoles(theory.kappa, ell, lensing.kappa_lmax)
    return lensing.kappa_exaggeration_factor**2 * c_ell


def judge(
    batches: Iterable[Mapping[str, NDArray]],
    predict: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    lensing: LensingConfig,
    split: str,
    generator: np.random.Generator,
    theory: PowerSpectra | None = None,
) -> Evaluation:
    """Compares estimates with the truth; memory does not grow with maps, only with a few numbers.

    Args:
      batches: dicts of "lensed" (n, npix, npix, channels) µK, "kappa" (n, npix, npix, 1) and
        "index" (n,), by increasing index.
      predict: lensed maps -> κ of shape (n, npix, npix, 1).
      lensing: the version that the examples are from.
      split: its name, for the record.
      generator: draws the bootstrap's resamples.
      theory: the spectra of the version's cosmology; None is what `cosmology.spectra_of` says.

    Raises:
      LensingError: there are fewer than two examples, their maps are too small for a spectrum, or
        an estimate is not finite or has another shape than κ.
    """
    theory = theory or spectra_of(lensing)
    bands = bands_of(lensing)
    meter = SkillMeter(bands)
    first: list[tuple[NDArray, ...]] = []
    edges = np.empty(0)
    counts = np.zeros((_HISTOGRAM_BINS, _HISTOGRAM_BINS))
    for batch in batches:
        estimate = predict(batch["lensed"])
        _check(estimate, batch["kappa"], batch["index"])
        kappa, estimate = batch["kappa"][..., 0], estimate[..., 0]
        meter.add(kappa, estimate)
        if edges.size == 0:
            limit = _HISTOGRAM_SIGMAS * float(kappa.std())
            edges = np.linspace(-limit, limit, _HISTOGRAM_BINS + 1)
        counts += np.histogram2d(kappa.ravel(), estimate.ravel(), bins=(edges, edges))[0]
        if len(first) < _GALLERY_SIZE:
            lensed = batch["lensed"][..., 0]
            first += zip(batch["index"], lensed, kappa, estimate, strict=True)
            first = first[:_GALLERY_SIZE]

    skill = meter.result(generator)
    ell = power_spectra.grid_multipoles(lensing.npix, lensing.side)
    return Evaluation(
        split=split,
        skill=skill,
        expected_cl=bands.average(kappa_spectrum(lensing, ell, theory)),
        gallery=Gallery(*(np.stack(column) for column in zip(*first, strict=True))),
        histogram=PixelHistogram(edges, counts),
        theory=theory,
    )


def _check(estimate: NDArray, kappa: NDArray, index: NDArray) -> None:
    if estimate.shape != kappa.shape:
        raise LensingError(
            f"the network's estimates have shape {estimate.shape}, the true κ {kappa.shape}"
        )
    bad = ~np.isfinite(estimate).all(axis=(1, 2, 3))
    if bad.any():
        raise LensingError(
            f"the network's estimate for example {index[bad][0]} is not finite (NaN or infinite): "
            "nothing to judge; train again, with a lower --learning_rate"
        )
