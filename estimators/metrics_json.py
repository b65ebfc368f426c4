"""The schema of metrics.json, to and from.

The file holds

    lensing_tfds_version    the release that judged; metrics of earlier releases have none
    dataset                 "lensing/<name>"
    split                   which examples were judged
    num_examples            how many of them
    share_of_map            share of each map that counts: all is measured inside the mask; metrics
                            of earlier releases have none, and are of whole maps
    model                   the network's name; of another group's predictions, their folder's
    fingerprint             SHA-256 of each file that the estimates were made from, by its name: of
                            best.keras, or of the files of κ and their indices; metrics of earlier
                            releases have none
    spectra_measured_with   NaMaster and its version, or the package's own Fourier transform: the
                            same numbers but for rounding
    mse                     mean squared error of κ per pixel
    zero_mse                the same for the trivial estimate, zero
    map_correlation         Pearson's correlation of true and estimated κ over all pixels
    ell                     mean multipole of a band's modes; one number a band, as all that follow
    ell_edges               the bands' edges, one more than there are bands
    num_modes               modes in a band
    rho_ell                 cross-correlation of true and estimated κ
    transfer_ell            transfer function, <C^κκ̂>/<C^κκ>
    true_cl, estimate_cl    mean spectra of true and estimated κ, raw C_l
    cross_cl, residual_cl   their cross-spectrum, and the spectrum of estimate - truth
    expected_cl             the spectrum that true κ was drawn from, averaged over each band's modes

    noise_ell               reconstruction noise of the calibrated estimate: the spectrum of
                            estimate/response - truth, the response measured on other examples

beside each measured value `<name>_error`: its standard error, bootstrapped over examples, and

    estimators              an object a name: what the network was judged beside, on the same
                            examples; empty if it was judged alone. Each holds

        label               what it is, for people
        basis               what its normalisation or its filter rests on
        normalised_share    share of κ's power in modes where its response to κ was found to be
                            above zero, so that it could be normalised; 1 where theory does it
        verdict             "beats", "matches", "is beaten by" or "cannot be told from": the network
                            beside this one; null where this one could not be normalised for half
                            of κ's power, or is not Wiener-filtered
        difference          the network's map_correlation - this one's, with its error from pairs
        difference_ell      the same of rho_ell; metrics of earlier releases have none
        mse, map_correlation, rho_ell, ... and their errors, as above

The names are `zero`; `qe_<pairs>` for a quadratic estimator, pairs being tt, eb, or mv for the
minimum-variance combination; `qe_<pairs>_ordinary` and `qe_<pairs>_all` where the maps carry power
that a real sky does not (see `estimators.references`); each of these with `_wiener` added, the
same Wiener-filtered; and `qe_iterated_wiener`, the iterated estimator. noise_ell is null where the
response is not above zero by 5 σ.

    forecast                what theory expects; null where it does not hold. `quadratic` and
                            `iterated` hold map_correlation and rho_ell of these estimators, which
                            have no errors
    uncertainty             what the intervals are worth that the network gives; null where it gives
                            none, and in metrics of earlier releases. With their errors:

        coverage_68         share of the modes' parts that intervals of 68 % hold, a number a band
        interval_score_68   their width, and what the truths outside them cost, relative to the best
                            intervals of who knows κ's spectrum only, a number a band
        pixel_coverage_68   share of the pixels that those of pixels hold
        coverage_95, ...    the same of 95 %
    regions                 parts of a patch whose noise differs, the least noise first; empty where
                            it is the same all over, and in metrics of earlier releases. Each holds

        name                "deep", "middle" or "shallow"
        noise               rms of its noise over that of the whole patch
        share_of_map        share of each map that counts there; the regions' add up to that above
        estimators          map_correlation, mse, rho_ell, noise_ell and their errors there, by the
                            names above; "network" is what was judged
    checks                  null tests, skies off the training distribution and delensing: see
                            `estimators.checks`; null if they were not asked for
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from estimators.estimator import NETWORK
from estimators.fingerprints import Fingerprint
from estimators.metrics_numbers import (
    measured_scalar,
    number_list,
    refuse_outside,
    typed,
    with_errors,
)
from estimators.metrics_regions import RegionMetrics, regions_from, regions_of
from estimators.metrics_scores import BaselineMetrics, measured_from, measured_of
from estimators.metrics_sections import (
    covered,
    fingerprint_from,
    forecast_from,
    forecast_json,
    uncertainty_from,
)
from estimators.power_spectra import NAMASTER, measured_with
from estimators.reach import Forecasts, forecasts_of
from estimators.resampling import Measured
from lensing_tfds import __version__, strict_json
from lensing_tfds.errors import LensingError
from lensing_tfds.release import RELEASE

if TYPE_CHECKING:
    from estimators.checks import Checks
    from estimators.judge import Evaluation

_WITH, _SHARE = "spectra_measured_with", "share_of_map"


def file_name(split: str) -> str:
    """Returns the name of the file of a split's metrics: "metrics.json" for test."""
    return "metrics.json" if split == "test" else f"metrics-{split}.json"


@dataclasses.dataclass(frozen=True, eq=False)
class Metrics:
    """All that metrics.json holds; see the module's docstring.

    Attributes:
      dataset: "lensing/<name>".
      split: which examples were judged.
      num_examples: how many.
      share_of_map: as of `Evaluation.share`.
      model: the subject's name.
      ell: mean multipoles of the bands, (num_bands,).
      ell_edges: the bands' edges, (num_bands + 1,).
      num_modes: modes in each band, (num_bands,).
      expected_cl: the spectrum that true κ was drawn from, (num_bands,).
      measured: map_correlation, rho_ell, ... by name.
      estimators: what it was judged beside, by name.
      forecast: what theory expects; None where it does not hold, or in metrics of an earlier
        release.
      uncertainty: coverage_68, interval_score_68, ... by name; None where no errors are given, or
        in metrics of an earlier release.
      regions: what estimates are worth in parts of the patch that differ in noise; empty where it
        is the same, or in metrics of an earlier release.
      checks: what `Checks.to_json` returned; None if they were not asked for.
      fingerprint: of the files that were judged; None in metrics of an earlier release.
      spectra_measured_with: as of `power_spectra.measured_with`.
      release: which judged; None in metrics of an earlier one.
    """

    dataset: str
    split: str
    num_examples: int
    share_of_map: float
    model: str
    ell: NDArray[np.float64]
    ell_edges: NDArray[np.float64]
    num_modes: NDArray[np.int64]
    expected_cl: NDArray[np.float64]
    measured: Mapping[str, Measured]
    estimators: Mapping[str, BaselineMetrics]
    forecast: Forecasts | None
    uncertainty: Mapping[str, Measured] | None
    regions: tuple[RegionMetrics, ...]
    checks: Mapping[str, Any] | None
    fingerprint: Fingerprint | None
    spectra_measured_with: str
    release: str | None

    @classmethod
    def of(
        cls, dataset: str, model: str, evaluation: Evaluation, checks: Checks | None = None
    ) -> Metrics:
        """Gathers the metrics of a judged subject.

        Args:
          dataset: "lensing/<name>".
          model: the subject's name.
          evaluation: how it did.
          checks: what else was found; None if it was not looked for.
        """
        skill = evaluation.skill
        estimators = {
            other.estimator.name: BaselineMetrics.of(model, skill, other)
            for other in evaluation.others
        }
        return cls(
            dataset=dataset,
            split=evaluation.split,
            num_examples=skill.num_examples,
            share_of_map=evaluation.share,
            model=model,
            ell=skill.bands.ell,
            ell_edges=skill.bands.edges,
            num_modes=skill.bands.num_modes,
            expected_cl=evaluation.expected_cl,
            measured=measured_of(skill),
            estimators=estimators,
            forecast=forecasts_of(evaluation.ensemble),
            uncertainty=None if evaluation.coverage is None else covered(evaluation.coverage),
            regions=regions_of(evaluation),
            checks=None if checks is None else checks.to_json(),
            fingerprint=evaluation.fingerprint,
            spectra_measured_with=measured_with(),
            release=__version__,
        )

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types; NaN becomes null."""
        return {
            RELEASE: self.release,
            "dataset": self.dataset,
            "split": self.split,
            "num_examples": self.num_examples,
            _SHARE: self.share_of_map,
            "model": self.model,
            "fingerprint": None if self.fingerprint is None else dict(self.fingerprint),
            _WITH: self.spectra_measured_with,
            "ell": self.ell.tolist(),
            "ell_edges": self.ell_edges.tolist(),
            "num_modes": self.num_modes.tolist(),
            "expected_cl": self.expected_cl.tolist(),
            **with_errors(self.measured),
            "estimators": {
                name: estimator.to_json() for name, estimator in self.estimators.items()
            },
            "forecast": None if self.forecast is None else forecast_json(self.forecast),
            "uncertainty": None if self.uncertainty is None else with_errors(self.uncertainty),
            "regions": [region.to_json() for region in self.regions],
            "checks": self.checks,
        }

    def to_text(self) -> str:
        """Returns what the file holds."""
        return f"{json.dumps(self.to_json(), indent=2, allow_nan=False)}\n"

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Metrics:
        """Reads what `to_json` gave, of this release or an earlier one.

        Raises:
          LensingError: something is missing, or not what it should be; the message names it.
        """
        num_bands = len(typed(values, "ell", list))
        estimators = {}
        for name, entry in typed(values, "estimators", dict).items():
            try:
                estimators[name] = BaselineMetrics.from_json(entry, num_bands)
            except LensingError as error:
                raise LensingError(f"estimators: {name!r}: {error}") from error
        metrics = cls(
            dataset=typed(values, "dataset", str),
            split=typed(values, "split", str),
            num_examples=typed(values, "num_examples", int),
            share_of_map=float(typed({_SHARE: 1.0, **values}, _SHARE, float, int)),
            model=typed(values, "model", str),
            ell=number_list(values, "ell", num_bands),
            ell_edges=number_list(values, "ell_edges", num_bands + 1),
            num_modes=number_list(values, "num_modes", num_bands).astype(np.int64),
            expected_cl=number_list(values, "expected_cl", num_bands),
            measured=measured_from(values, num_bands),
            estimators=estimators,
            forecast=forecast_from(values, num_bands),
            uncertainty=uncertainty_from(values, num_bands),
            regions=regions_from(values, num_bands),
            checks=values.get("checks"),
            fingerprint=fingerprint_from(values),
            # Earlier releases had nothing else.
            spectra_measured_with=typed({_WITH: NAMASTER, **values}, _WITH, str),
            release=None if values.get(RELEASE) is None else typed(values, RELEASE, str),
        )
        metrics._refuse_impossible()
        for name in (NETWORK, *estimators):
            metrics.other_skies(name)  # what is wrong there is said now
        return metrics

    @classmethod
    def read(cls, path: Path) -> Metrics:
        """Reads a file.

        Raises:
          LensingError: it cannot be read, or is not one of metrics; the message begins with the
            path.
        """
        values = strict_json.read(str(path))
        try:
            return cls.from_json(values)
        except LensingError as error:
            raise LensingError(f"{path}: {error}") from error

    def _refuse_impossible(self) -> None:
        """Refuses numbers that no estimates have."""
        if self.num_examples < 2:
            raise LensingError(f"'num_examples' is {self.num_examples}: must be at least 2")
        if not 0 < self.share_of_map <= 1:
            raise LensingError(f"'share_of_map' is {self.share_of_map}: must be above 0, at most 1")
        edges = self.ell_edges
        if not (np.diff(edges) > 0).all() or edges[0] < 0:
            raise LensingError("'ell_edges' do not increase from 0 or more")
        if not ((edges[:-1] <= self.ell) & (self.ell <= edges[1:])).all():
            raise LensingError("'ell' is not within the bands that 'ell_edges' bound")
        refuse_outside("num_modes", self.num_modes, 1)
        refuse_outside("expected_cl", self.expected_cl, 0)

    def other_skies(self, name: str) -> dict[str, Measured]:
        """Returns an estimator's map-level ρ off the training distribution, by the skies' name.

        Args:
          name: "network", or one of `estimators`.

        Returns:
          Nothing if it was not checked.

        Raises:
          LensingError: what the checks hold is not that.
        """
        if self.checks is None:
            return {}
        try:
            table = self.checks["out_of_distribution"].get(name, {"rows": []})
            return {
                typed(row, "name", str): measured_scalar(row, "map_correlation")
                for row in table["rows"]
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise LensingError(f"checks: no table of other skies in it ({error!r})") from error
