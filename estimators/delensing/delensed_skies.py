"""B band powers of simulated skies with tensors and without, delensed with quadratic estimates.

Each sky is seen three times, without B modes of tensors, with those of some r, and with the same
times −1; and all is done anew each time: the estimate of κ, the template and the subtraction. So
what delensing takes of the tensors is the difference of band powers, free of the sky's own scatter
and of the chance correlation of tensors and lensing. The tensors are B alone, and are not lensed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from estimators.delensing.split_b_modes import SHARED, SPLIT, filtered
from estimators.lensing_template import LensingTemplate
from estimators.quadratic.fields import fields_of
from estimators.quadratic.observation import Observation
from lensing_tfds.configs import LENSED, LensingConfig
from lensing_tfds.cosmology import kappa_power, spectra_of
from lensing_tfds.simulation import Simulator
from lensing_tfds.sky import instrument
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.gaussian_fields import GaussianField

UNDELENSED = "not_delensed"


@dataclasses.dataclass(frozen=True, eq=False)
class DelensedSkies:
    """Band powers of the B modes left, observed with noise, beam taken out, µK².

    Attributes:
      without: of skies without tensors, by how they were delensed: (skies, bands).
      tensors: what tensors add to them.
      own: the tensors' own, (skies, bands).
    """

    without: Mapping[str, NDArray[np.float64]]
    tensors: Mapping[str, NDArray[np.float64]]
    own: NDArray[np.float64]


def delensed_skies(
    config: LensingConfig,
    tensor_power: NDArray[np.float64],
    bands: Bins,
    B_lmin: float,
    skies: int,
    generator: np.random.Generator,
) -> DelensedSkies:
    """Simulates skies and delenses them: not at all, with κ̂ from all B, and from B from a cut on.

    Args:
      config: a periodic version with Q and U.
      tensor_power: C_BB of the tensors, r times that of r = 1, half plane of the patch, µK².
      bands: of B's multipoles.
      B_lmin: the cut, where the bands end.
      skies: how many.
      generator: draws the tensors.

    Raises:
      LensingError: no B mode is left above the cut.
    """
    theory, sky = spectra_of(config), config.sky
    power = kappa_power(config, theory, sky.ell)
    estimators = {
        name: filtered(config, theory, power, lowest)
        for name, lowest in ((SHARED, 0.0), (SPLIT, B_lmin))
    }
    template = LensingTemplate(Observation.of(config, theory))
    beam = instrument.beam(sky.ell, config.beam_arcmin)
    field = GaussianField(tensor_power / sky.area)
    own: list[NDArray[np.float64]] = []
    without: dict[str, list[NDArray[np.float64]]] = {n: [] for n in (UNDELENSED, *estimators)}
    added: dict[str, list[NDArray[np.float64]]] = {n: [] for n in (UNDELENSED, *estimators)}

    def powers(modes: NDArray[np.complexfloating]) -> NDArray[np.float64]:
        return bands.mean(np.abs(modes).astype(np.float64) ** 2) * sky.area

    deconvolve = np.where(bands.index >= 0, 1 / beam, 0.0).astype(complex)

    def left(fields: Mapping[str, NDArray]) -> dict[str, NDArray[np.float64]]:
        b = deconvolve * fields["B"]
        found = {UNDELENSED: powers(b)}
        for name, (combined, wiener) in estimators.items():
            kappa = (combined.kappa(fields) * wiener).astype(fields["E"].dtype)
            found[name] = powers(b - template.polarization(fields["E"], kappa)[1])
        return found

    for block in Simulator(config, "test").examples(range(skies)):
        seen = fields_of(block[LENSED], config.channels, sky)
        numbers = generator.standard_normal((len(seen["B"]), field.size), np.float32)
        primordial = field.modes(numbers)
        own.extend(powers(primordial))
        observed = primordial * beam.astype(np.float32)
        none, plus, minus = (left({**seen, "B": seen["B"] + s * observed}) for s in (0, 1, -1))
        for name, alone in none.items():
            without[name].extend(alone)
            added[name].extend((plus[name] + minus[name]) / 2 - alone)
    return DelensedSkies(
        {name: np.array(values) for name, values in without.items()},
        {name: np.array(values) for name, values in added.items()},
        np.array(own),
    )
