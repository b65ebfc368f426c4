"""Judges estimates of κ against the truth and one another, in one pass over a split.

`judge` takes a subject, a run or a folder of predictions, and finds the baselines to put beside it;
`judge_estimators` takes any estimators and any examples.
"""

from __future__ import annotations

import copy
import dataclasses
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.coverage import CoverageMeter, LevelCoverage
from estimators.dataset import Dataset
from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator, zero
from estimators.filtering.masked_patch import INSIDE
from estimators.fingerprints import Fingerprint
from estimators.references import references
from estimators.regions import Region, regions_of
from estimators.skill import Skill, SkillMeter
from estimators.subject import Subject
from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import KAPPA, LENSED
from lensing_tfds.errors import LensingError, TooFewExamplesError
from lensing_tfds.sky.spectra import PowerSpectra

_HELD_OUT = 1000  # examples on which baselines are calibrated where theory does not hold
_SECONDS_BETWEEN_LINES = 10

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
      others: the estimates of the others, likewise, by the estimators' names.
    """

    index: NDArray[np.int64]
    lensed: NDArray[np.float32]
    kappa: NDArray[np.float32]
    estimate: NDArray[np.float32]
    others: Mapping[str, NDArray[np.float32]]


@dataclasses.dataclass(frozen=True, eq=False)
class PixelHistogram:
    """Counts of each pair of true and estimated κ in a pixel.

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
class Judged:
    """An estimator and what it is worth.

    Attributes:
      estimator: which.
      skill: of its estimates.
      coverage: of its intervals, level by level; None where it gives no errors.
      regions: the skill in each of the evaluation's regions.
    """

    estimator: Estimator
    skill: Skill
    coverage: tuple[LevelCoverage, ...] | None = None
    regions: tuple[Skill, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """A judged split.

    Attributes:
      split: "train", "validation" or "test".
      judged: the estimators in the order given, on the same examples and the same resamples of
        them. The first is the one that is judged, and that gallery and histogram show; the others
        are what it is judged beside.
      gallery: a few examples.
      histogram: all pixels, of a masked patch those inside.
      ensemble: what the skies were drawn from.
      fingerprint: of the files that the first one's estimates were made from.
      regions: parts of the patch that differ in noise; none where it is the same all over.
    """

    split: str
    judged: tuple[Judged, ...]
    gallery: Gallery
    histogram: PixelHistogram
    ensemble: SkyEnsemble
    fingerprint: Fingerprint = dataclasses.field(default_factory=dict)
    regions: tuple[Region, ...] = ()

    @property
    def expected_cl(self) -> NDArray[np.float64]:
        """(num_bands,) float64, the spectrum that true κ was drawn from, in the bands."""
        return self.ensemble.expected_cl

    @property
    def theory(self) -> PowerSpectra:
        """The spectra that the skies were drawn from."""
        return self.ensemble.theory

    @property
    def share(self) -> float:
        """The share of the map that counts: the mean of the squared window inside the mask."""
        window = self.ensemble.window
        return 1.0 if window is None else float(np.mean(window**2))

    @property
    def skill(self) -> Skill:
        """The statistics of the first estimator."""
        return self.judged[0].skill

    @property
    def coverage(self) -> tuple[LevelCoverage, ...] | None:
        """The coverage of the first estimator's intervals."""
        return self.judged[0].coverage

    @property
    def others(self) -> tuple[Judged, ...]:
        """The estimators that it is judged beside."""
        return self.judged[1:]


def judge(
    subject: Subject, split: str = "test", max_examples: int | None = None, baselines: bool = True
) -> Evaluation:
    """Judges a subject on a split of its dataset, beside the estimators that one would use instead.

    Args:
      subject: what is judged.
      split: "train", "validation" or "test".
      max_examples: judge the first ones by index only; None judges all.
      baselines: judge quadratic estimators and zero too, on the same examples. The subject's own
        numbers are the same without.

    Raises:
      LensingError: the subject has no estimates of these examples, its dataset or the split is not
        there, the estimates are not finite, or there are too few examples or modes to judge.
    """
    number = number_of_examples(subject, split, max_examples)
    dataset = subject.dataset
    # Before anything is read of the files: one that is replaced meanwhile is told from its hash.
    fingerprint = subject.fingerprint
    estimators = [subject.estimator(split, number)]
    if baselines:
        try:
            others = [*baselines_of(dataset, split), zero()]
        except TooFewExamplesError as error:
            raise LensingError(f"{error}; or judge without them, by --no-baselines") from error
        # One of these, such as a fitted iterated estimator, is not judged beside itself.
        estimators += [other for other in others if other.label != estimators[0].label]
    evaluation = judge_estimators(
        _with_progress(dataset.batches(split, number), number, f"judging {dataset.name} {split}"),
        estimators,
        dataset.ensemble,
        split,
        np.random.default_rng(0),  # the same subject and examples give the same errors
    )
    return dataclasses.replace(evaluation, fingerprint=fingerprint)


def number_of_examples(subject: Subject, split: str, max_examples: int | None = None) -> int:
    """Counts what `judge` would judge.

    Args:
      subject: what is judged.
      split: "train", "validation" or "test".
      max_examples: as of `judge`.

    Raises:
      LensingError: the subject is not of this split, its dataset or the split is not there, or
        `max_examples` is fewer than two or more than there are.
    """
    if max_examples is not None and max_examples < 2:
        raise LensingError(f"max_examples is {max_examples}: must be at least 2")
    if subject.split not in (None, split):
        raise LensingError(
            f"{subject.workdir} holds predictions of {subject.split}, not of {split}"
        )
    subject.dataset.num_examples(split)  # if there is such a split
    return subject.dataset.config.number_of_first(split, max_examples)


def judge_estimators(
    batches: Iterable[Mapping[str, NDArray]],
    estimators: Sequence[Estimator],
    ensemble: SkyEnsemble,
    split: str,
    generator: np.random.Generator,
) -> Evaluation:
    """Compares estimates with the truth; memory does not grow with maps, only with a few numbers.

    Args:
      batches: dicts of "lensed" (n, npix, npix, channels) µK, "kappa" (n, npix, npix, 1) and
        "index" (n,), by increasing index.
      estimators: at least one, with different names; the first is the one in question. They see
        "lensed" and "index".
      ensemble: what the examples' skies are drawn from.
      split: its name, for the record.
      generator: draws the bootstrap's resamples, the same for each estimator.

    Raises:
      LensingError: there are fewer than two examples, their maps are too small for a spectrum, or
        an estimate is not finite or has another shape than κ, or an estimator's errors are of
        other maps.
      ValueError: two estimators have one name.
    """
    names = [estimator.name for estimator in estimators]
    if len(set(names)) < len(names):
        raise ValueError(f"estimators must have different names, these have {', '.join(names)}")
    meters = [SkillMeter(ensemble.bands, ensemble.window) for _ in estimators]
    regions = regions_of(ensemble)
    regional = [[SkillMeter(ensemble.bands, region.window) for region in regions] for _ in meters]
    inside = ... if ensemble.window is None else ensemble.window >= INSIDE
    coverages = [
        None
        if (errors := estimator.uncertainty) is None
        else CoverageMeter(errors, ensemble.bands, ensemble.kappa_power, ensemble.window)
        for estimator in estimators
    ]
    first: list[tuple[NDArray, ...]] = []
    shown: dict[str, list[NDArray]] = {name: [] for name in names}
    edges = np.empty(0)
    counts = np.zeros((_HISTOGRAM_BINS, _HISTOGRAM_BINS))
    for batch in batches:
        kappa = batch[KAPPA][..., 0]
        for meter, parts, coverage, estimator in zip(
            meters, regional, coverages, estimators, strict=True
        ):
            estimate = estimator.kappa(batch[LENSED], batch["index"], batch.get(MASK))
            for measuring in (meter, *parts):
                measuring.add(kappa, estimate)
            if coverage is not None:
                coverage.add(kappa, estimate)
            maps = shown[estimator.name]
            maps.extend(estimate[: _GALLERY_SIZE - len(maps)])
            if meter is not meters[0]:
                continue
            if edges.size == 0:
                limit = _HISTOGRAM_SIGMAS * float(kappa.std())
                edges = np.linspace(-limit, limit, _HISTOGRAM_BINS + 1)
            pixels = (kappa[:, inside].ravel(), estimate[:, inside].ravel())
            counts += np.histogram2d(*pixels, bins=(edges, edges))[0]
            if len(first) < _GALLERY_SIZE:
                first += zip(batch["index"], batch[LENSED][..., 0], kappa, strict=True)
                first = first[:_GALLERY_SIZE]

    judged = tuple(
        Judged(
            estimator,
            meter.result(copy.deepcopy(generator)),
            None if coverage is None else coverage.result(copy.deepcopy(generator)),
            tuple(part.result(copy.deepcopy(generator)) for part in parts),
        )
        for estimator, meter, coverage, parts in zip(
            estimators, meters, coverages, regional, strict=True
        )
    )
    index, lensed, true = (np.stack(column) for column in zip(*first, strict=True))
    gallery = {name: np.stack(maps) for name, maps in shown.items()}
    return Evaluation(
        split=split,
        judged=judged,
        gallery=Gallery(index, lensed, true, gallery.pop(names[0]), gallery),
        histogram=PixelHistogram(edges, counts),
        ensemble=ensemble,
        regions=regions,
    )


def baselines_of(dataset: Dataset, split: str) -> list[Estimator]:
    """Returns the estimators that a dataset's networks are judged beside.

    Args:
      dataset: the dataset.
      split: the one that is judged; they are calibrated on examples of another.

    Raises:
      TooFewExamplesError: there are too few examples of the other split.
      LensingError: they cannot be read.
    """
    other = "validation" if split == "train" else "train"
    number = min(_HELD_OUT, dataset.num_examples(other))
    return references(
        dataset.ensemble,
        lambda: dataset.batches(other, number),
        f"the first {number:,} {'training' if other == 'train' else other} examples",
    )


def _with_progress(
    batches: Iterable[Mapping[str, NDArray]], total: int, title: str
) -> Iterator[Mapping[str, NDArray]]:
    """Prints how far the judging is, now and then."""
    done, shown = 0, time.monotonic()
    for batch in batches:
        yield batch
        done += len(batch["index"])
        if time.monotonic() - shown > _SECONDS_BETWEEN_LINES:
            shown = time.monotonic()
            print(f"{title}: {done}/{total} examples", file=sys.stderr, flush=True)
