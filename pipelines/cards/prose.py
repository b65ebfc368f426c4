"""What a dataset is good for, and what not, said from its config's fields."""

from __future__ import annotations

from lensing_tfds.configs import LensingConfig
from lensing_tfds.versions import VERSIONS


def is_survey(config: LensingConfig) -> bool:
    """Whether the lensed maps have the statistics of the lensed sky, through a telescope."""
    return (
        config.oversampling > 1
        and config.kappa_exaggeration_factor == 1
        and config.T_lmax is None
        and config.kappa_lmax is None
        and not config.fixed_unlensed
    )


def purpose(config: LensingConfig) -> str:
    """Says what it is for."""
    if is_survey(config):
        aim = (
            "Train and compare estimators of κ on it: the statistics of its maps are those of the "
            "lensed sky, through a beam and with noise."
        )
        if config.unlensed_E:
            aim += " The unlensed E is a second label, for delensing."
    else:
        aim = (
            "A step of a study, to see what a network can learn and from what: quick to build, "
            "and not a sky that a telescope could see."
        )
    description = VERSIONS[config.name].description if config.name in VERSIONS else ""
    return f"{description} {aim}".strip()


def not_for(config: LensingConfig) -> list[str]:
    """Says what it is not for: a line for each thing that a real sky does otherwise."""
    lines = []
    if config.fixed_unlensed:
        lines.append(
            "**Generalisation to other skies.** All examples lens one unlensed sky, which a "
            "network can learn by heart."
        )
    if config.kappa_exaggeration_factor != 1:
        lines.append(
            "**The strength of lensing.** κ, label and deflection, is "
            f"{config.kappa_exaggeration_factor:g} times as large as in the sky."
        )
    if config.T_lmax is not None and config.T_lmax < config.sky.nyquist:
        noise = "" if config.noise_uK_arcmin else ", and no noise hides it"
        lines.append(
            f"**What high multipoles tell.** All power above l = {config.T_lmax:,} is made by "
            f"lensing{noise}: it tells a network more about κ than any real sky does."
        )
    elif config.oversampling == 1:
        lines.append(
            "**What high multipoles tell.** It is lensed on its own pixels, so what lensing moves "
            f"beyond l = {config.sky.nyquist:,.0f} comes back aliased, and tells a network about "
            "κ what a real sky does not."
        )
    if config.kappa_lmax is not None:
        lines.append(f"**Small structures.** κ has no power above L = {config.kappa_lmax:,}.")
    missing = [
        what
        for what, absent in (
            ("beam", not config.beam_arcmin),
            ("noise", not config.noise_uK_arcmin),
        )
        if absent
    ]
    if missing:
        lines.append(f"**What a telescope sees.** There is no {' and no '.join(missing)}.")
    lines.append(
        "**Non-Gaussian κ.** κ is a Gaussian field: it has the non-linear power spectrum, but no "
        "bispectrum, no clusters, no post-Born corrections; and it is not correlated with T or E "
        "(no ISW–κ correlation)."
    )
    lines.append(
        "**Foregrounds and instruments.** No dust, no point sources, no SZ effect"
        + ("; noise is white, with no 1/f and no scan pattern." if config.noise_uK_arcmin else ".")
    )
    edges = "" if config.padding > 1 else " and periodic: a real survey has edges and masks"
    lines.append(f"**Large scales.** The patch is flat{edges}.")
    if "Q" in config.channels:
        lines.append("**Primordial B modes.** All B is made by lensing: there are no tensors.")
    return lines


def caption(config: LensingConfig) -> str:
    """Says how to read the figure of an example."""
    text = "Colours are white at zero; each bar has its map's own range"
    if "Q" in config.channels:
        text += ", but Q, U and E share one"
    text += ". `lensed − unlensed` is what lensing did"
    return text + (", plus the noise." if config.noise_uK_arcmin else ".")


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
    if config.T_lmax is not None:
        lines.append(
            f"Only modes inside the input band, l ≤ {config.T_lmax:,}, are used. The power above "
            "it, all of it made by lensing, can take a network far beyond these numbers."
        )
    elif config.oversampling == 1:
        lines.append(
            "The aliased part of the maps is not in the theory: it can take a network beyond "
            "these numbers."
        )
    if config.padding > 1 or config.taper:
        lines.append("The theory is of a periodic patch: edges and taper cost more.")
    if not lines:
        lines.append(
            "N0 only: a real estimate is some per cent worse (N1). With low noise, iterated "
            "estimators and networks can do better, above all in polarization."
        )
    return lines
