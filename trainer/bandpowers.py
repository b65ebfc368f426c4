r"""Measures band powers of κ: response, noise bias, N1 and a covariance from simulations.

    python -m trainer.bandpowers --estimator qe --dataset lensing/v11 --output bandpowers/qe
    python -m trainer.bandpowers --workdir runs/v11 --output bandpowers/network
    python -m trainer.bandpowers --predictions DIR --max_examples 100 --output bandpowers/theirs

Writes `bandpowers.sacc` (SACC, extra `sacc`), `bandpowers.csv` and figures. The simulations are
kept in the folder `spectra` there: stopped at any moment, the same command goes on, and other bands
cost no new ones. Every flag that is not listed by `--help` goes to Beam, which then simulates on
many machines. docs/bandpowers.md says what is done.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lensing_tfds.command_line import CommandParser, command, printable
from lensing_tfds.quiet import quiet_tensorflow
from lensing_tfds.records.storage import expanded

if TYPE_CHECKING:
    from estimators.bandpowers.measurement import BandPowers, Measured, Numbers
    from estimators.bandpowers.rings import BandRings
    from estimators.bandpowers.spectra_shards import EstimatorSource, Executor
    from estimators.ensemble import SkyEnsemble

SPECTRA, SACC, CSV = "spectra", "bandpowers.sacc", "bandpowers.csv"
"""Names in the output folder."""


_SIMULATIONS = {
    "simulations": (240, "for response, biases and covariance"),
    "scaled_simulations": (64, "with C_L^κκ times 0.8, and times 1.2"),
    "rdn0_simulations": (32, "that each sky is paired with for its own N0"),
}
"""Flags of numbers of skies: default and use, in the order of `Numbers`."""


def parse_arguments(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """Reads the command line; returns what is Beam's too."""
    parser = CommandParser("trainer.bandpowers", "Measure band powers of κ, every bias subtracted.")
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument("--workdir", type=expanded, help="a network's run")
    subject.add_argument("--estimator", choices=("qe", "iterated", "map"), help="without training")
    subject.add_argument("--predictions", type=expanded, help="a folder of anybody's κ maps")
    parser.add_shared("--dataset", otherwise="the run's, or what the predictions say")
    parser.add_shared("--data_dir")
    parser.add_shared("--split", otherwise="what the predictions are of, or test")
    parser.add_shared(
        "--max_examples", default=16, help="observed skies, the first ones of the split"
    )
    parser.add_argument("--bands", help="edges, as 100,200,400 [the judge's]")
    for name, (number, text) in _SIMULATIONS.items():
        parser.add_argument(f"--{name}", type=int, help=f"{text} [{number}]")
    parser.add_shared("--output", required=True, help="folder that all goes to")
    return parser.parse_known_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with status 2 for bad input."""
    arguments, flags = parse_arguments(argv)
    with command(arguments.verbose, extra="sacc"):
        # Imported here, so that --help and a mistyped flag answer at once.
        with quiet_tensorflow():
            from estimators.bandpowers import tables
            from estimators.bandpowers.measurement import Numbers, band_powers
            from estimators.bandpowers.sacc_files import require_sacc
            from lensing_tfds.errors import LensingError
            from lensing_tfds.records.storage import is_remote, make_folder

        require_sacc()
        if is_remote(arguments.output):
            raise LensingError(
                f"--output is {arguments.output}: band powers are written to a disk, which all "
                "machines that simulate share, give a folder"
            )
        given = {name: getattr(arguments, name) for name in _SIMULATIONS}
        unused = [name for name, number in given.items() if number is not None]
        if arguments.predictions is not None and unused:
            raise LensingError(
                f"--{unused[0]} is for estimates that can be simulated: of --predictions the skies "
                "that are not observed serve as simulations, all of them"
            )
        of_each = (
            default if given[name] is None else given[name]
            for name, (default, _) in _SIMULATIONS.items()
        )
        numbers = Numbers(arguments.max_examples, *of_each)
        execute = _executor(flags, arguments.verbose)
        output = Path(arguments.output)
        if arguments.bands is not None:  # before any work
            _edges(arguments.bands)
        measured, ensemble = _measured(arguments, numbers, output, execute)
        make_folder(output)
        bands = _bands(arguments.bands, measured, ensemble)
        powers = band_powers(measured, bands)
        paths = _write(powers, output)
        print(tables.summary(powers))
        for path in paths:
            print(printable(path))


def _measured(
    arguments: argparse.Namespace, numbers: Numbers, output: Path, execute: Executor
) -> tuple[Measured, SkyEnsemble]:
    """Measures, or finds, the spectra of what is asked for."""
    from estimators.bandpowers.measurement import measure
    from estimators.bandpowers.predicted_skies import measure_predictions
    from estimators.predictions import open_predictions
    from lensing_tfds.errors import LensingError
    from trainer.bandpower_sources import NamedSource, RunSource

    if arguments.predictions is not None:
        predictions = open_predictions(arguments.predictions, arguments.dataset, arguments.data_dir)
        ensemble, split = predictions.ensemble, predictions.split_asked(arguments.split)
        return measure_predictions(predictions, ensemble, split, numbers.data), ensemble
    source: EstimatorSource
    if arguments.estimator is not None:
        if arguments.dataset is None:
            raise LensingError(f"--estimator {arguments.estimator} needs --dataset lensing/v10")
        source = NamedSource.of(arguments.estimator, arguments.dataset, arguments.data_dir)
        name = arguments.estimator
    else:
        if arguments.dataset is not None:
            raise LensingError("--dataset is not for --workdir: a run has its own")
        source, name = RunSource.of(arguments.workdir), Path(arguments.workdir).name
    split = arguments.split or "test"
    source.ensemble.refuse_beyond(split, numbers.data)
    _refuse_outside(arguments.bands, source.ensemble, numbers.simulations)
    folder = f"{output.absolute()}/{SPECTRA}"
    measured = measure(name, source, numbers, folder, split, execute)
    print(f"simulations: {measured.summary.total}")
    return measured, source.ensemble


def _bands(asked: str | None, measured: Measured, ensemble: SkyEnsemble) -> BandRings:
    """Returns the bands that are asked for, or those of the judge that the estimate follows κ in.

    Raises:
      LensingError: as of `BandRings.given`.
    """
    from estimators.bandpowers.measurement import default_bands
    from estimators.bandpowers.rings import BandRings

    if asked is not None:
        return BandRings.given(ensemble.config.sky, _edges(asked), ensemble.config.kappa_lmax)
    bands, left_out = default_bands(measured, ensemble)
    if left_out:
        print(
            f"left out, because simulations show no response there: L = {', '.join(left_out)}",
            file=sys.stderr,
        )
    return bands


def _edges(text: str) -> list[float]:
    from lensing_tfds.errors import LensingError

    try:
        return [float(edge) for edge in text.split(",")]
    except ValueError as error:
        raise LensingError(f"--bands {text}: must be edges, as 100,200,400") from error


def _refuse_outside(asked: str | None, ensemble: SkyEnsemble, simulations: int) -> None:
    """Refuses, before anything is simulated, bands that cannot be measured.

    Raises:
      LensingError: they are outside the patch's modes, or too many for the simulations.
    """
    from estimators.bandpowers.covariance import refuse_too_few
    from estimators.bandpowers.rings import BandRings

    if asked is not None:
        config = ensemble.config
        refuse_too_few(
            simulations, BandRings.given(config.sky, _edges(asked), config.kappa_lmax).num
        )


def _write(powers: BandPowers, output: Path) -> list[Path]:
    """Writes files and figures; returns their paths."""
    from estimators.bandpowers import tables
    from estimators.bandpowers.sacc_files import write_sacc
    from estimators.reports import bandpower_figures, style
    from lensing_tfds.records.storage import replacing

    figures = {
        "bandpowers": bandpower_figures.band_powers(powers),
        "biases": bandpower_figures.biases(powers),
    }
    for name in (SACC, CSV):  # of another command, and beside figures of this one it would mislead
        (output / name).unlink(missing_ok=True)
    files = {CSV: tables.as_csv(powers).encode()}
    for name, figure in figures.items():
        files |= {f"{name}.{kind}": style.save(figure, kind) for kind in ("png", "pdf")}
    for name, content in files.items():
        with replacing(output / name) as temporary:
            temporary.write_bytes(content)
    write_sacc(powers, output / SACC)
    return [output / name for name in (SACC, *files)]


def _executor(flags: Sequence[str], verbose: bool) -> Executor:
    """Returns what simulates: this machine's cores, or Beam where it is given flags."""
    from estimators.bandpowers.spectra_shards import locally

    if not flags:
        return locally
    from lensing_tfds.records.beam_executor import beam_executor
    from lensing_tfds.records.beam_flags import beam_options, prepare_beam

    prepare_beam(verbose)
    options = beam_options(flags)
    return lambda write, plans: beam_executor(options, write=write)(plans)


if __name__ == "__main__":
    main()
