"""Is a search worth its cost? Default network against tuned network at the same training budget."""

import argparse
import dataclasses
import json
import math
import os
from pathlib import Path

from estimators.judge import judge
from lensing_tfds.records.datasets import absolute_data_dir, find_config
from trainer.settings.config import resolve
from trainer.settings.hparams import read_hparams
from trainer.settings.recipes import trained_recipe
from trainer.settings.spaces import space_for
from trainer.train import train
from tuning.config import SearchConfig
from tuning.search import search
from tuning.trials import load_search, read_trials


def run(config, workdir, test_examples) -> dict:
    """Trains, and judges on the test split, which no search has seen."""
    trained = train(config, workdir)
    skill = judge(trained, "test", test_examples, baselines=False).skill
    return {
        "settings": f"{config.model} {config.optimizer} {config.learning_rate:g} "
        f"batch {config.batch_size}{'' if config.augment else ' not augmented'}",
        "minutes": float(trained.history["seconds"].sum() / 60),
        "val_loss": trained.best_epoch()["val_loss"],
        "rho": float(skill.map_correlation.value),
        "rho_error": float(skill.map_correlation.error),
    }


def compare(version: str, arguments: argparse.Namespace) -> list[dict]:
    """Searches on one version, then trains the default and the found network alike."""
    dataset, data_dir = f"lensing/{version}", absolute_data_dir(arguments.data_dir)
    folder = Path(arguments.workdir) / version
    lensing = find_config(dataset, data_dir)
    config = SearchConfig(
        dataset=dataset,
        data_dir=data_dir,
        space=space_for(version),
        max_epochs=arguments.search_epochs,
        max_examples=arguments.search_examples,
    )
    budget = config.budget(max_minutes=arguments.search_minutes)
    search(config, folder / "search", budget)
    record = load_search(folder / "search")
    trials = read_trials(folder / "search", record)

    # Seeds of their own: the winning trial's would bring back the luck that made it the winner.
    alike = {"epochs": arguments.epochs, "max_examples": arguments.examples}
    rows = []
    trained = trained_recipe(version, space_for(version).family)
    hparams = read_hparams(folder / "search" / "best_hyperparameters.json")
    for seed in range(1, arguments.seeds + 1):
        default = resolve(dataset, data_dir, lensing, model=trained.model, seed=seed, **alike)
        tuned = hparams.resolve(dataset, data_dir, lensing, seed=seed, **alike)
        for name, chosen in (("default", default), ("tuned", tuned)):
            # Not by `alike`, where None is no value: here it is all examples.
            settings = dataclasses.replace(chosen, max_examples=arguments.examples)
            result = run(settings, folder / f"{name}-{seed}", arguments.test_examples)
            rows.append({"version": version, "network": name, "seed": seed} | result)
    search_cost = {
        "trials": len(trials),
        "failed": sum(t.status == "FAILED" for t in trials),
        "epochs": sum(t.own_epochs for t in trials),
        "minutes": sum(t.seconds for t in trials) / 60,
    }
    return [row | {"search": search_cost} for row in rows]


def table(rows: list[dict]) -> str:
    """Markdown: one line a network, seeds averaged, and the ratio of what is left to explain."""
    lines = [
        "| version | network | settings | training, min | val_loss | test ρ | search |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for version in dict.fromkeys(row["version"] for row in rows):
        for network in ("default", "tuned"):
            same = [r for r in rows if (r["version"], r["network"]) == (version, network)]
            rho = [r["rho"] for r in same]
            spread = f" ({min(rho):.4f}–{max(rho):.4f})" if len(rho) > 1 else ""
            cost = same[0]["search"]
            lines.append(
                f"| {version} | {network} | `{same[0]['settings']}` | {mean(same, 'minutes'):.1f} "
                f"| {mean(same, 'val_loss'):.4f} | {mean(same, 'rho'):.4f}{spread} | "
                + (
                    f"{cost['trials']} trials ({cost['failed']} failed), {cost['epochs']} epochs, "
                    f"{cost['minutes']:.0f} min |"
                    if network == "tuned"
                    else "– |"
                )
            )
    return "\n".join(lines)


def mean(rows: list[dict], name: str) -> float:
    return math.fsum(row[name] for row in rows) / len(rows)


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", nargs="+", default=["v3", "v5"])
    parser.add_argument("--workdir", default="runs/benchmark-tuning")
    parser.add_argument("--data_dir")
    parser.add_argument("--search_epochs", type=int, default=9, help="of one trial at most")
    parser.add_argument("--search_examples", type=int, default=4000)
    parser.add_argument("--search_minutes", type=float, default=120)
    parser.add_argument("--epochs", type=int, default=3, help="of the networks compared")
    parser.add_argument("--examples", type=int, help="of the networks compared [all]")
    parser.add_argument("--test_examples", type=int)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args(argv)
    rows = []
    for version in arguments.versions:
        rows += compare(version, arguments)
    path = Path(arguments.workdir) / "results.json"
    path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    print(f"\n{table(rows)}\n\n({path}; {len(os.sched_getaffinity(0))} cores)")


if __name__ == "__main__":
    main()
