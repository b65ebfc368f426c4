"""Cards of the networks that come with the package: docs/pretrained.md.

    python -m benchmarks.model_cards

from what the package holds of them and, for the time that a fit takes, from docs/results.json.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.results import record
from benchmarks.results.page import table
from estimators.filtering.masked_patch import is_masked
from estimators.uncertainty import LEVELS
from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.configs import LensingConfig
from lensing_tfds.records.storage import replacing
from trainer.networks import iterated
from trainer.pretrained_models import FOLDER, Pretrained, pretrained
from trainer.runs.plan import duration

PAGE = "pretrained.md"

_HEAD = """\
# Pretrained networks

<!-- Written by python -m benchmarks.model_cards; edit nothing here. -->

A network comes with the package for each of these versions: the iterated estimator, whose gains are
fitted to training examples, stage by stage. `trainer.pretrained("lensing/v11")` opens it: `model`
is Keras's, `intervals` gives errors, `card` is its card as text. By
`python -m trainer.reconstruct --model pretrained:v11` it estimates κ
[from your own maps](reconstruct.md).

"""
_NOT_OTHERS = (
    "**Not for** maps of other pixels, beam, noise or Stokes parameters, nor for skies that are "
    "unlike its own, which are simplified:"
)
_FIT = """
Times are a processor's, of the same fit for [Results](results.md). ρ is the map-level correlation
with κ on the test split, ± a standard error from a bootstrap over its examples.
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Writes docs/pretrained.md."""
    parser = CommandParser("benchmarks.model_cards", str(main.__doc__))
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the pages")
    arguments = parser.parse_args(argv)
    with command(arguments.verbose):
        text = page(fits(arguments.docs / "results.json"))
        with replacing(arguments.docs / PAGE) as temporary:
            temporary.write_bytes(text.encode())
        print(arguments.docs / PAGE)


def fits(path: Path) -> dict[str, tuple[int, str]]:
    """Returns what the fits of the iterated estimator took, by the version's name.

    Args:
      path: of the file of figures.

    Returns:
      The number of examples of each, and the time in words.
    """
    found = {}
    for version in record.read(path):
        for made in version.made:
            if made.model == iterated.NAME and made.training:
                seconds = sum(spent.cpu_seconds for spent in made.training)
                took = f"{duration(seconds)} ({made.training[0].device})"
                found[version.version] = (made.examples, took)
    return found


def page(took: Mapping[str, tuple[int, str]]) -> str:
    """Returns the page, a summary of all networks first.

    Args:
      took: as of `fits`.
    """
    names = sorted((path.stem for path in FOLDER.glob("*.json")), key=lambda name: int(name[1:]))
    networks = {name: pretrained(f"lensing/{name}") for name in names}
    rows = []
    for name, network in networks.items():
        rows.append(
            [
                f"[`{name}`](#{name})",
                ", ".join(network.task.inputs.channels),
                f"{network.max_examples}",
                _time(network, took.get(name)),
                _score(network),
                f"{network.marks.num_examples:,}",
            ]
        )
    head = ["network", "maps", "fitted to examples", "a fit takes", "ρ", "of examples"]
    sections = [_section(network, took.get(name)) for name, network in networks.items()]
    return "".join([_HEAD, table(head, rows), _FIT, *sections])


def _score(network: Pretrained) -> str:
    rho = network.marks.map_correlation
    return f"{float(rho.value):.4f} ± {float(rho.error):.4f}"


def _time(network: Pretrained, took: tuple[int, str] | None) -> str:
    """The time of the same fit; empty where only another was timed."""
    return took[1] if took is not None and took[0] == network.max_examples else ""


def _section(network: Pretrained, took: tuple[int, str] | None) -> str:
    lensing, marks, errors = network.task.lensing, network.marks, network.uncertainty
    time = _time(network, took)
    fitted = (
        f"**Fitted to** the first {network.max_examples} training examples of "
        f"`lensing/{lensing.name}` {network.task.dataset_version}, in {len(network.stages)} stages"
        f"{f'; a fit takes {time}' if time else ''}."
    )
    first = "first " if marks.num_examples < lensing.num_examples["test"] else ""
    scored = (
        f"**Marks** on the {first}{marks.num_examples:,} test examples"
        f"{', inside the mask' if is_masked(lensing) else ''}: ρ = {_score(network)}, by "
        f"bands below, spectra measured with {marks.spectra_measured_with}."
    )
    if errors is not None:
        widths = [f"{level:.0%} within ± {errors.pixel_half_width(level):.3g}" for level in LEVELS]
        scored += f" Of pixels, {' and '.join(widths)} of κ."
    limits = "\n".join(f"- {_escaped(sentence)}" for sentence in network.limits)
    edges = marks.ell_edges
    bands = [
        [f"{low:,.0f}–{high:,.0f}", f"{value:.4f} ± {error:.4f}"]
        for low, high, value, error in zip(edges, edges[1:], *marks.rho_ell, strict=False)
    ]
    scores = table(["L", "ρ_L"], bands)
    folded = f"<details>\n<summary>ρ_L by bands</summary>\n\n{scores}\n</details>"
    parts = [f"## {lensing.name}", f"**For** {_maps(lensing)}.", fitted, scored]
    return "\n" + "\n\n".join([*parts, f"{_NOT_OTHERS}\n\n{limits}", folded]) + "\n"


def _maps(lensing: LensingConfig) -> str:
    beam, noise = lensing.beam_arcmin, lensing.noise_uK_arcmin
    return (
        f"maps of {', '.join(lensing.channels)} in µK, {lensing.npix} × {lensing.npix} pixels of "
        f"{lensing.pixel_arcmin:.3g}′, with {f'a beam of {beam:g}′' if beam else 'no beam'} and "
        f"{f'noise of {noise:g} µK′' if noise else 'no noise'}"
        f"{', behind the mask of this version' if is_masked(lensing) else ''}"
    )


def _escaped(text: str) -> str:
    return re.sub(r"([_*])", r"\\\1", text)


if __name__ == "__main__":
    main()
