r"""Delenses B modes with an estimate of κ: templates, band powers, and the share that is left.

    python -m trainer.delens --estimator qe --dataset lensing/v11 --lmax 400 --output delensed/qe
    python -m trainer.delens --workdir runs/v11 --lmax 400 --output delensed/network
    python -m trainer.delens --predictions DIR --lmax 400 --output delensed/theirs

Writes `delensed.npz` (maps of the observed B and of its templates), `delensed.csv` (band powers)
and `delensed.json` (the share of lensing's B that is left, beside forecasts). docs/delensing.md
says what is done, and why κ̂ should not be made of the B modes that it delenses.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lensing_tfds.command_line import CommandParser, command, printable
from lensing_tfds.quiet import quiet_tensorflow
from lensing_tfds.records.storage import expanded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from estimators.delensing.delensed_maps import DelensedMaps
    from estimators.delensing.residual_b_modes import Delensing
    from estimators.ensemble import SkyEnsemble
    from estimators.estimator import Estimator
    from lensing_tfds.sky.binning import Bins

NPZ, CSV, JSON = "delensed.npz", "delensed.csv", "delensed.json"
"""Names in the output folder."""

_BATCH = 16


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser("trainer.delens", "Delens B modes with an estimate of the convergence.")
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument("--workdir", type=expanded, help="a network's run")
    subject.add_argument("--estimator", choices=("qe", "iterated"), help="without training")
    subject.add_argument("--predictions", type=expanded, help="a folder of anybody's maps")
    parser.add_shared("--dataset", otherwise="the run's, or what the predictions say")
    parser.add_shared("--data_dir")
    parser.add_shared("--split", otherwise="what the predictions are of, or test")
    parser.add_shared("--max_examples", default=16, help="skies, the first ones of the split")
    parser.add_argument("--lmax", type=float, default=300.0, help="B modes below it are delensed")
    parser.add_shared("--output", required=True, help="folder that all goes to")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with status 2 for bad input."""
    arguments = parse_arguments(argv)
    with command(arguments.verbose, extra="trainer"):
        # Imported here, so that --help and a mistyped flag answer at once.
        with quiet_tensorflow():
            import numpy as np

            from estimators.delensing.delensed_maps import Delenser, delensed_bands
            from estimators.delensing.residual_b_modes import residual_b_modes
            from estimators.resampling import refuse_too_few
            from lensing_tfds.errors import LensingError
            from lensing_tfds.records.storage import is_remote, make_folder

        if is_remote(arguments.output):
            raise LensingError(
                f"--output is {arguments.output}: maps are written to a disk, give a folder"
            )
        make, ensemble, split = _subject(arguments)
        number, lowest = arguments.max_examples, ensemble.config.sky.fundamental
        refuse_too_few(number)
        delenser = Delenser(ensemble, delensed_bands(ensemble.config, arguments.lmax))
        make_folder(Path(arguments.output))  # before estimates are made, which takes long
        estimators = make()
        estimates: dict[str, NDArray] = {}
        parts = []

        def delensed() -> Iterator[dict[str, NDArray]]:
            for batch in _examples(ensemble, split, number):
                estimates.update(
                    {e.name: e.kappa(batch["lensed"], batch["index"]) for e in estimators}
                )
                parts.append(delenser.maps(batch["lensed"], estimates))
                yield batch

        left = residual_b_modes(
            delensed(),
            [_known(one, estimates) for one in estimators],
            ensemble,
            np.random.default_rng(0),
            split,
            (lowest, arguments.lmax),
        )
        found, left = _joined(parts), _with_split_forecast(left, ensemble)
        paths = _write(Path(arguments.output), found, left, delenser.bands)
        print(_summary(estimators, left, found, delenser.bands.ell))
        for path in paths:
            print(printable(path))


def _subject(
    arguments: argparse.Namespace,
) -> tuple[Callable[[], list[Estimator]], SkyEnsemble, str]:
    """A function that makes the estimators, what they are for, and the split."""
    from estimators.delensing.delensed_maps import delensed_bands
    from estimators.delensing.split_b_modes import quadratic_estimators
    from estimators.predictions import open_predictions
    from lensing_tfds.errors import LensingError
    from trainer.bandpower_sources import QUADRATIC, NamedSource, RunSource

    split, number = arguments.split or "test", arguments.max_examples
    if arguments.predictions is not None:
        predictions = open_predictions(arguments.predictions, arguments.dataset, arguments.data_dir)
        ensemble, split = predictions.ensemble, predictions.split_asked(arguments.split)
        ensemble.refuse_beyond(split, number)
        return lambda: [predictions.estimator(split, number)], ensemble, split
    if arguments.workdir is not None:
        if arguments.dataset is not None:
            raise LensingError("--dataset is not for --workdir: a run has its own")
        run = RunSource.of(arguments.workdir)
        run.ensemble.refuse_beyond(split, number)
        return lambda: [run.estimator()], run.ensemble, split
    if arguments.dataset is None:
        raise LensingError(f"--estimator {arguments.estimator} needs --dataset lensing/v11")
    source = NamedSource.of(arguments.estimator, arguments.dataset, arguments.data_dir)
    source.ensemble.refuse_beyond(split, number)
    delensed_bands(source.config, arguments.lmax)  # what cannot be delensed is not estimated
    if arguments.estimator == QUADRATIC:
        quadratic = quadratic_estimators(source.ensemble, arguments.lmax)
        return lambda: quadratic, source.ensemble, split
    return lambda: [source.estimator()], source.ensemble, split


def _examples(ensemble: SkyEnsemble, split: str, number: int) -> Iterator[dict[str, NDArray]]:
    """The first skies of a split, as the dataset has them, some after the other."""
    import numpy as np

    from lensing_tfds.simulation import Simulator

    simulator = Simulator(ensemble.config, split, ensemble.theory)
    for start in range(0, number, _BATCH):
        blocks = list(simulator.examples(range(start, min(start + _BATCH, number))))
        yield {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}


def _known(estimator: Estimator, estimates: Mapping[str, NDArray]) -> Estimator:
    """The estimator, of a batch whose estimates by name are known."""
    return dataclasses.replace(estimator, predict=lambda _: estimates[estimator.name][..., None])


def _with_split_forecast(left: Delensing, ensemble: SkyEnsemble) -> Delensing:
    """Adds the forecast of the split estimate, which has other noise, if there is one."""
    from estimators.delensing.split_b_modes import SPLIT, expected_share

    if SPLIT not in left.residual:
        return left
    share = expected_share(ensemble, left.l_range[1], left.l_range)
    own = {} if share is None else {SPLIT: share}
    return dataclasses.replace(left, forecast={**left.forecast, **own})


def _joined(parts: Sequence[DelensedMaps]) -> DelensedMaps:
    import numpy as np

    from estimators.delensing.delensed_maps import DelensedMaps

    def joined(name: str) -> dict[str, NDArray]:
        values = [getattr(part, name) for part in parts]
        return {key: np.concatenate([value[key] for value in values]) for key in values[0]}

    return DelensedMaps(
        np.concatenate([part.observed for part in parts]),
        joined("templates"),
        np.concatenate([part.observed_powers for part in parts]),
        joined("delensed_powers"),
    )


def _write(
    output: Path,
    found: DelensedMaps,
    left: Delensing,
    bands: Bins,
) -> list[Path]:
    """Writes the three files; returns their paths."""
    import numpy as np

    from lensing_tfds.records.storage import replacing

    maps = io.BytesIO()
    arrays: dict[str, Any] = {f"template_{name}": x for name, x in found.templates.items()}
    arrays |= {"index": np.arange(len(found.observed)), "observed": found.observed}
    np.savez(maps, **arrays)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = {"observed": found.observed_powers} | dict(found.delensed_powers)
    names = [column for name in columns for column in (name, f"{name}_error")]
    writer.writerow(["lowest_ell", "highest_ell", "ell", *names])
    for band in range(bands.num):
        cells = [*bands.limits[:, band], bands.ell[band]]
        for powers in columns.values():
            of_band = powers[:, band]
            cells += [of_band.mean(), of_band.std() / np.sqrt(len(of_band))]
        writer.writerow([f"{cell:.8g}" for cell in cells])
    files = {
        NPZ: maps.getvalue(),
        CSV: text.getvalue().encode(),
        JSON: (json.dumps(left.to_json(), indent=2) + "\n").encode(),
    }
    for name, content in files.items():
        with replacing(output / name) as temporary:
            temporary.write_bytes(content)
    return [output / name for name in files]


def _summary(
    estimators: Sequence[Estimator], left: Delensing, found: DelensedMaps, ell: NDArray[np.float64]
) -> str:
    """Shares that are left and band powers, for a terminal."""
    from estimators.delensing.residual_b_modes import TRUE_KAPPA
    from estimators.delensing.split_b_modes import SHARED, SPLIT

    kinds = {SHARED: "quadratic", SPLIT: SPLIT}
    lines = [
        f"lensing's B at {left.l_range[0]:.0f} <= l < {left.l_range[1]:.0f}, share that is left "
        f"of {left.num_examples} skies",
        "| κ | left | with its noise moved | forecast |",
        "| --- | ---: | ---: | ---: |",
        f"| the truth | {left.residual[TRUE_KAPPA].value:.4f} | | |",
    ]
    for one in estimators:
        kind = "iterated" if one.name.startswith("iterated") else kinds.get(one.name, "")
        forecast = f"{left.forecast[kind]:.4f}" if kind in left.forecast else ""
        measured = left.residual[one.name]
        lines.append(
            f"| {one.label} | {measured.value:.4f} ± {measured.error:.4f} | "
            f"{left.moved_noise[one.name].value:.4f} | {forecast} |"
        )
    if left.forecast:
        known = (f"{kind} {left.forecast[kind]:.4f}" for kind in ("quadratic", "iterated"))
        lines.append(f"forecasts of estimators from all B: {', '.join(known)}")
    labels = [one.label for one in estimators]
    lines += ["", f"| l | 10⁶ C_BB, with noise, µK² | {' | '.join(labels)} |"]
    lines.append(f"| --- |{' ---: |' * (1 + len(labels))}")
    for band, multipole in enumerate(ell):
        powers = [found.observed_powers, *found.delensed_powers.values()]
        cells = (f"{1e6 * power[:, band].mean():.4f}" for power in powers)
        lines.append(f"| {multipole:.0f} | {' | '.join(cells)} |")
    if shared := [one.label for one in estimators if one.name != SPLIT]:
        lines += [
            "",
            f"made of the very B modes that are delensed: {', '.join(shared)}. Its share is too "
            "low, and a primordial B would lose a part too (docs/delensing.md).",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
