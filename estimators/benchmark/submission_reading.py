"""Judged submissions from files, which hold nothing but what the protocol's judge writes.

A file's SHA-256 shows damage; whoever edits it on purpose makes a new one. Hence what is read is
held to what follows from the protocol, and to what its own numbers say of each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from estimators.benchmark.delensed import NUM_DELENSED, has_b_modes
from estimators.benchmark.protocol import FrozenSplit, Protocol, named_weights, protocol
from estimators.benchmark.submission import SEAL, Submission
from estimators.delensing.residual_b_modes import L_RANGE
from estimators.metrics_json import Metrics
from estimators.out_of_distribution import UNCHANGED
from estimators.power_spectra import Bands
from lensing_tfds import strict_json
from lensing_tfds.errors import LensingError

_SAME = 1e-6  # of numbers of order one that follow from others of the file


def read_submission(path: Path) -> Submission:
    """Reads a file that the judge wrote.

    Raises:
      LensingError: it cannot be read, was damaged or edited, holds what no judge of the protocol
        writes, or lies under another name; the message begins with the path.
    """
    values = strict_json.read(str(path))
    seal = values.pop(SEAL, None)
    if seal != strict_json.digest(values):
        raise LensingError(
            f"{path} was edited or damaged: its {SEAL} is of another content; judge again, "
            "with python -m trainer.evaluate --submission"
        )
    try:
        submission = Submission.from_json(values)
        refuse_unknown(values, submission.to_json())
        for problem in problems(submission, protocol()):
            raise LensingError(problem)
    except LensingError as error:
        raise LensingError(f"{path} is not a judged submission: {error}") from error
    if path.name != submission.file_name:
        raise LensingError(f"{path} should be called {submission.file_name}")
    return submission


def refuse_unknown(found: Any, known: Any, place: str = "") -> None:
    """Refuses keys of a JSON object that reading it has left out.

    Args:
      found: what the file has.
      known: what the object that was read from it writes.
      place: of both in the file, for the message.

    Raises:
      LensingError: a key is unknown; the message has its place.
    """
    if isinstance(found, Mapping) and isinstance(known, Mapping):
        for name, value in found.items():
            if name not in known:
                raise LensingError(f"{place}{name!r} is unknown")
            refuse_unknown(value, known[name], f"{place}{name}: ")
    elif isinstance(found, list) and isinstance(known, list):
        for value, same in zip(found, known, strict=True):
            refuse_unknown(value, same, place)


def problems(submission: Submission, frozen: Protocol) -> Iterator[str]:
    """Yields each thing that is not as the protocol has it, or not what it should follow from."""
    metrics, description = submission.metrics, submission.description
    for name in ("version", "dataset_version"):
        of_file = submission.protocol_version if name == "version" else submission.dataset_version
        if of_file != (expected := getattr(frozen, name)):
            yield f"{name} is {of_file}, and the protocol's is {expected}: judge again"
    of = {f"lensing/{name}": split for name, split in frozen.splits.items()}.get(metrics.dataset)
    if of is None:
        yield f"'dataset' is {metrics.dataset!r}: must be lensing/{' or '.join(frozen.splits)}"
        return
    if metrics.split != frozen.split:
        yield f"'split' is {metrics.split!r}: must be {frozen.split!r}"
    most = of.config.num_examples[frozen.split]
    if metrics.num_examples > most:
        yield f"'num_examples' is {metrics.num_examples}: {metrics.dataset} has {most}"
    if metrics.share_of_map != 1:
        yield f"'share_of_map' is {metrics.share_of_map:g}: the maps of {of.name} have no mask"
    if metrics.model != description.name:
        yield f"'model' is {metrics.model!r}, and the submission's 'name' {description.name!r}"
    if metrics.release is None or metrics.fingerprint is None:
        yield "the release that judged it, or the hashes of what was judged, are missing"
    if metrics.estimators or metrics.checks is not None:
        yield "'estimators' is not empty, or 'checks' not null: these are not a submission's"
    yield from _problems_of_bands(metrics, of)
    yield from _problems_of_named_bands(submission, frozen)
    yield from _problems_of_other_skies(submission, frozen)
    yield from _problems_of_b_modes(submission, of)


def _problems_of_bands(metrics: Metrics, of: FrozenSplit) -> Iterator[str]:
    if not of.has_bands(metrics.ell_edges):
        yield f"'ell_edges' are not the protocol's of {of.name}"
        return
    bands = Bands(of.config.sky, metrics.ell_edges)
    same = np.allclose(metrics.ell, bands.ell, rtol=_SAME, atol=0)
    if not same or not np.array_equal(metrics.num_modes, bands.num_modes):
        yield f"'ell' or 'num_modes' are not those of the bands of {of.name}"


def _problems_of_named_bands(submission: Submission, frozen: Protocol) -> Iterator[str]:
    metrics = submission.metrics
    weights = named_weights(frozen, metrics.ell, metrics.num_modes)
    if submission.named_bands.keys() != weights.keys():
        yield f"'named_bands' are {[*submission.named_bands]}: must be {[*weights]}"
        return
    for name, rho in submission.named_bands.items():
        mean = float(metrics.measured["rho_ell"].value @ weights[name])
        if abs(found := float(rho.value) - mean) > _SAME:
            yield f"named_bands: {name!r} is {found:+.6g} off the {mean:.6g} that 'rho_ell' gives"


def _problems_of_other_skies(submission: Submission, frozen: Protocol) -> Iterator[str]:
    skies = submission.other_skies
    if skies is None:
        return
    number = min(submission.metrics.num_examples, frozen.num_other_skies)
    if skies.num_examples != number:
        yield f"other_skies: 'num_examples' is {skies.num_examples}: must be {number}"
    names, expected = [row.name for row in skies.rows], [UNCHANGED, *frozen.other_skies]
    if names != expected:
        yield f"other_skies: the rows are of {names}: must be of {expected}"
        return
    for row in skies.rows:
        change = float(row.map_correlation.value - skies.rows[0].map_correlation.value)
        if abs(float(row.correlation_change.value) - change) > _SAME:
            yield f"other_skies: 'correlation_change' of {row.name!r} is not {change:.6g}"


def _problems_of_b_modes(submission: Submission, of: FrozenSplit) -> Iterator[str]:
    left = submission.b_modes_left
    if (left is not None) != has_b_modes(of.config):
        yield f"delensing: must {'not ' * (left is None)}be null for {of.name}"
    if left is None:
        return
    number = min(submission.metrics.num_examples, NUM_DELENSED)
    if left.num_examples != number:
        yield f"delensing: 'num_examples' is {left.num_examples}: must be {number}"
    if left.l_range != L_RANGE:
        yield f"delensing: 'l_range' is {list(left.l_range)}: must be {list(L_RANGE)}"
