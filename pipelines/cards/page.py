"""A card as Markdown: one dataset's page, and the index of all pages."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence

import tensorflow_datasets as tfds

from estimators.dataset import Dataset
from lensing_tfds import __version__, strict_json
from lensing_tfds.configs import KAPPA, LENSED, SPLIT_MAPS, LensingConfig
from lensing_tfds.records.stored_dataset import StoredDataset
from lensing_tfds.versions import VERSIONS
from pipelines.cards import citations, example, facts, prose, reference, timing, validation
from pipelines.validation.outcome import Verdict

INDEX = "README.md"

_CONFIG = "<!-- config: "  # where a page holds its config, unseen, for the index


@dataclasses.dataclass(frozen=True)
class Card:
    """One dataset's page.

    Attributes:
      name: the config's; the page's file is `<name>.md`.
      text: the page.
      figures: PNG files by name.
    """

    name: str
    text: str
    figures: dict[str, bytes]

    @property
    def files(self) -> dict[str, bytes]:
        """All files of the card, by name."""
        return {f"{self.name}.md": self.text.encode(), **self.figures}


def card(stored: StoredDataset) -> Card:
    """Makes the card of a built dataset.

    Args:
      stored: the dataset, opened.

    Raises:
      LensingError: the dataset cannot be read, or its validation cannot.
    """
    config, folder = stored.config, stored.data_path
    dataset = Dataset(config, stored)
    theory = reference.reference(dataset.ensemble, dataset)
    verdict = validation.read(folder)
    name = config.name
    figures = {
        f"{name}-example.png": example.figure(example.first_example(stored), config),
        f"{name}-quadratic-estimator.png": reference.figure(theory),
    }
    if verdict is not None and validation.shown_curves(verdict):
        figures[f"{name}-validation.png"] = validation.figure(verdict)
    sections = [
        f"# lensing/{name}\n\n{prose.purpose(config)}",
        f"![Maps of the first test example]({name}-example.png)\n\n"
        "*The first test example, not chosen.* " + prose.caption(config),
        _how_to_get(name),
        "## What it is\n\n" + table(("", ""), facts.specification(config)),
        _contents(stored),
        _validation(config, verdict),
        _reference(config, theory),
        "## What not to use it for\n\n" + _listed(prose.not_for(config)),
        "## Cite\n\n" + _listed(citations.citations(config)),
        f"---\n\nMade from data of version {stored.version} by lensing-tfds {__version__}: "
        f"`python -m pipelines.card --dataset lensing/{name} --output docs/datasets`.\n\n"
        f"{_CONFIG}{json.dumps(config.to_json())} -->",
    ]
    return Card(name, "\n\n".join(sections) + "\n", figures)


def config_of(name: str, text: str) -> LensingConfig | None:
    """Returns the config that a page is of; None if the text is no card.

    Args:
      name: of the page, without `.md`.
      text: the page.

    Raises:
      LensingError: the config in it is damaged.
    """
    if not text.startswith(f"# lensing/{name}\n"):
        return None
    for line in text.splitlines():
        if line.startswith(_CONFIG):
            fields = strict_json.parse(line[len(_CONFIG) :].removesuffix("-->"), f"{name}.md")
            config = LensingConfig.from_json(fields)
            version = VERSIONS.get(name)  # knows its description too
            return version if version and version.to_json() == config.to_json() else config
    return VERSIONS.get(name)  # a page from before it held its config


def index(configs: Iterable[LensingConfig]) -> str:
    """Returns the page that links those of all configs: the versions first, then people's own."""
    order = {name: number for number, name in enumerate(VERSIONS)}
    given = sorted(configs, key=lambda config: (order.get(config.name, len(order)), config.name))
    rows = [_index_row(config) for config in given]
    heads = ("version", "maps", "patch", "beam", "noise in T", "labels", "what it is")
    return (
        "# Datasets\n\n"
        "A page for each: its numbers, an example, its validation against theory, what the "
        "quadratic estimator reaches on it, and what not to use it for.\n\n"
        + table(heads, rows)
        + "\n\nMade by `python -m pipelines.card`, from built datasets.\n"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table; a column that is empty in all rows is left out."""
    lines = list(rows)
    kept = [n for n in range(len(heads)) if heads[n] == "" or any(row[n] for row in lines)]
    cells = [heads, ["---"] * len(heads), *lines]
    return "\n".join(
        "| " + " | ".join(row[n].replace("|", "\\|") for n in kept) + " |" for row in cells
    )


def _index_row(config: LensingConfig) -> tuple[str, ...]:
    return (
        f"[{config.name}]({config.name}.md)",
        ", ".join(config.channels),
        f"{config.npix} × {config.npix} at {config.pixel_arcmin:.4g}′",
        f"{config.beam_arcmin:g}′" if config.beam_arcmin else "",
        f"{config.noise_uK_arcmin:g} µK′" if config.noise_uK_arcmin else "",
        ", ".join(_labels(config)),
        config.description or "A config of its own.",
    )


def _labels(config: LensingConfig) -> list[str]:
    """Names what an example holds beside the observed and the unlensed maps."""
    names = [
        one.name for one in config.features if one.name not in (LENSED, "unlensed", SPLIT_MAPS)
    ]
    return ["κ" if name == KAPPA else name.replace("_", " ") for name in names]


def _how_to_get(name: str) -> str:
    load = f'`tfds.load("lensing/{name}")`'
    if name not in VERSIONS:
        return f"A config of its own: {load}, where it was built."
    return f"`tfds build lensing_tfds --config {name}`, then {load}."


def _contents(stored: StoredDataset) -> str:
    builder = tfds.builder_from_directory(stored.data_path)
    features = table(
        ("feature", "channels", "shape", "dtype", "unit", "meaning"), facts.features(builder)
    )
    splits = table(("split", "examples", "shards", "size"), facts.splits(builder))
    size = f"On disk: {facts.readable_bytes(int(builder.info.dataset_size))}."
    took = facts.building_time(timing.seconds_per_example(stored), builder)
    size += f" Building takes one core {took}, on the machine that made this page."
    supervised = "As supervised pairs: (`lensed`, `kappa`)."
    return f"## What is in it\n\n{features}\n\n{supervised}\n\n{splits}\n\n{size}"


def _validation(config: LensingConfig, verdict: Verdict | None) -> str:
    head = "## Validation\n\n"
    command = f"`python -m pipelines.validate --dataset lensing/{config.name}`"
    if verdict is None:
        return f"{head}Not validated yet: run {command}, then make this page again."
    parts = [f"{head}{command}: {validation.summary(verdict)}"]
    if validation.shown_curves(verdict):
        parts.append(
            f"![Spectra of the maps]({config.name}-validation.png)\n\n*Points: the mean over "
            "examples. Lines: theory; dashed where the maps need not follow it. Below: their "
            "difference in units of its error.*"
        )
        parts.append(table(("tested", "statistic", "p", "result"), validation.rows(verdict)))
    if verdict.numbers:
        parts.append("Measured, and not judged:\n\n" + _listed(validation.numbers(verdict)))
    return "\n\n".join(parts)


def _reference(config: LensingConfig, theory: reference.Reference) -> str:
    heads = ("estimator", "map-level ρ", *(f"ρ_L at {ell:,}" for ell in theory.shown_ell))
    return "\n\n".join(
        (
            "## What estimators reach",
            "In theory, from the noise N0 of the quadratic estimator and of an iterated one: the "
            "correlation of the estimate with κ, ρ_L = √(C / (C + N0)), and of Wiener-filtered "
            f"maps over all modes. {prose.measured(theory.measured)}".rstrip(),
            table(heads, theory.rows()),
            f"![ρ_L of the estimators]({config.name}-quadratic-estimator.png)",
            _listed(prose.caveats(config)),
        )
    )


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
