"""Band powers as text: a table with a row a band, for programs (CSV) and for people."""

from __future__ import annotations

import csv
import io

import numpy as np

from estimators.bandpowers.amplitude import AMPLITUDES, LIMITS
from estimators.bandpowers.measurement import BandPowers
from estimators.bandpowers.sky_spectra import AUTO, CROSS, TRACER_CROSS

COLUMNS = (
    *("ell_min", "ell_max", "ell", "theory", "raw", "n0", "n1", "monte_carlo"),
    *("auto", "auto_error", "cross", "cross_error", "tracer", "tracer_error"),
    *("response_0.8", "response_1.0", "response_1.2"),
    *("auto_0.8", "auto_1.0", "auto_1.2"),
)
"""Of the CSV: multipoles; C_L^κκ of theory, of κ̂κ̂ before and after what is subtracted, of κ̂κ and
κ̂g; ⟨κ̂κ⟩/⟨κκ⟩ and the mean of `auto` where C_L^κκ is 0.8, 1 and 1.2 times as large."""


def as_csv(powers: BandPowers) -> str:
    """Returns all numbers of all bands, a line each."""
    bands, biases = powers.bands, powers.biases
    nothing = np.full((len(AMPLITUDES), bands.num), np.nan)
    responses = nothing if powers.responses is None else powers.responses
    means = nothing if powers.response is None else powers.response.means
    columns = [bands.edges[:-1], bands.edges[1:], biases.windows @ bands.rings.ell]
    columns += [powers.expected, powers.raw, powers.noise, biases.in_bands(biases.n1)]
    columns += [powers.correction]
    for kind in (AUTO, CROSS, TRACER_CROSS):
        columns += [powers.values[kind], powers.errors(kind)]
    columns += [*responses, *means]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([f"{value:.8g}" for value in row] for row in zip(*columns, strict=True))
    return text.getvalue()


def as_markdown(powers: BandPowers) -> str:
    """Returns what is subtracted and what is left, in units of theory's C_L^κκ."""
    theory, biases = powers.expected, powers.biases
    noise = "RDN0" if biases.quadratic else "noise"
    lines = [
        f"| L | 10⁸ C_L | raw | {noise} | N1 | MC | κ̂κ̂ | κ̂κ | κ̂g | dĈ/dA | A_L |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    slope = None if powers.response is None else powers.response.slope()
    n1 = biases.in_bands(biases.n1)
    for b, label in enumerate(powers.bands.labels):
        c = theory[b]
        cells = [label.replace("-", "–"), f"{1e8 * c:.3g}", f"{powers.raw[b] / c:.3f}"]
        cells += [f"{x[b] / c:.3f}" for x in (powers.noise, n1, powers.correction)]
        for kind in (AUTO, CROSS, TRACER_CROSS):
            cells.append(f"{powers.values[kind][b] / c:.3f} ± {powers.errors(kind)[b] / c:.3f}")
        if slope is None:
            cells += ["", ""]
        else:
            amplitude = 1 + (powers.values[AUTO][b] - c) / slope[b]
            error = powers.errors(AUTO)[b] / abs(slope[b])
            cells += [f"{slope[b] / c:.3f}", f"{amplitude:.3f} ± {error:.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def summary(powers: BandPowers) -> str:
    """Returns the table and what was fitted, for a terminal."""
    lines = [as_markdown(powers), "", *basis(powers)]
    return "\n".join(lines)


def basis(powers: BandPowers) -> list[str]:
    """Returns sentences on how the band powers were made, and what A_L they have."""
    covariance, bands = powers.auto_covariance, powers.bands
    lines = [
        f"{powers.name} on {powers.num_data} skies of {powers.dataset}, "
        f"{covariance.simulations} simulations, {bands.num} bands"
    ]
    shrunk = f"correlations shrunk by {covariance.shrinkage:.2f}" if covariance.shrinkage else ""
    lines.append(
        f"covariance: {shrunk or 'not shrunk'}, its inverse times {covariance.hartlap:.3f}"
    )
    if powers.without_rdn0 is not None:
        ratio = powers.without_rdn0.errors / powers.errors(AUTO)
        lines.append(
            "realisation-dependent N0: errors without it "
            f"{ratio.min():.2f} to {ratio.max():.2f} times as large, correlations of bands "
            f"{_mean_correlation(powers.without_rdn0.correlations):+.3f} on average, with it "
            f"{_mean_correlation(powers.auto_covariance.correlations):+.3f}"
        )
    if powers.responses is not None:
        change = powers.responses[[0, 2]] / powers.responses[1] - 1
        lines.append(
            f"response where C_L is 0.8 times as large: {change[0].min():+.1%} to "
            f"{change[0].max():+.1%}, 1.2 times: {change[1].min():+.1%} to {change[1].max():+.1%}"
        )
    if (amplitude := powers.amplitude) is not None and amplitude.at_limit:
        lines.append(
            f"A_L: not measured, χ² still falls where the search ends, at {amplitude.value:.0f} of "
            f"{LIMITS[0]:g} to {LIMITS[1]:g}"
        )
    elif amplitude is not None and not amplitude.error < 1:
        lines.append("A_L: not measured, its error is above 1")
    elif amplitude is not None:
        lines.append(
            f"A_L = {amplitude.value:.4f} ± {amplitude.error:.4f}, χ² = {amplitude.chi2:.1f} for "
            f"{amplitude.degrees} degrees of freedom (p = {amplitude.probability:.2f})"
        )
    else:
        lines.append("A_L: not fitted, there are no simulations with other spectra of κ")
    return lines


def _mean_correlation(matrix: np.ndarray) -> float:
    others = ~np.eye(len(matrix), dtype=bool)
    return float(matrix[others].mean()) if len(matrix) > 1 else 0.0
