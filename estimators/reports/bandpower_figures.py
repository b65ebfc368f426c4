"""Figures of band powers of κ: points on theory with residuals, and the biases on data."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from estimators.bandpowers.measurement import BandPowers
from estimators.bandpowers.sky_spectra import AUTO, CROSS, TRACER_CROSS
from estimators.reports import style
from estimators.reports.style import series

_LABELS = {AUTO: "κ̂κ̂, debiased", CROSS: "κ̂κ", TRACER_CROSS: "κ̂ × tracer"}


@style.styled
def band_powers(powers: BandPowers) -> Figure:
    """Draws band powers on theory, and their residuals in standard deviations."""
    figure = Figure(style.WIDE[:1] + (6.4,), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.3))
    edges = powers.bands.edges
    ell = powers.biases.windows @ powers.bands.rings.ell
    rings = slice(powers.bands.bounds[0], powers.bands.bounds[-1])
    above.plot(
        powers.bands.rings.ell[rings], 1e7 * powers.biases.theory[rings], "k", lw=1, label="theory"
    )
    for number, kind in enumerate((AUTO, CROSS, TRACER_CROSS)):
        look, shift = series(number), style.spread(3)[number]
        values, errors = powers.values[kind], powers.errors(kind)
        width = np.stack([ell - edges[:-1], edges[1:] - ell]) if kind == AUTO else None
        above.errorbar(
            ell * shift,
            1e7 * values,
            1e7 * errors,
            width,
            fmt=look.marker,
            color=look.colour,
            label=_LABELS[kind],
        )
        below.errorbar(
            ell * shift, (values - powers.expected) / errors, 1, fmt=look.marker, color=look.colour
        )
    above.set(xscale="log", yscale="log", ylabel="10⁷ C_L")
    low = powers.expected.min()
    above.set_ylim(1e7 * low / 5, 1e7 * powers.expected.max() * 3)
    above.legend()
    above.set_title(f"{style.literal(powers.name)}, {powers.num_data} skies of {powers.dataset}")
    below.axhline(0, color="k", lw=1)
    below.axhspan(-1, 1, color=style.PALE)
    below.set(xlabel="L", ylabel="(Ĉ − C) / σ", ylim=(-4.5, 4.5))
    return figure


@style.styled
def biases(powers: BandPowers) -> Figure:
    """Draws what is subtracted from the raw spectrum, beside theory, and the response to A."""
    figure = Figure(style.WIDE, layout="constrained")
    left, right = figure.subplots(1, 2)
    ell, found = powers.biases.windows @ powers.bands.rings.ell, powers.biases
    curves = {
        "raw": powers.raw,
        "RDN0" if found.quadratic else "noise bias": powers.noise,
        "N1": found.in_bands(found.n1),
        "|Monte-Carlo correction|": np.abs(powers.correction),
    }
    left.plot(ell, 1e7 * powers.expected, "k", lw=2.5, label="theory")
    for number, (label, values) in enumerate(curves.items()):
        if np.any(values):
            look = series(number)
            left.plot(ell, 1e7 * values, f"{look.marker}-", color=look.colour, label=label, lw=1)
    left.set(xscale="log", yscale="log", xlabel="L", ylabel="10⁷ C_L", title="What is subtracted")
    left.legend()
    right.axhline(1, color="k", lw=1)
    if powers.response is not None and powers.responses is not None:
        slope = powers.response.slope() / powers.expected
        right.plot(ell, slope, "o-", color=style.VERMILION, label="dĈ/dA / C")
        for amplitude, values, line in zip((0.8, 1.2), powers.responses[[0, 2]], "sv", strict=True):
            label = f"response at A = {amplitude} / at 1"
            right.plot(ell, values / powers.responses[1], f"{line}-", label=label, lw=1)
        right.legend()
    right.set(xscale="log", xlabel="L", title="Dependence on the spectrum of κ")
    return figure
