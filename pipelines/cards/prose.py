"""The uses of a dataset and their limits, from its config's fields."""

from __future__ import annotations

from collections.abc import Sequence

from lensing_tfds import realism
from lensing_tfds.configs import LensingConfig
from lensing_tfds.realism import follows_camb
from lensing_tfds.versions import VERSIONS
from pipelines.cards.measured import MeasuredReach


def purpose(config: LensingConfig) -> str:
    """Says what it is for."""
    if realism.is_step_of_a_study(config):
        aim = (
            "A step of a study, to see what a network can learn and from what: quick to build, "
            "and not a sky that a telescope could see."
        )
    else:
        aim = _survey(config)
    description = VERSIONS[config.name].description if config.name in VERSIONS else ""
    return f"{description} {aim}".strip()


def _survey(config: LensingConfig) -> str:
    """Says what skies that a telescope could see are for."""
    seen = [
        what
        for what, there in (
            ("through a beam", config.beam_arcmin),
            ("with foregrounds", config.foregrounds),
            ("with noise", config.noise_uK_arcmin),
            ("behind a mask", config.mask),
        )
        if there
    ]
    sky = "the lensed sky" if follows_camb(config) else "a lensed sky"
    aim = (
        "Train and compare estimators of κ on it: the statistics of its maps are those of "
        f"{sky}{', ' * bool(seen)}{_listed(seen)}."
    )
    if reason := realism.why_not_camb(config):
        aim += f" It is not quite the real one: {reason}."
    if config.unlensed_E:
        aim += " The unlensed E is a second label, for delensing."
    return aim


def not_for(config: LensingConfig) -> list[str]:
    """Says what it is not for: a line for each thing that a real sky does otherwise."""
    lines = [f"**{d.topic}.** {d.text}" for d in realism.departures(config)]
    return lines + [f"**{i.topic}.** {i.text}" for i in realism.idealisations(config)]


def caption(config: LensingConfig) -> str:
    """Says how to read the figure of an example."""
    text = "Colours are white at zero; each bar has its map's own range"
    if "Q" in config.channels:
        text += ", but Q, U and E share one"
    text += ". `lensed − unlensed`"
    if config.taper or config.mask is not None:
        text += f" (of unlensed behind the {'mask' if config.taper == 0 else 'taper'})"
    done = [
        what
        for what, there in (
            ("rotation", config.rotation),
            ("optical depth", config.optical_depth),
            ("lensing", True),
        )
        if there
    ]
    added = [
        what
        for what, there in (
            ("the foregrounds", config.foregrounds),
            ("the noise", config.noise_uK_arcmin),
        )
        if there
    ]
    return f"{text} is what {_listed(done)} did{', plus ' * bool(added)}{_listed(added)}."


def _listed(words: Sequence[str]) -> str:
    """Joins words: "a, b and c"."""
    *first, last = words or ("",)
    return f"{', '.join(first)} and {last}" if first else last


def measured(found: Sequence[MeasuredReach]) -> str:
    """Says of what the measured numbers are; nothing if there are none."""
    if not found:
        return ""
    bases = "; ".join(f"{reach.label}: {reach.basis}" for reach in found)
    return f"Measured: on the first {found[0].num_examples:,} test examples ({bases})."


def caveats(config: LensingConfig) -> list[str]:
    """Says how far the quadratic estimator's theoretical numbers can be believed."""
    lines = []
    if config.kappa_exaggeration_factor > 1:
        lines.append(
            f"Lensing that is {config.kappa_exaggeration_factor:g} times too strong is no small "
            "perturbation, which this theory takes it for: an indication only."
        )
    if config.fixed_unlensed:
        lines.append(
            "The theory does not know the unlensed sky; a network that has seen enough examples "
            "in effect does."
        )
    if realism.has_filled_modes(config):
        lines.append(
            f"Only modes inside the input band, l ≤ {config.T_lmax:,}, are used. The power above "
            "it, all of it made by lensing, can take a network far beyond these numbers."
        )
    elif realism.is_aliased(config):
        lines.append(
            "The aliased part of the maps is not in the theory: it can take a network beyond "
            "these numbers."
        )
    if not realism.is_periodic(config):
        lines.append("The theory is of a periodic patch: edges and taper cost more.")
    if not lines:
        lines.append("Theory counts N0 only: a real estimate is some per cent worse (N1).")
    return lines
