"""Measures estimators on skies that they were not made for, and writes the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.errors import LensingError
from lensing_tfds.quiet import quiet_tensorflow
from lensing_tfds.versions import VERSIONS

SKIES = ("v10", "v16", "v17")
MODELS = ("iterated", "qe_unet")
NUMBER = 100


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = CommandParser(
        "benchmarks.misspecification", "Measure estimators on skies they were not made for."
    )
    parser.add_argument(
        "--results", type=Path, default=Path("runs/results"), help="runs of benchmarks.results"
    )
    parser.add_shared("--max_examples", help="measure on the first so many", default=NUMBER)
    parser.add_argument("--page", type=Path, help="a file.md to write, with file.png beside it")
    flags = parser.parse_args(argv)
    with command(flags.verbose, extra="trainer"):
        if flags.max_examples < 2:
            raise LensingError(f"max_examples is {flags.max_examples}: must be at least 2")
        if flags.page is not None and flags.page.suffix != ".md":
            raise LensingError(f"{flags.page} is no .md: name the page docs/misspecification.md")
        with quiet_tensorflow():
            from benchmarks.misspecification import page, picture
            from benchmarks.misspecification.made import made
            from benchmarks.misspecification.measured import EDGES, measure
            from estimators.reports import style
            from lensing_tfds.records.storage import replacing

        configs = [VERSIONS[name] for name in SKIES]
        estimators = made(configs, MODELS, flags.results)
        found = measure(configs, estimators, flags.max_examples)
        drawn = picture.draw(found, estimators, configs, EDGES)
        line = f"python -m benchmarks.misspecification --max_examples {flags.max_examples}"
        text = page.render(
            found,
            estimators,
            configs,
            EDGES,
            flags.max_examples,
            line,
            "misspecification.png" if flags.page is None else flags.page.with_suffix(".png").name,
        )
        print(text)
        if flags.page is not None:
            with replacing(flags.page.with_suffix(".png")) as temporary:
                temporary.write_bytes(style.save(drawn, "png", dpi=90))
            with replacing(flags.page) as temporary:
                temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
