"""References to cite for a dataset, from the bibliography that TFDS shows too."""

from __future__ import annotations

import importlib.resources
import re

from lensing_tfds.configs import LensingConfig

_OF_VERSION = {
    "v9": ("ade2019simons",),
    "v10": ("abazajian2016cmbs4",),
    "v11": ("caldeira2019deepcmb", "guzman2021reconstructing"),
    "v12": ("floss2024denoising",),
    "v13": ("floss2024denoising",),
    "v14": ("guzman2021reconstructing", "guzman2022reconstructing", "gluscevic2013patchy"),
    "v15": ("ade2019simons",),
    "v16": ("choi2020atacama", "reichardt2021improved", "planck2013cib", "hill2014detection"),
    "v17": ("xavier2016improving", "pratten2016impact", "barthelemy2020post"),
}

_ESCAPES = {"\\&": "&", "``": "“", "''": "”", '\\"o': "ö", "\\v{s}": "š", "\\~{a}": "ã"}


def citations(config: LensingConfig) -> list[str]:
    """Returns a line of Markdown for each publication that the dataset rests on or follows."""
    keys = ["lewis2006weak", "lewis2000efficient", "planck2018cosmological"]
    if "Q" in config.channels:
        keys.append("zaldarriaga1997all")
    keys += ["hu2002mass", *_OF_VERSION.get(config.name, ())]
    entries = bibliography()
    return [_line(entries[key]) for key in keys]


def bibliography() -> dict[str, dict[str, str]]:
    """Returns the fields of every entry of CITATIONS.bib, by its key.

    The file is the project's own, one field a line or a few, and needs no more than this.
    """
    text = importlib.resources.files("lensing_tfds").joinpath("CITATIONS.bib").read_text("utf-8")
    entries = {}
    for entry in re.split(r"^@", text, flags=re.MULTILINE)[1:]:
        key = entry.partition("{")[2].partition(",")[0]
        found = re.findall(r"^  (\w+) = \{(.*?)\},?$", entry, re.MULTILINE | re.DOTALL)
        entries[key] = {name: _plain(value) for name, value in found}
    return entries


def _plain(value: str) -> str:
    """Drops BibTeX's escapes, braces and line breaks."""
    for escaped, plain in _ESCAPES.items():
        value = value.replace(escaped, plain)
    return re.sub(r"\s+", " ", re.sub(r"[{}]", "", value))


def _line(entry: dict[str, str]) -> str:
    surnames = [author.partition(",")[0] for author in entry["author"].split(" and ")]
    who = " & ".join(surnames) if len(surnames) < 3 else f"{surnames[0]} et al."
    eprint = entry["eprint"]
    link = f"[arXiv:{eprint}](https://arxiv.org/abs/{eprint})"
    return f"{who} ({entry['year']}), *{entry['title']}*, {link}"
