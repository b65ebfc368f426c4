"""Options of a training beside the same one without them: half precision, averages, fresh skies.

    python -m benchmarks.training_options --page docs/training_options.md

One seed and one order of batches: an option is all that a run differs in. Averages are tried with a
rate that falls to zero and with one that stays; patience is tried on few skies at a steady rate,
where validation wavers; whitened maps are tried on v4, whose lensing hides beneath its large
scales, with a stack, as a U-Net sees them anyway. A run that was stopped goes on; the page is
written from the runs.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from estimators.judge import judge_estimators
from estimators.resampling import Measured
from estimators.skill import Skill, difference
from lensing_tfds import VERSIONS
from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.records.datasets import absolute_data_dir, open_dataset
from lensing_tfds.records.storage import replacing
from trainer.networks import families
from trainer.runs.run import Run
from trainer.settings.config import TrainerConfig, resolve

DATASET, MODEL, JUDGED = "lensing/v2", "unet-8x2x1", 100

MANY = {"max_examples": 640, "epochs": 4}
STEADY = MANY | {"schedule": "constant"}
FEW = {"max_examples": 32, "batch_size": 8, "epochs": 60, "schedule": "constant"}
STACK = MANY | {"dataset": "lensing/v4", "model": "3x16-9", "batch_size": 32}

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "many skies": ("", MANY),
    "bfloat16": ("many skies", MANY | {"precision": "bfloat16"}),
    "float16": ("many skies", MANY | {"precision": "float16"}),
    "as they are": ("many skies", MANY | {"augment": False}),
    "fresh skies": ("many skies", MANY | {"fresh": True}),
    "fresh, seen four times": ("fresh skies", MANY | {"fresh": True, "reuse": 4}),
    "averages": ("many skies", MANY | {"ema_momentum": 0.9}),
    "steady rate": ("many skies", STEADY),
    "steady rate, averages": ("steady rate", STEADY | {"ema_momentum": 0.9}),
    "few skies": ("", FEW),
    "patience": ("few skies", FEW | {"patience": 3}),
    "stack": ("", STACK),
    "whitened": ("stack", STACK | {"whiten": True}),
}
"""By the name of a run: the run that it is compared with, and its settings."""

_PAGE = """\
# What options of a training are worth

<!-- Written by python -m benchmarks.training_options --page; edit nothing here. -->

`{model}` on `{dataset}`, where a row names no other, with the version's recipe, one seed and one
order of batches; an option is all that a run differs in. ρ is the map-level correlation with the
true κ of the epoch that is kept, the best on the validation split, on {judged} test examples;
differences have the errors of pairs. What half precision takes off a step,
`benchmarks.network_speed` says.

```bash
python -m benchmarks.training_options --page docs/training_options.md
```

{rows}
"""

_COLUMNS = (
    *("run", "its settings", "epochs", "kept", "loss", "validation loss"),
    *("ρ, test", "less the same without"),
)


def runs(data_dir: str, results: Path) -> dict[str, Run]:
    """Trains what is not trained yet."""
    from trainer.train import train

    found = {}
    for name, (_, settings) in OPTIONS.items():
        config = config_of(settings, data_dir)
        open_dataset(VERSIONS[config.dataset.removeprefix("lensing/")], data_dir, print)
        found[name] = train(config, results / name.replace(", ", " ").replace(" ", "_"))
    return found


def config_of(settings: Mapping[str, Any], data_dir: str) -> TrainerConfig:
    """Returns what the command makes of flags, and of the page's dataset and network."""
    flags = {"dataset": DATASET, "model": MODEL, **settings}
    dataset = flags.pop("dataset")
    if flags.pop("whiten", False):
        flags["model"] = families.whitened(flags["model"])
    return resolve(dataset, data_dir, VERSIONS[dataset.removeprefix("lensing/")], **flags)


def skills(found: Mapping[str, Run]) -> dict[str, Skill]:
    """Judges all of a dataset on the same test examples."""
    by_name: dict[str, Skill] = {}
    for name in {run.config.dataset: None for run in found.values()}:
        of = {label: run for label, run in found.items() if run.config.dataset == name}
        dataset = next(iter(of.values())).dataset
        evaluation = judge_estimators(
            dataset.batches("test", JUDGED),
            [
                dataclasses.replace(run.estimator("test", JUDGED), name=label, uncertainty=None)
                for label, run in of.items()
            ],
            dataset.ensemble,
            "test",
            np.random.default_rng(0),
        )
        by_name |= {judged.estimator.name: judged.skill for judged in evaluation.judged}
    return by_name


def page(found: Mapping[str, Run], judged: Mapping[str, Skill]) -> str:
    """Writes the page in Markdown."""
    rows = [f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
    for name, (beside, settings) in OPTIONS.items():
        run = found[name]
        history, best = run.history, run.best_epoch()
        base = OPTIONS[beside][1] if beside else {}
        own = {key: value for key, value in settings.items() if base.get(key) != value}
        less = difference(judged[name], judged[beside]) if beside else None
        cells = [
            name,
            " ".join(f"`{_flag(key, value)}`" for key, value in own.items()),
            f"{history['epoch'][-1]:.0f}",
            f"{best['epoch']:.0f}",
            f"{history['loss'][-1]:.4f}",
            f"{best['val_loss']:.4f}",
            _precisely(judged[name].map_correlation),
            "" if less is None else _precisely(less, "+"),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return _PAGE.format(
        model=MODEL,
        dataset=DATASET,
        judged=JUDGED,
        rows="\n".join(rows),
    )


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{'' if value else 'no-'}{name}"
    return f"--{name} {value}"


def _precisely(measured: Measured, sign: str = "") -> str:
    return f"{float(measured.value):{sign}.4f} ± {float(measured.error):.4f}"


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = CommandParser("benchmarks.training_options", "Train with options and without them.")
    parser.add_shared("--data_dir")
    parser.add_argument("--results", type=Path, default=Path("runs/options"), help="where runs are")
    parser.add_argument("--page", type=Path, help="a file.md to write")
    flags: argparse.Namespace = parser.parse_args(argv)
    with command(flags.verbose, extra="trainer"):
        found = runs(absolute_data_dir(flags.data_dir), flags.results)
        text = page(found, skills(found))
        print(text)
        if flags.page is not None:
            with replacing(flags.page) as temporary:
                temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
