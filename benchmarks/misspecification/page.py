"""The page, in Markdown, made of what was measured and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from benchmarks.misspecification.made import Made
from benchmarks.misspecification.measured import OnSkies
from benchmarks.results.page import table
from estimators.resampling import Measured, compact
from lensing_tfds.configs import LensingConfig

SIGMAS = 3.0
"""Of a bias in a band that is named."""

_PAGE = """\
# Skies that an estimator was not made for

<!-- Written by python -m benchmarks.misspecification --page; edit nothing here. -->

An estimator of κ is made for a model of the sky: its filters are the model's spectra, its gains or
weights are fitted to the model's simulations. Here estimators made for one version are given the
skies of others, which are the same skies with one thing added: {descriptions}.

![Bias and excess of each estimator]({picture})

*Bias and excess in bands of L; where they are large the scale is linear within ±3 % only.*

## What was measured

With C the mean spectra of {number} test examples, of the same numbers on all skies,
R_L = C^κ̂κ / C^κκ the response of an estimate, and R_L° its response on {first}'s skies:

- **bias**: R_L / R_L° − 1, what a cross-correlation with κ, or with what follows κ, is off by if
  the estimator was calibrated on {first}'s skies;
- **excess**: (C^κ̂κ̂ / R_L°² − C^κκ) less the same on {first}'s skies, over C^κκ, what the spectrum
  of κ is off by if the noise bias of {first}'s skies is taken off;
- **ρ_L**: the correlation with κ, which no calibration changes;
- **coverage**: the share of modes that the estimator's own intervals of 68 % hold.

Errors are of a bootstrap over the numbers of examples. v16's CMB, κ and noise are v10's, bit for
bit; v17's noise is v10's, and its CMB and κ are the same but for less than a thousandth of their
correlation: differences have the errors of pairs. Of an estimator that was made for the skies that
it is given, its own simulations tell most of the excess, and the bias.

| estimator | made for | of |
| --- | --- | --- |
{basis}

```bash
{line}
```

## What was found

{sentences}

{sections}
"""


def render(
    found: Mapping[tuple[str, str], OnSkies],
    estimators: Sequence[Made],
    skies: Sequence[LensingConfig],
    edges: Sequence[float],
    number: int,
    line: str,
    picture: str,
) -> str:
    """Returns the page.

    Args:
      found: as of `measure`.
      estimators: as given to it.
      skies: the versions, the one that the others are departures from first.
      edges: of the bands of L.
      number: of examples.
      line: the command.
      picture: name of the picture's file, beside the page.
    """
    first, *others = skies
    return _PAGE.format(
        descriptions="; ".join(f"{one.name}, “{one.description.rstrip('.')}”" for one in skies),
        picture=picture,
        number=number,
        first=first.name,
        basis="\n".join(
            f"| {made.estimator.label} | {made.home.name} | {made.basis} |" for made in estimators
        ),
        line=line,
        sentences="\n".join(
            sentence(found, made, one.name, edges) for one in others for made in estimators
        ),
        sections="\n".join(
            _section(found, estimators, one.name, edges, one != first) for one in skies
        ),
    )


def sentence(
    found: Mapping[tuple[str, str], OnSkies], made: Made, version: str, edges: Sequence[float]
) -> str:
    """Says how many bands are biased, and where most."""
    scores = found[version, made.estimator.name]
    told = []
    for name, measured in (("biased", scores.bias), ("in excess", scores.excess)):
        ratio = np.abs(measured.value) / measured.error
        over = ratio > SIGMAS
        if not over.any():
            told.append(f"{name} by {SIGMAS:g} σ in no band")
            continue
        worst = int(np.argmax(np.where(over, np.abs(measured.value), 0)))
        told.append(
            f"{name} by {SIGMAS:g} σ in {over.sum()} of {len(over)} bands, by "
            f"{_percent(measured, worst)} at L = {_names(edges)[worst]}"
        )
    label = f"{made.estimator.label}, made for {made.home.name}"
    return f"- **{label}, on {version}**: {'; '.join(told)}."


def _section(
    found: Mapping[tuple[str, str], OnSkies],
    estimators: Sequence[Made],
    version: str,
    edges: Sequence[float],
    differs: bool,
) -> str:
    """The tables of a version's skies; of bias and excess too where it differs from the first."""
    head = ["estimator", "made for", *_names(edges)]
    tables: dict[str, tuple[str, int]] = {}
    if differs:
        tables |= {"Bias, per cent": ("bias", 100), "Excess, per cent of C^κκ": ("excess", 100)}
    tables |= {"ρ_L": ("rho", 1), "Coverage, per cent": ("coverage", 100)}
    parts = [f"## On {version}\n"]
    for title, (name, factor) in tables.items():
        rows = []
        for made in estimators:
            measured = getattr(found[version, made.estimator.name], name)
            if measured is not None:
                pairs = zip(factor * measured.value, factor * measured.error, strict=True)
                cells = [compact(float(value), float(error)) for value, error in pairs]
                rows.append([made.estimator.label, made.home.name, *cells])
        parts.append(f"{title}:\n\n{table(head, rows)}")
    return "\n".join(parts)


def _percent(measured: Measured, band: int) -> str:
    value, error = (100 * float(values[band]) for values in measured)
    return f"{value:+.2f} ± {error:.2f} %"


def _names(edges: Sequence[float]) -> list[str]:
    return [f"{low:,.0f}–{high:,.0f}" for low, high in pairwise(edges)]
