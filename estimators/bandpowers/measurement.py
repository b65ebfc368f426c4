"""Band powers of an estimate of κ, from observed skies and simulations of them."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from estimators.bandpowers import debiasing
from estimators.bandpowers.amplitude import AMPLITUDES, Amplitude, Response, fit_amplitude
from estimators.bandpowers.covariance import Covariance, refuse_too_few
from estimators.bandpowers.debiasing import KINDS, Biases, Spectra
from estimators.bandpowers.rings import BandRings, Rings
from estimators.bandpowers.sky_sets import FIDUCIAL, HIGH, LOW, SkySet, observed, refuse_own_kappa
from estimators.bandpowers.sky_spectra import AUTO, CROSS, TRUE
from estimators.bandpowers.spectra_shards import EstimatorSource, Executor, locally, measure_sets
from estimators.ensemble import SkyEnsemble
from lensing_tfds.errors import LensingError
from lensing_tfds.records.shard_summary import ShardSummary

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Numbers of skies.

    Attributes:
      data: observed ones.
      simulations: fiducial ones: response, noise bias, N1, covariance.
      scaled: with C_L^κκ times 0.8, and times 1.2.
      rdn0: with which each sky is paired for its own N0, where the estimate is quadratic.
    """

    data: int = 16
    simulations: int = 240
    scaled: int = 64
    rdn0: int = 32

    def __post_init__(self) -> None:
        for name, least in {"data": 1, "simulations": 1, "scaled": 2, "rdn0": 2}.items():
            if (value := getattr(self, name)) < least:
                raise LensingError(
                    f"{value} {_WORDS[name]}: band powers need at least {least}, for "
                    f"{_NEEDED[name]}"
                )
        if self.scaled > self.simulations:
            raise LensingError(
                f"{self.scaled} simulations with other spectra are more than the "
                f"{self.simulations} fiducial ones, which they are compared with: at most as many"
            )


_WORDS = {
    "data": "observed skies",
    "simulations": "simulations",
    "scaled": "simulations with other spectra",
    "rdn0": "simulations for RDN0",
}
_NEEDED = {
    "data": "there to be any",
    "simulations": "response, noise bias and covariance",
    "scaled": "their response to the spectrum",
    "rdn0": "the N0 of a sky",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """Spectra of all skies.

    Attributes:
      name: of the estimator, for people.
      dataset: "lensing/v10".
      rings: of the patch.
      theory: (rings,) C_L^κκ.
      data: spectra of observed skies.
      fiducial: of simulations.
      low: with C_L^κκ times 0.8; None where there are none.
      high: times 1.2; None likewise.
      summary: of the work done.
    """

    name: str
    dataset: str
    rings: Rings
    theory: Array
    data: Spectra
    fiducial: Spectra
    low: Spectra | None = None
    high: Spectra | None = None
    summary: ShardSummary = dataclasses.field(default_factory=ShardSummary)


def measure(
    name: str,
    source: EstimatorSource,
    numbers: Numbers,
    folder: str,
    split: str = "test",
    execute: Executor = locally,
) -> Measured:
    """Measures the spectra of observed skies and simulations, or finds them measured.

    Args:
      name: of the estimator, for people.
      source: of the estimator.
      numbers: of skies.
      folder: where spectra are kept, as shards.
      split: of the observed skies, the first ones.
      execute: does the work.

    Raises:
      LensingError: as of `measure_sets` and `refuse_own_kappa`.
    """
    refuse_own_kappa(source.ensemble.config)
    data = observed(split)
    sets: list[tuple[SkySet, int]] = [(data, numbers.data), (FIDUCIAL, numbers.simulations)]
    sets += [(LOW, numbers.scaled), (HIGH, numbers.scaled)]
    rdn0 = numbers.rdn0 if source.quadratic else 0
    spectra, summary = measure_sets(source, sets, rdn0, folder, execute)
    ensemble = source.ensemble
    rings = Rings(ensemble.config.sky)
    return Measured(
        name,
        f"lensing/{ensemble.config.name}",
        rings,
        rings.mean(ensemble.kappa_power),
        spectra[data],
        spectra[FIDUCIAL],
        spectra[LOW],
        spectra[HIGH],
        summary,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class BandPowers:
    """Band powers, debiased, with all that was done to them.

    Attributes:
      name: of the estimator, for people.
      dataset: "lensing/v10".
      biases: measured on simulations.
      num_data: observed skies, over which band powers are averaged.
      values: for each of `debiasing.KINDS`, (bands,).
      raw: (bands,) of κ̂κ̂, in units of κ's response, before anything was subtracted.
      noise: (bands,) N0 that was subtracted: RDN0 of a quadratic estimate.
      correction: (bands,) Monte-Carlo correction that was added to κ̂κ̂.
      covariance: of `values`, kind after kind.
      without_rdn0: of κ̂κ̂, had N0 been the same for each sky; None where it is.
      response: of κ̂κ̂ to A; None where there are no simulations with other spectra.
      responses: (3, bands) ⟨κ̂κ⟩/⟨κκ⟩ at `amplitude.AMPLITUDES`; None likewise.
    """

    name: str
    dataset: str
    biases: Biases
    num_data: int
    values: dict[str, Array]
    raw: Array
    noise: Array
    correction: Array
    covariance: Covariance
    without_rdn0: Covariance | None
    response: Response | None
    responses: Array | None

    @property
    def bands(self) -> BandRings:
        """The bands."""
        return self.biases.bands

    @property
    def expected(self) -> Array:
        """(bands,) the theory's."""
        return self.biases.expected

    def covariance_of(self, skies: int) -> Covariance:
        """Returns the covariance of the mean of so many skies, with that of the correction."""
        number = self.covariance.simulations
        return self.covariance.times((1 / skies + 1 / number) / (1 / self.num_data + 1 / number))

    @property
    def auto_covariance(self) -> Covariance:
        """That of κ̂κ̂."""
        return self.covariance.part(slice(self.bands.num))

    def errors(self, kind: str) -> Array:
        """Returns (bands,) standard deviations of a kind of band powers."""
        start = KINDS.index(kind) * self.bands.num
        return self.covariance.errors[start : start + self.bands.num]

    @property
    def amplitude(self) -> Amplitude | None:
        """A_L; None where there are no simulations with other spectra."""
        if self.response is None:
            return None
        return fit_amplitude(self.values[AUTO], self.response, self.auto_covariance)


def default_bands(measured: Measured, ensemble: SkyEnsemble) -> tuple[BandRings, list[str]]:
    """Returns the judge's bands up to the first in which the estimate does not follow κ.

    Args:
      measured: spectra.
      ensemble: what the skies are drawn from.

    Returns:
      The bands, and labels of those that are left out.

    Raises:
      LensingError: it follows κ in none.
    """
    bands = BandRings.judged(ensemble.config.sky, ensemble.config.kappa_lmax)
    found = debiasing.responding(measured.fiducial, bands)
    number = int(np.argmin(found)) if not found.all() else len(found)
    if number == 0:
        debiasing.refuse_vanishing(measured.fiducial, bands, measured.name)
    return bands.first(number), bands.labels[number:]


def band_powers(measured: Measured, bands: BandRings) -> BandPowers:
    """Returns debiased band powers of the observed skies.

    Args:
      measured: spectra.
      bands: of L.

    Raises:
      LensingError: the response vanishes in a band, or there are too few simulations.
    """
    refuse_too_few(len(measured.fiducial[AUTO]), bands.num)
    debiasing.refuse_vanishing(measured.fiducial, bands, measured.name)
    biases = Biases.of(measured.fiducial, measured.theory, bands)
    simulated = biases.band_powers(measured.fiducial)
    data = biases.band_powers(measured.data)
    number, simulations = len(measured.data[AUTO]), len(measured.fiducial[AUTO])
    joined = np.concatenate([simulated[kind] for kind in KINDS], axis=1)
    # The correction is the mean over simulations, which has a scatter of its own.
    factor = 1 / number + 1 / simulations
    correction = {kind: -excess for kind, excess in biases.excess(measured.fiducial).items()}
    without = None
    if biases.quadratic:
        without = Covariance.of(biases.band_powers(measured.fiducial, False)[AUTO]).times(factor)
    response = responses = None
    if measured.low is not None and measured.high is not None:
        response = _response(measured, biases)
        responses = _responses(measured, bands)
    noise = biases.noise(measured.data).mean(axis=0) - biases.n1
    return BandPowers(
        measured.name,
        measured.dataset,
        biases,
        number,
        {kind: data[kind].mean(axis=0) + correction[kind] for kind in KINDS},
        biases.in_bands(measured.data[AUTO].mean(axis=0)),
        biases.in_bands(noise),
        correction[AUTO],
        Covariance.of(joined, kinds=len(KINDS)).times(factor),
        without,
        response,
        responses,
    )


def _response(measured: Measured, biases: Biases) -> Response:
    """The mean of corrected band powers over skies that differ in C_L^κκ alone."""
    assert measured.low is not None and measured.high is not None
    number = len(measured.low[AUTO])
    same = {name: values[:number] for name, values in measured.fiducial.items()}
    excess = [biases.excess(spectra)[AUTO] for spectra in (measured.low, same, measured.high)]
    amplitudes = np.array(AMPLITUDES)[:, None]
    return Response(np.stack(excess) - excess[1] + amplitudes * biases.expected)


def _responses(measured: Measured, bands: BandRings) -> Array:
    assert measured.low is not None and measured.high is not None
    modes, number = bands.rings.num_modes, len(measured.low[AUTO])
    found: list[Array] = []
    for spectra in (measured.low, measured.fiducial, measured.high):
        cross, true = (bands.sums(modes * spectra[k][:number].mean(axis=0)) for k in (CROSS, TRUE))
        found.append(cross / true)
    return np.stack(found)


def each_sky(measured: Measured, bands: BandRings) -> Array:
    """Returns band powers of κ̂κ̂ of single observed skies, debiased like their mean.

    Args:
      measured: spectra.
      bands: of L.

    Returns:
      (skies, bands).
    """
    biases = Biases.of(measured.fiducial, measured.theory, bands)
    return biases.band_powers(measured.data)[AUTO] - biases.excess(measured.fiducial)[AUTO]
