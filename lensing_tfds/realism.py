"""Properties of a config's maps: the one account that every page and every test quotes.

A real lensed sky has all its modes lensed by all the modes of κ, once, and is seen with noise. A
config may depart from that on purpose. Each `Departure` says how, in a sentence for people and, if
it makes the lensed spectra other than CAMB's, in a clause. What all configs leave out is in
`idealisations`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from lensing_tfds.config_fields.mask import SIGNAL, Mask
from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky import spectra
from lensing_tfds.sky.flat_sky import FlatSky

FINE_ARCMIN = 1.25
"""Pixels on which lensing moves next to no power across the Nyquist multipole: from 8,640 on the
CMB has next to none."""


class Departure(NamedTuple):
    """One way in which maps are not those of a real lensed sky.

    Attributes:
      topic: what a network trained on them does not learn, or learns wrongly.
      text: how they are made, a sentence or two.
      clause: the same in short, where it changes the lensed maps' spectra; else empty.
    """

    topic: str
    text: str
    clause: str = ""


class Idealisation(NamedTuple):
    """A way in which every config's sky is simpler than the real one.

    Attributes:
      topic: as of a `Departure`.
      text: what is left out, a sentence.
      clauses: the same in short.
    """

    topic: str
    text: str
    clauses: tuple[str, ...]


def is_aliased(config: LensingConfig) -> bool:
    """Says whether lensing moves power across the Nyquist multipole of the pixels it is done on."""
    return config.oversampling == 1 or math.degrees(config.internal.pixel) * 60 > FINE_ARCMIN


def is_cut(config: LensingConfig) -> bool:
    """Says whether `T_lmax` leaves modes of the sky that is lensed empty."""
    return config.T_lmax is not None and config.T_lmax < _highest(config.internal)


def has_filled_modes(config: LensingConfig) -> bool:
    """Says whether the maps have modes, above `T_lmax`, that lensing alone has filled."""
    return config.T_lmax is not None and config.T_lmax < _highest(config.sky)


def is_kappa_cut(config: LensingConfig) -> bool:
    """Says whether `kappa_lmax` leaves modes of κ empty."""
    return config.kappa_lmax is not None and config.kappa_lmax < _highest(config.internal)


def has_excess_power(config: LensingConfig) -> bool:
    """Says whether the maps carry power that those of a real sky do not."""
    return has_filled_modes(config) or is_aliased(config)


def is_step_of_a_study(config: LensingConfig) -> bool:
    """Says whether maps are made to see what a network can learn: no telescope could see them."""
    exaggerated = config.kappa_exaggeration_factor != 1
    return config.fixed_unlensed or exaggerated or is_cut(config) or is_aliased(config)


def is_periodic(config: LensingConfig) -> bool:
    """Says whether the lensed map goes on at the opposite edge: not cut out, tapered or masked."""
    return config.padding == 1 and config.taper == 0 and config.mask is None


def b_is_lensings(config: LensingConfig) -> bool:
    """Says whether all B of the sky is made by lensing, and mixed with E by no edge."""
    modulated = config.rotation is not None or config.optical_depth is not None
    return "Q" in config.channels and is_periodic(config) and not (config.tensors or modulated)


def has_mean_field(config: LensingConfig) -> bool:
    """Says whether quadratic estimates have a mean: of edges, uneven noise, or one unlensed sky."""
    return config.fixed_unlensed or config.hits is not None or not is_periodic(config)


def why_not_camb(config: LensingConfig) -> str:
    """Says why the lensed maps do not have CAMB's lensed spectra; empty if they do."""
    return ", ".join(departure.clause for departure in departures(config) if departure.clause)


def follows_camb(config: LensingConfig) -> bool:
    """Says whether the lensed maps have CAMB's lensed spectra."""
    return not why_not_camb(config)


def estimator_theory_holds(config: LensingConfig) -> bool:
    """Says whether theory's spectra make a quadratic estimator's weights, response and noise right.

    They must be those of the maps; without noise there is no end to the modes used, and a patch
    with edges or uneven noise has a mean field.
    """
    even = is_periodic(config) and config.hits is None
    return follows_camb(config) and even and config.noise_uK_arcmin > 0


def departures(config: LensingConfig) -> tuple[Departure, ...]:
    """Returns all ways in which a config's maps depart from a real sky's, the gravest first."""
    found = []
    if config.fixed_unlensed:
        found.append(
            Departure(
                "Generalisation to other skies",
                "Every example lenses the same unlensed sky, which a network can learn by heart; "
                "on a real sky it is unknown.",
                "all examples have one unlensed sky",
            )
        )
    if config.kappa_exaggeration_factor != 1:
        factor = f"{config.kappa_exaggeration_factor:g} times"
        found.append(
            Departure(
                "The strength of lensing",
                f"κ is exaggerated {factor}, and the exaggerated κ is the truth here.",
                f"κ is {factor} as large",
            )
        )
    if is_cut(config):
        found.append(_cut(config))
    if is_aliased(config):
        found.append(_aliased(config))
    if is_kappa_cut(config):
        found.append(
            Departure(
                "Small structures",
                f"κ has no power above L = {config.kappa_lmax:,}.",
                f"kappa_lmax {config.kappa_lmax} cuts κ",
            )
        )
    if config.kappa_files is not None:
        number = sum(file.maps for file in config.kappa_files.of("train"))
        found.append(
            Departure(
                "What κ is",
                f"κ is that of {number:,} maps from files, again and again in the training split: "
                "its statistics are theirs.",
                "κ is that of files",
            )
        )
    has = {"beam": config.beam_arcmin, "noise": config.noise_uK_arcmin}
    if missing := [f"no {name}" for name, value in has.items() if not value]:
        text = f"There is {' and '.join(missing)}."
        if "Q" in config.channels and not config.noise_uK_arcmin:
            text += (
                " Without noise, the B-mode polarization, which lensing alone has made here, in "
                "principle gives κ away exactly."
            )
        found.append(Departure("What a telescope sees", text))
    found += _modulated(config)
    if config.taper > 0:
        found.append(
            Departure(
                "The edges",
                f"Within {config.taper:g}° of the edges the lensed map fades to zero and true κ "
                "does not: errors are larger there, by construction.",
            )
        )
    if config.mask is not None:
        found.append(Departure("Where the mask is", _masked(config.mask)))
    return tuple(found)


def idealisations(config: LensingConfig) -> tuple[Idealisation, ...]:
    """Returns what the config's sky leaves out, as do all configs'."""
    instrument = [
        clause
        for clause, holds in (
            ("the beam is known", config.beam_arcmin > 0),
            ("the noise is white", config.noise_uK_arcmin > 0 and config.one_over_f is None),
            ("the noise's spectrum is known", config.one_over_f is not None),
        )
        if holds
    ]
    noise = ""
    if config.one_over_f is not None:
        noise = "; noise has 1/f, the same in all directions, and no scan pattern"
    elif config.noise_uK_arcmin:
        noise = "; noise is white, with no 1/f and no scan pattern"
    edges = " and periodic: a real survey has edges and masks" if config.padding == 1 else ""
    if edges and not is_periodic(config):
        edges = ", and the sky behind its edges periodic"
    flat = ("the patch is periodic",) * (config.padding == 1) + ("the sky is flat",)
    foregrounds, clause = _foregrounds(config)
    found = [
        _kappa(config),
        Idealisation(
            "Foregrounds and instruments", f"{foregrounds}{noise}.", (*instrument, clause)
        ),
        Idealisation("Large scales", f"The patch is flat{edges}.", flat),
    ]
    if "Q" in config.channels and config.tensors is None:
        found.append(
            Idealisation(
                "Primordial B modes",
                "All B is made by lensing: there are no tensors.",
                ("there are no tensors",),
            )
        )
    return tuple(found)


def _kappa(config: LensingConfig) -> Idealisation:
    """Says what κ's distribution leaves out."""
    kappa = config.kappa
    if config.kappa_files is not None:
        text = "κ is that of files, and not correlated with T or E (no ISW–κ correlation)."
        return Idealisation("Non-Gaussian κ", text, ("κ is that of files",))
    if kappa is None or not kappa.skewness:
        text = (
            "κ is a Gaussian field: it has the non-linear power spectrum, but no bispectrum, no "
            "clusters, no post-Born corrections"
        )
        clause = "κ is Gaussian"
    else:
        text = (
            f"κ is a lognormal field with a skewness of {kappa.skewness:g} when smoothed by "
            f"{kappa.smoothing_arcmin:g}′: its bispectrum has another shape than that of cosmic "
            "structure, and it has no clusters"
        )
        clause = "κ is lognormal"
    if kappa is None or not kappa.correlated:
        text += "; and it is not correlated with T or E (no ISW–κ correlation)"
    return Idealisation("Non-Gaussian κ", f"{text}.", (clause,))


def _foregrounds(config: LensingConfig) -> tuple[str, str]:
    """Says what is left out of foregrounds, in a sentence without its end and in a clause."""
    if config.foregrounds is None:
        return "No dust, no point sources, no SZ effect", "there are no foregrounds"
    text = (
        "Foregrounds are those of one frequency, unpolarized and not lensed; sources are placed at "
        "random, clustered galaxies and the thermal SZ effect are lognormal fields with no "
        "profiles of clusters, the kinetic SZ effect is Gaussian; there is no dust of the Galaxy"
    )
    return text, "foregrounds are simple random fields"


def _modulated(config: LensingConfig) -> list[Departure]:
    """Returns what rotation and optical depth do to the maps."""
    found = []
    if config.rotation is not None:
        found.append(
            Departure(
                "A sky without rotation",
                "Polarization is turned by a random field of angles, of scale-invariant power "
                f"{config.rotation.amplitude:g} rad², before it is lensed: B is not lensing's "
                "alone.",
                "polarization is turned",
            )
        )
    if config.optical_depth is not None:
        found.append(
            Departure(
                "A sky without patchy reionization",
                "The sky is multiplied by e^{−τ} before it is lensed, τ random with an rms of "
                f"{config.optical_depth.rms:g} in bubbles of one size; the new polarization that "
                "real patches make is left out.",
                "the sky is dimmed by patches",
            )
        )
    return found


def _masked(mask: Mask) -> str:
    """Says what a mask takes away."""
    zeros = [f"within {mask.border:g}° of the edges"] if mask.border else []
    if mask.holes:
        zeros.append(f"in {mask.holes} holes of {mask.hole_radius_arcmin:g}′ around sources")
    what = "signal" if mask.multiplies == SIGNAL else "lensed map"
    parts = []
    if zeros:
        parts.append(f"the {what} is zero {' and '.join(zeros)}")
    if mask.edge:
        parts.append(
            f"it rises by a cosine over {mask.edge:g}°"
            if zeros
            else f"the {what} rises from zero at the edges by a cosine over {mask.edge:g}°"
        )
    text = ", and ".join(parts)
    return f"{text[0].upper()}{text[1:]}; true κ does not: errors are larger there."


def _cut(config: LensingConfig) -> Departure:
    sky = "temperature" if config.stokes == "T" else "sky"
    clause = f"T_lmax {config.T_lmax} cuts the unlensed sky"
    if not has_filled_modes(config):
        text = (
            f"The unlensed {sky} stops at T_lmax = {config.T_lmax}: what lensing moves down from "
            "above it, in a real sky, is missing."
        )
        return Departure("Small scales", text, clause)
    noise = "" if config.noise_uK_arcmin else ", free of noise"
    text = (
        f"The unlensed {sky} stops at T_lmax = {config.T_lmax}: what lies above it was put there "
        f"by lensing alone{noise}, a signal that no real sky offers."
    )
    return Departure("What high multipoles tell", text, clause)


def _aliased(config: LensingConfig) -> Departure:
    pixel = math.degrees(config.internal.pixel) * 60
    if config.oversampling == 1:
        grid, clause = "the grid of the maps", "it is lensed on its own pixels (oversampling 1)"
    else:
        grid, clause = f"{pixel:.3g}′ pixels", f"it is lensed on {pixel:.3g}′ pixels"
    text = (
        f"The sky is lensed on {grid}: power that lensing moves across that grid's Nyquist "
        f"multipole, {config.internal.nyquist:.0f}, comes back aliased, a signal that no real sky "
        "offers."
    )
    return Departure("What aliased modes tell", text, clause)


def _highest(sky: FlatSky) -> float:
    """Multipole of the patch's shortest wave, in the corner of its plane; the table's end at most.

    That of the table, because no mode beyond it has power in any case.
    """
    return min(math.sqrt(2) * (sky.npix // 2) * sky.fundamental, spectra.LMAX)
