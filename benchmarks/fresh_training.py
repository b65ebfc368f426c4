"""A network trained on fresh skies beside the same one on few stored skies, step for step.

    python -m benchmarks.fresh_training v11 v12 --page docs/fresh_training.md

Both have the same recipe, seed, order of steps and number of steps. One sees the first stored skies
again in each pass, turned or mirrored at random; the other never sees a sky twice. Both are judged
on the test split, and on those stored skies, which one was trained on and the other never saw. A
run that was stopped goes on; the page is written from the runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from estimators.judge import judge_estimators
from estimators.resampling import Measured, with_error
from estimators.skill import Skill, difference
from lensing_tfds import VERSIONS
from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.records.datasets import absolute_data_dir, open_dataset
from lensing_tfds.records.storage import replacing
from trainer.runs.run import Run
from trainer.settings.config import TrainerConfig, resolve

MODEL, SKIES, PASSES = "qe_unet", 400, 10
STORED, FRESH = "stored", "fresh"

_PAGE = """\
# Training on skies that never repeat

<!-- Written by python -m benchmarks.fresh_training --page; edit nothing here. -->

Networks on fresh skies (`--fresh`) beside the same networks on few stored ones, with the same
recipe, seed and number of steps. ρ is the map-level correlation with the true κ: of {judged} test
examples, and of the first {skies} training examples, which only the network on stored skies has
seen. Losses are mean squared errors of standardised κ in the last epoch, running ones where it
trained; seconds are of a pass, of training alone, by the
clock: other work on the machine is in them.

```bash
{line}
```

{rows}

Differences of ρ, with the errors of pairs: the first is what other skies are worth, and the sum of
both what the network on stored skies has learned by heart.

{sentences}

ρ_L of the test split, in the judge's bands:

{bands}
"""


_COLUMNS = (
    *("version", "skies", "seen", "steps", "loss", "validation loss"),
    *("ρ, test", "ρ, training", "seconds a pass"),
)


@dataclasses.dataclass(frozen=True)
class Scores:
    """The skills of one version's runs.

    Attributes:
      runs: by `STORED` and `FRESH`, as the next two.
      test: of the test split.
      training: of the stored skies that one of them was trained on.
    """

    runs: Mapping[str, Run]
    test: Mapping[str, Skill]
    training: Mapping[str, Skill]


def settings(version: str, data_dir: str, flags: argparse.Namespace) -> dict[str, TrainerConfig]:
    """Returns the settings of both runs, equal but for where skies come from."""
    return {
        name: resolve(
            f"lensing/{version}",
            data_dir,
            VERSIONS[version],
            model=flags.model,
            epochs=flags.passes,
            max_examples=flags.skies,
            fresh=name == FRESH,
        )
        for name in (STORED, FRESH)
    }


def scores(version: str, data_dir: str, flags: argparse.Namespace) -> Scores:
    """Trains both networks, as far as they are not yet, and judges them."""
    from trainer.train import train

    open_dataset(VERSIONS[version], data_dir, print)
    configs = settings(version, data_dir, flags)
    runs = {
        name: train(config, flags.results / f"{version}-{flags.model}-{name}")
        for name, config in configs.items()
    }
    return Scores(
        runs,
        _judged(runs, "test", flags.max_examples),
        _judged(runs, "train", flags.skies),
    )


def _judged(runs: Mapping[str, Run], split: str, most: int | None) -> dict[str, Skill]:
    dataset = next(iter(runs.values())).dataset
    number = VERSIONS[dataset.name.removeprefix("lensing/")].number_of_first(split, most)
    evaluation = judge_estimators(
        dataset.batches(split, number),
        [
            dataclasses.replace(run.estimator(split, number), name=name, uncertainty=None)
            for name, run in runs.items()
        ],
        dataset.ensemble,
        split,
        np.random.default_rng(0),
    )
    return {judged.estimator.name: judged.skill for judged in evaluation.judged}


def page(found: Mapping[str, Scores], flags: argparse.Namespace) -> str:
    """Writes the page in Markdown."""
    rows = [f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
    sentences, bands = [], []
    for version, of in found.items():
        for name, run in of.runs.items():
            history, config = run.history, run.config
            passes = config.epochs or 0
            seconds = flags.skies / history["examples_per_second"][-passes:]
            steps = passes * math.ceil(flags.skies / config.batch_size)
            cells = [
                version,
                f"{flags.skies * (passes if name == FRESH else 1):,}",
                "once" if name == FRESH else f"{passes} times",
                f"{steps:,}",
                f"{history['loss'][-1]:.4f}",
                f"{history['val_loss'][-1]:.4f}",
                with_error(of.test[name].map_correlation),
                with_error(of.training[name].map_correlation),
                f"{np.median(seconds):.0f}",
            ]
            rows.append(f"| {' | '.join(cells)} |")
        ahead = difference(of.test[FRESH], of.test[STORED])
        by_heart = difference(of.training[STORED], of.training[FRESH])
        sentences.append(
            f"- {version}, test split, fresh less stored: {_precisely(ahead)};\n"
            f"- {version}, the stored skies, stored less fresh: {_precisely(by_heart)}."
        )
        bands.append(_bands(version, of.test))
    return _PAGE.format(
        judged=next(iter(found.values())).test[FRESH].num_examples,
        skies=flags.skies,
        line=_line(found, flags),
        rows="\n".join(rows),
        sentences="\n".join(sentences),
        bands="\n\n".join(bands),
    )


def _precisely(measured: Measured) -> str:
    return f"{measured.value:+.5f} ± {measured.error:.5f}"


def _bands(version: str, test: Mapping[str, Skill]) -> str:
    lines = [f"| {version}, L | {STORED} | {FRESH} |", "| --- | --- | --- |"]
    for band, ell in enumerate(test[FRESH].bands.ell):
        cells = [
            with_error(Measured(skill.rho_ell.value[band], skill.rho_ell.error[band]))
            for skill in (test[STORED], test[FRESH])
        ]
        lines.append(f"| {ell:.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _line(found: Mapping[str, Scores], flags: argparse.Namespace) -> str:
    line = f"python -m benchmarks.fresh_training {' '.join(found)} --model {flags.model}"
    line += f" --skies {flags.skies} --passes {flags.passes}"
    return line if flags.max_examples is None else f"{line} --max_examples {flags.max_examples}"


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = CommandParser("benchmarks.fresh_training", "Train on fresh skies and on stored ones.")
    parser.add_argument("versions", nargs="*", default=["v11", "v12"])
    parser.add_shared("--data_dir")
    parser.add_argument("--model", default=MODEL, help="a network that is trained")
    parser.add_argument("--skies", type=int, default=SKIES, help="of a pass")
    parser.add_argument("--passes", type=int, default=PASSES, help="of the training")
    parser.add_argument("--results", type=Path, default=Path("runs/fresh"), help="where runs are")
    parser.add_shared("--max_examples", help="judge on the first so many only", otherwise="all")
    parser.add_argument("--page", type=Path, help="a file.md to write")
    flags = parser.parse_args(argv)
    with command(flags.verbose, extra="trainer"):
        data_dir = absolute_data_dir(flags.data_dir)
        text = page({v: scores(v, data_dir, flags) for v in flags.versions}, flags)
        print(text)
        if flags.page is not None:
            with replacing(flags.page) as temporary:
                temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
