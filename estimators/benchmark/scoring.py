"""Judges a submission by the protocol: a folder of anybody's maps, or a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from estimators.benchmark.beyond_theory import above_forecast
from estimators.benchmark.coarse_maps import CoarseMaps
from estimators.benchmark.delensed import NUM_DELENSED, BModesLeft, has_b_modes
from estimators.benchmark.digests import Agreement, Digest, digests
from estimators.benchmark.mistakes import refuse_mistaken
from estimators.benchmark.other_skies import estimators_of_files, folder_of, kinds_of
from estimators.benchmark.protocol import (
    FEWEST_EXAMPLES,
    FrozenSplit,
    Protocol,
    named_weights,
    protocol,
)
from estimators.benchmark.submission import FILE, Description, Submission, file_name
from estimators.delensing.residual_b_modes import residual_b_modes
from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator
from estimators.judge import Evaluation, judge, number_of_examples
from estimators.metrics_json import Metrics
from estimators.out_of_distribution import ChangedSkies, scores_of_kinds
from estimators.resampling import Measured, with_error
from estimators.skill import Skill
from estimators.subject import Subject
from estimators.uncertainty import LEVELS, name_of
from lensing_tfds import strict_json
from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import KAPPA, LENSED, SPLITS, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import replacing
from lensing_tfds.simulation import Simulator

_MOST_OFF = 10.0  # errors that are wrong by less are judged by their coverage


def score(
    subject: Subject,
    description: Description,
    split: str | None = None,
    max_examples: int | None = None,
) -> Submission:
    """Judges a submission.

    Args:
      subject: a folder of maps, or a run.
      description: what the group says of it.
      split: the one that was asked for; None is the protocol's.
      max_examples: judge the first ones only; None judges all.

    Raises:
      LensingError: its maps are recognised as a mistake, or change meanwhile; its dataset is not
        the protocol's; or whatever `judge` raises.
    """
    frozen = protocol()
    if split not in (None, frozen.split):
        raise LensingError(f"--split is {split}: submissions are judged on {frozen.split}")
    dataset = subject.dataset
    expected = frozen.split_of(dataset.config)
    refuse_taken(subject.workdir / file_name(dataset.name, description), description)
    expected.refuse_other_bands(dataset.ensemble.bands.edges)
    number = number_of_examples(subject, frozen.split, max_examples)
    estimator = subject.estimator(frozen.split, number)
    before = subject.fingerprint
    others = _on_other_skies(frozen, subject, estimator, number)
    _refuse_unfit(subject, estimator, expected, number)
    if not subject.estimates_any_map:
        for kind, other in (others or [])[1:]:
            _refuse_mistaken_kind(kind, other, estimator, subject.workdir)
    evaluation = judge(subject, frozen.split, max_examples, baselines=False)
    _refuse_other_errors(estimator, evaluation.skill, subject.workdir)
    few = range(min(number, frozen.num_other_skies))
    scored = None
    if others is not None:
        scored = scores_of_kinds(others, few, np.random.default_rng(0), frozen.split)
    b_modes_left = _b_modes_left(subject, evaluation, min(number, NUM_DELENSED))
    # Maps are read again for each of these; a run's network is in memory.
    if not subject.estimates_any_map and subject.fingerprint != before:
        raise LensingError(
            f"{subject.workdir}: the maps changed while they were judged: judge again"
        )
    return Submission(
        protocol_version=frozen.version,
        dataset_version=frozen.dataset_version,
        description=description,
        named_bands=_named_bands(frozen, evaluation.skill),
        other_skies=scored,
        b_modes_left=b_modes_left,
        metrics=Metrics.of(dataset.name, description.name, evaluation),
    )


def _on_other_skies(
    frozen: Protocol, subject: Subject, estimator: Estimator, number: int
) -> list[tuple[ChangedSkies, Estimator]] | None:
    """Finds what estimates each kind of skies; None where a folder has no estimates of them."""
    ensemble = subject.dataset.ensemble
    if subject.estimates_any_map:
        return [(kind, estimator) for kind in kinds_of(frozen, ensemble)]
    others = estimators_of_files(frozen, ensemble, subject.workdir, estimator)
    if others is not None and number < frozen.num_other_skies:
        raise LensingError(
            f"{subject.workdir}: other skies need the first {frozen.num_other_skies} examples of "
            f"{frozen.split} too, {number} are judged"
        )
    return others


def write(submission: Submission, folder: Path) -> Path:
    """Writes a judged submission into a folder.

    Returns:
      The file's path.

    Raises:
      LensingError: another method's is there, see `refuse_taken`.
    """
    path = folder / submission.file_name
    refuse_taken(path, submission.description)
    with replacing(path) as temporary:
        temporary.write_bytes(submission.to_text().encode())
    return path


def refuse_taken(path: Path, description: Description) -> None:
    """Refuses a file that is there and says that it is of a method of another name.

    Raises:
      LensingError: it is; or it cannot be read.
    """
    if not path.exists():
        return
    there = strict_json.read(str(path)).get("submission")
    name = there.get("name") if isinstance(there, dict) else None
    if name not in (None, description.name):
        raise LensingError(
            f"{path} is of {name!r}, whose file has the name that {description.name!r} would have: "
            f"choose another name in {FILE}, or move it away"
        )


def summary(submission: Submission) -> str:
    """Returns the result in a few lines of text."""
    metrics, frozen = submission.metrics, protocol()
    of = metrics.measured
    lines = [
        f"{metrics.dataset} {metrics.split}: {submission.description.name}, "
        f"{metrics.num_examples} examples, protocol {submission.protocol_version}",
        f"map-level rho        {with_error(of['map_correlation'])}",
    ]
    for band in frozen.named_bands:
        if band.name in submission.named_bands:
            rho = with_error(submission.named_bands[band.name])
            lines.append(f"rho_L, {band.label:13} {rho}")
    for level in map(name_of, LEVELS):
        if metrics.uncertainty is not None:
            held = with_error(metrics.uncertainty[f"pixel_coverage_{level}"])
            lines.append(f"pixels within {level} %   {held}")
    if submission.other_skies is not None:
        for row in submission.other_skies.rows:
            lines.append(f"{row.name:20} {float(row.map_correlation.value):.4f}")
    if submission.b_modes_left is not None:
        lines.append(f"lensing B left       {float(submission.b_modes_left.residual.value):.4f}")
    if metrics.num_examples < FEWEST_EXAMPLES:
        lines.append(
            f"a try: the leaderboard takes no line of fewer than {FEWEST_EXAMPLES} examples"
        )
    if (share := above_forecast(metrics)) is not None:
        lines.append(
            f"rho is {share:.0%} above what theory forecasts for {metrics.dataset}, and the "
            "leaderboard will say so: are these estimates of its maps alone, and not of another "
            "version's with the same κ?"
        )
    return "\n".join(lines)


def _refuse_unfit(
    subject: Subject, estimator: Estimator, expected: FrozenSplit, number: int
) -> None:
    """Refuses examples that are not the protocol's, and estimates recognised as a mistake."""
    dataset, split = subject.dataset, protocol().split
    arrays, seen = expected.first, expected.num_first
    if number == dataset.num_examples(split):
        arrays, seen = expected.arrays, number
    refuse_other_data(dataset.config.name, digests(dataset.batches(split, seen)), arrays)
    if subject.estimates_any_map:  # it is given these very maps: there is nothing to mistake
        return
    parts = (
        (
            batch["index"],
            batch[KAPPA][..., 0],
            estimator.kappa(batch[LENSED], batch["index"], batch.get(MASK)),
        )
        for batch in dataset.batches(split, number)
    )
    maps = CoarseMaps.of(dataset.ensemble.bands.sky, parts)
    refuse_mistaken(maps, subject.workdir, lambda i: _other_kappa(dataset.ensemble, split, i))


def _refuse_mistaken_kind(
    kind: ChangedSkies, estimator: Estimator, unchanged: Estimator, folder: Path
) -> None:
    """Refuses estimates of a kind of other skies that are recognised as a mistake."""
    frozen, ensemble = protocol(), kind.ensemble
    place = folder / folder_of(kind.name)
    _refuse_copies(estimator, unchanged, ensemble.config, place)
    simulator = Simulator(ensemble.config, frozen.split, ensemble.theory)
    parts = (
        (
            block["index"],
            block[KAPPA][..., 0],
            estimator.kappa(block[LENSED], block["index"], block.get(MASK)),
        )
        for block in simulator.examples(range(frozen.num_other_skies))
    )
    maps = CoarseMaps.of(ensemble.bands.sky, parts)
    refuse_mistaken(maps, place, lambda i: _other_kappa(ensemble, frozen.split, i))


def _refuse_copies(
    estimator: Estimator, unchanged: Estimator, config: LensingConfig, place: Path
) -> None:
    """Refuses estimates of other skies that are those of the unchanged ones: files in two folders.

    Both are looked up by their index alone.
    """
    first = np.zeros((1, config.npix, config.npix, len(config.channels)), np.float32)
    found, other = (e.kappa(first, np.zeros(1, np.int64)) for e in (estimator, unchanged))
    if np.array_equal(found, other) and np.ptp(found):
        raise LensingError(
            f"{place}: the maps are those of the unchanged skies: estimate κ of the maps that "
            "python -m pipelines.protocol --other_skies writes"
        )


def _refuse_other_errors(estimator: Estimator, skill: Skill, folder: Path) -> None:
    """Refuses errors that are so far from those of the estimates that they are in other units."""
    if estimator.uncertainty is None:
        return
    said, found = estimator.uncertainty.pixel_std, float(np.sqrt(skill.mse.value))
    if not found / _MOST_OFF <= said <= found * _MOST_OFF:
        raise LensingError(
            f"{folder}: by its errors a pixel of the estimates is {said:.2g} off, and it is "
            f"{found:.2g} off: errors are of κ, dimensionless, and their power is in steradian"
        )


def refuse_other_data(
    name: str, found: Mapping[str, Digest], expected: Mapping[str, Digest]
) -> Agreement:
    """Refuses arrays that are not the protocol's.

    Args:
      name: the version's.
      found: digests of what is there.
      expected: of what the protocol says.

    Returns:
      How they agree, the worst of all arrays.

    Raises:
      LensingError: they do not.
    """
    agreements = {array: digest.compared_with(found[array]) for array, digest in expected.items()}
    for array, agreement in agreements.items():
        if agreement is Agreement.DIFFERENT:
            raise LensingError(
                f"lensing/{name}: {array!r} of the {protocol().split} split has SHA-256 "
                f"{found[array].sha256[:12]}..., protocol {protocol().version} has "
                f"{expected[array].sha256[:12]}..., and the numbers differ by more than rounding: "
                "build the dataset again"
            )
    if all(agreement is Agreement.IDENTICAL for agreement in agreements.values()):
        return Agreement.IDENTICAL
    return Agreement.ROUNDING


def _other_kappa(
    ensemble: SkyEnsemble, split: str, index: NDArray[np.int64]
) -> dict[str, NDArray[np.floating]]:
    found = {}
    for name in SPLITS:
        if name != split:
            simulator = Simulator(ensemble.config, name, ensemble.theory)
            blocks = [block[KAPPA][..., 0] for block in simulator.examples(index.tolist())]
            found[name] = np.concatenate(blocks)
    return found


def _named_bands(frozen: Protocol, skill: Skill) -> dict[str, Measured]:
    """The mean of ρ_L over the modes of each named band."""
    rho, resamples = skill.rho_ell.value, skill.rho_ell_resamples
    return {
        name: Measured(np.asarray(rho @ weights), (resamples @ weights).std())
        for name, weights in named_weights(frozen, skill.bands.ell, skill.bands.num_modes).items()
    }


def _b_modes_left(subject: Subject, evaluation: Evaluation, number: int) -> BModesLeft | None:
    if not has_b_modes(evaluation.ensemble.config):
        return None
    estimator = evaluation.judged[0].estimator
    found = residual_b_modes(
        subject.dataset.batches(evaluation.split, number),
        [estimator],
        evaluation.ensemble,
        np.random.default_rng(0),
        evaluation.split,
    )
    return BModesLeft.of(found, estimator.name)
