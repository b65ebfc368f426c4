"""The benchmark's pages: its protocol and its leaderboard.

    python -m benchmarks.leaderboard

writes docs/benchmark.md from the package's frozen protocol, and docs/leaderboard.md from the judged
submissions in docs/submissions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

from estimators.benchmark.beyond_theory import above_forecast
from estimators.benchmark.other_skies import folder_of
from estimators.benchmark.protocol import (
    FEWEST_EXAMPLES,
    NamedBand,
    Protocol,
    named_weights,
    protocol,
)
from estimators.benchmark.submission import Submission
from estimators.benchmark.submission_reading import read_submission
from estimators.out_of_distribution import TILT
from estimators.posterior.measured import measured_posterior
from estimators.resampling import Measured, compact
from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import replacing

TEMPLATE = Path(__file__).with_name("benchmark_page.md")

_UNKNOWN = "–"
_SAME = 1e-6  # processors of other types round otherwise

_MARKUP = re.compile(r"[\\`*_\[\](){}|<>&$#~!:]")

_LEADERBOARD = """\
# Leaderboard

<!-- Written by python -m benchmarks.leaderboard; edit nothing here. -->

Estimates of the convergence κ on the test splits of `lensing/v9` to `lensing/v12`, judged by
[protocol {version}](benchmark.md), the best map-level ρ first. Each method's name leads to the
file that the judge wrote: it has ρ_L and its errors in all bands, the spectra, and the SHA-256 of
the maps. [How to add a line](benchmark.md#how-to-add-a-line).

0.630(1) is 0.630 ± 0.001, a standard error from a bootstrap over test examples. Lines of the first
examples alone come last: they scatter together with others of the same examples, and less together
with those of all. {dash} was not submitted, or is not defined.
This package's own networks were trained for a few minutes of a core; [Results](results.md) has
more of them, and its `iterated` network is the iterated estimator here.
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the benchmark's page and its leaderboard."""
    parser = CommandParser("benchmarks.leaderboard", str(main.__doc__))
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the pages")
    arguments = parser.parse_args(argv)
    with command(arguments.verbose):
        for name, text in pages(arguments.docs).items():
            with replacing(arguments.docs / name) as temporary:
                temporary.write_bytes(text.encode())
            print(arguments.docs / name)


def pages(docs: Path) -> dict[str, str]:
    """Returns the text of each page, by its name.

    Args:
      docs: the folder that holds `submissions`.

    Raises:
      LensingError: a submission is damaged, no judge of the protocol has written it, or it is of
        too few examples; two differ in what theory gives both.
    """
    frozen = protocol()
    submissions = [read_submission(path) for path in sorted((docs / "submissions").glob("*.json"))]
    _refuse_few_examples(submissions)
    _refuse_other_theory(submissions)
    return {
        "benchmark.md": benchmark_page(frozen),
        "leaderboard.md": leaderboard_page(frozen, submissions),
    }


def _refuse_few_examples(submissions: Iterable[Submission]) -> None:
    for one in submissions:
        if (number := one.metrics.num_examples) < FEWEST_EXAMPLES:
            raise LensingError(
                f"{one.file_name} is of {number} examples: a line has at least {FEWEST_EXAMPLES}, "
                "judge more of them"
            )


def _refuse_other_theory(submissions: Iterable[Submission]) -> None:
    """Refuses files of one version that differ in what theory, not the judge, gives all of them."""
    first: dict[str, Submission] = {}
    for one in submissions:
        other = first.setdefault(one.metrics.dataset, one)
        if not np.allclose(_theory(one), _theory(other), rtol=_SAME, equal_nan=True):
            raise LensingError(
                f"{one.file_name} and {other.file_name} differ in 'expected_cl' or 'forecast', "
                f"which are those of {one.metrics.dataset}: judge the wrong one again"
            )


def _theory(submission: Submission) -> NDArray[np.float64]:
    metrics = submission.metrics
    found = [metrics.expected_cl]
    if (forecast := metrics.forecast) is not None:
        for reach in (forecast.quadratic, forecast.iterated):
            found += [np.atleast_1d(reach.map_correlation), reach.rho_ell]
    return np.concatenate(found)


def benchmark_page(frozen: Protocol) -> str:
    """Returns docs/benchmark.md: the template, with the frozen facts in it."""
    of_splits = []
    hashes = []
    for name, split in frozen.splits.items():
        config = split.config
        number = config.num_examples
        last = f"0–{number[frozen.split] - 1}"
        sky = f"{config.npix} × {config.npix}, {config.pixel_arcmin:.3g}′"
        seen = f"{config.noise_uK_arcmin:g} µK′, {config.beam_arcmin:g}′"
        of_splits.append((f"`lensing/{name}`", ", ".join(config.channels), sky, seen, last))
        for array, digest in split.arrays.items():
            shape = " × ".join(map(str, digest.shape))
            projection = f"{digest.projection:.9g}"
            cells = (f"`{name}`", f"`{array}`", shape, f"`{digest.sha256}`")
            hashes.append((*cells, f"{digest.rms:.9g}", projection))
    bands = [(f"`{b.name}`", b.label, b.use) for b in frozen.named_bands]
    edges = "\n".join(
        f"- `{name}`: {', '.join(f'{edge:.6g}' for edge in split.ell_edges)}"
        for name, split in frozen.splits.items()
    )
    kinds = [(name, f"`{folder_of(name)}`", _CHANGES[name]) for name in frozen.other_skies]
    head = "| version | maps | pixels | noise in T, beam | test examples |"
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        version=frozen.version,
        dataset_version=frozen.dataset_version,
        split=frozen.split,
        splits=_table(head, of_splits),
        hashes=_table("| version | array | shape | SHA-256 | rms | projection |", hashes),
        bands=_table("| name | multipoles | what they are for |", bands),
        edges=edges,
        other_skies=_table("| skies | folder | what is changed |", kinds),
        num_other_skies=frozen.num_other_skies,
        fewest=FEWEST_EXAMPLES,
        same_kappa=_same_kappa(frozen),
    )


_CHANGES = {
    "κ x 1.2": "κ is 1.2 times as large",
    "noise x 1.5": "the maps' noise is 1.5 times as large",
    f"n_s {TILT:+g}".replace("-", "−"): f"the primordial spectral index is {-TILT:g} smaller",
}


def _same_kappa(frozen: Protocol) -> str:
    """Names the versions whose test examples have the very same κ."""
    by_hash: dict[str, list[str]] = {}
    for name, split in frozen.splits.items():
        by_hash.setdefault(split.arrays["kappa"].sha256, []).append(name)
    (names,) = (names for names in by_hash.values() if len(names) > 1)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def leaderboard_page(frozen: Protocol, submissions: Iterable[Submission]) -> str:
    """Returns docs/leaderboard.md."""
    parts = [_LEADERBOARD.format(version=frozen.version, dash=_UNKNOWN)]
    by_version: dict[str, list[Submission]] = {name: [] for name in frozen.splits}
    for submission in submissions:
        by_version[submission.metrics.dataset.removeprefix("lensing/")].append(submission)
    for name, lines in by_version.items():
        config = frozen.splits[name].config
        parts.append(f"\n## {name}\n\n{config.description}\n")
        if not lines:
            parts.append("\nNothing was submitted yet.\n")
            continue
        most = config.num_examples[frozen.split]
        lines.sort(key=lambda line: _place(line, most))
        forecast = lines[0].metrics.forecast
        if forecast is not None:
            quadratic, iterated = forecast.quadratic, forecast.iterated
            parts.append(
                f"\nTheory forecasts ρ = {quadratic.map_correlation:.3f} for the quadratic "
                f"estimator and {iterated.map_correlation:.3f} for the iterated one."
                f"{_posterior(config)}\n"
            )
        parts.append(f"\n{_scores(frozen, most, lines)}\n\n{_more(frozen, lines)}\n")
        parts.append(f"\n{_methods(lines)}\n")
        parts += [f"\n{note}\n" for line in lines if (note := _beyond(line))]
    return "".join(parts)


def _place(line: Submission, most: int) -> tuple[bool, float]:
    """Places a line by its map-level ρ, those of part of the `most` examples behind the others."""
    metrics = line.metrics
    return metrics.num_examples < most, -float(metrics.measured["map_correlation"].value)


def _posterior(config: LensingConfig) -> str:
    """Says what the maximum a posteriori was measured to have; empty if it was not."""
    found = measured_posterior(config)
    if found is None:
        return ""
    return (
        f" The maximum a posteriori has ρ = {_short(found.map_correlation)} on the first "
        f"{found.num_examples} test examples (`python -m benchmarks.maximum_a_posteriori`)."
    )


def _scores(frozen: Protocol, most: int, lines: Sequence[Submission]) -> str:
    bands = frozen.named_bands
    rows = []
    for line in lines:
        link = f"[{_plain(line.description.name)}](submissions/{line.file_name})"
        number = line.metrics.num_examples
        cells = [link, f"{number}" if number == most else f"first {number}"]
        cells.append(_short(line.metrics.measured["map_correlation"]))
        cells += [_short(line.named_bands.get(band.name)) for band in bands]
        rows.append(cells)
    heads = " | ".join(f"ρ, {band.label}" for band in bands)
    return _table(f"| method | examples | ρ of maps | {heads} |", rows)


def _more(frozen: Protocol, lines: Sequence[Submission]) -> str:
    """Noise, intervals, other skies, delensing."""
    middle = next(band for band in frozen.named_bands if band.name == "middle")
    rows = []
    for line in lines:
        errors = line.metrics.uncertainty or {}
        skies = line.other_skies
        changes = {} if skies is None else {r.name: r.correlation_change for r in skies.rows}
        cells = [_plain(line.description.name), _noise(frozen, line, middle)]
        cells.append(_short(errors.get("pixel_coverage_68")))
        cells.append(_interval_score(frozen, line, middle))
        for name in frozen.other_skies:
            cells.append(_signed(changes.get(name)))
        left = line.b_modes_left
        rows.append([*cells, _short(None if left is None else left.residual)])
    skies_heads = " | ".join(f"Δρ, {name}" for name in frozen.other_skies)
    head = (
        f"| method | N_L / C_L, {middle.label} | pixels in 68 % intervals | interval score, "
        f"{middle.label} | {skies_heads} | lensing B left |"
    )
    return _table(head, rows)


def _methods(lines: Sequence[Submission]) -> str:
    rows = []
    for line in lines:
        of = line.description
        links = [
            f"[{name}]({url})" for name, url in (("paper", of.paper), ("code", of.code)) if url
        ]
        rows.append(
            [*map(_plain, (of.name, of.authors, of.training)), ", ".join(links) or _UNKNOWN]
        )
    return _table("| method | authors | trained or fitted on | links |", rows)


def _beyond(line: Submission) -> str:
    """A warning of a score that theory leaves to nobody; empty if it is none."""
    share = above_forecast(line.metrics)
    if share is None:
        return ""
    return (
        f"**{_plain(line.description.name)}** is {share:.0%} above the forecast: what "
        "it was given should be looked at."
    )


def _weighted(
    frozen: Protocol, line: Submission, band: NamedBand, of: Callable[[np.ndarray], float]
) -> str:
    weights = named_weights(frozen, line.metrics.ell, line.metrics.num_modes).get(band.name)
    value = math.nan if weights is None else of(weights)
    return _UNKNOWN if math.isnan(value) else f"{value:.3f}"


def _noise(frozen: Protocol, line: Submission, band: NamedBand) -> str:
    ratio = line.metrics.measured["noise_ell"].value / line.metrics.expected_cl
    return _weighted(frozen, line, band, lambda w: float(np.sum(w[w > 0] * ratio[w > 0])))


def _interval_score(frozen: Protocol, line: Submission, band: NamedBand) -> str:
    errors = line.metrics.uncertainty
    if errors is None:
        return _UNKNOWN
    return _weighted(frozen, line, band, lambda w: float(w @ errors["interval_score_68"].value))


def _signed(measured: Measured | None) -> str:
    text = _short(measured)
    return text.replace("-", "−") if text.startswith(("-", _UNKNOWN)) else f"+{text}"


def _short(measured: Measured | None) -> str:
    return _UNKNOWN if measured is None else compact(float(measured.value), float(measured.error))


def _table(head: str, rows: Iterable[Sequence[str]]) -> str:
    """Returns a table of Markdown; its cells are Markdown too."""
    lines = [head, "| " + " | ".join("---" for _ in head.split("|")[1:-1]) + " |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _plain(text: str) -> str:
    """Returns what somebody else wrote so that no Markdown, HTML or formula comes of it."""
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", text)


if __name__ == "__main__":
    main()
