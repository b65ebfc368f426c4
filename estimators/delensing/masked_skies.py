"""B band powers of masked skies with tensors and without, delensed inside the mask.

E and B are filtered together (`filtering.wiener_filter`), so that the mask's edges make no B of E,
as they do of maps that are only multiplied by it (Bunn & Wandelt 2017, arXiv:1610.03345). A
template is taken off the maps as they were observed, mask and all, and what is left is filtered
with the B that the forecast leaves, as in a later stage of the iterated estimator.

Tensors are the config's own, lensed as its sky is. Each sky is seen as of `delensed_skies`: without
them, with them, and with the same times −1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from estimators.delensing.delensed_skies import UNDELENSED, DelensedSkies
from estimators.delensing.split_b_modes import SHARED, SPLIT
from estimators.iterated.filtered_template import ByFilteredTemplate
from estimators.iterated.iterated_estimator import Combination, Stage, rings_of
from estimators.iterated.ring_regression import RingRegression
from estimators.quadratic.legs import as_legs
from lensing_tfds.config_fields.tensors import Tensors
from lensing_tfds.configs import KAPPA, LENSED, LensingConfig
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import Simulator
from lensing_tfds.sky import instrument
from lensing_tfds.sky.binning import Bins

Fields = Mapping[str, NDArray]

TOLERANCE = 1e-4
"""Of the filter's residual, most of which is E: at that of estimates of κ, 3e-3, B of the largest
scales is not that of the equation yet, and depends on where the filter began."""

_NO_TENSORS = Tensors(r_min=0.0, r_max=1e-12)


def masked_delensed_skies(
    config: LensingConfig, ratio: float, bands: Bins, B_lmin: float, skies: int, fitted: int
) -> DelensedSkies:
    """Simulates skies and delenses them: not at all, with κ̂ from all B, and from B from a cut on.

    Args:
      config: a version with a mask and tensors; their r is not used.
      ratio: r of the tensors.
      bands: of B's multipoles.
      B_lmin: the cut, where the bands end.
      skies: of the test split, how many.
      fitted: of the training split, that say the gains and the mean field of κ̂.

    Returns:
      Band powers inside the mask, of which `own` is what the tensors add without delensing.

    Raises:
      LensingError: the config has no tensors, or maps that are not filtered for a mask.
    """
    if config.tensors is None or config.mask is None:
        raise LensingError(f"{config.name!r} has no tensors or no mask, as v13 has")
    without_tensors = dataclasses.replace(config, tensors=_NO_TENSORS)
    with_tensors = dataclasses.replace(config, tensors=Tensors(r_min=ratio, r_max=ratio))
    method = dataclasses.replace(
        ByFilteredTemplate.of(without_tensors, spectra_of(config)), tolerance=TOLERANCE
    )
    estimates = _Estimates.fitted(method, without_tensors, B_lmin, fitted)
    later, sky, window = method.features(Stage(np.zeros(0)), 1), config.sky, method.patch.interior
    beam = instrument.beam(sky.ell, config.beam_arcmin)
    deconvolve = np.where(bands.index >= 0, 1 / beam, 0.0)

    def powers(modes: NDArray) -> NDArray[np.float64]:
        inside = sky.to_modes(window * sky.to_map(deconvolve * modes.astype(complex)))
        return bands.mean(np.abs(inside) ** 2) * sky.area / np.mean(window**2)

    def left(maps: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
        fields = method.fields({LENSED: maps})
        legs = as_legs(fields)
        kappas = estimates.kappas(fields)
        kappas[UNDELENSED] = np.zeros_like(kappas[SHARED])
        return {name: powers(later.residual(legs, kappa)["B"]) for name, kappa in kappas.items()}

    found: dict[str, list[NDArray[np.float64]]] = {}
    added: dict[str, list[NDArray[np.float64]]] = {}
    blocks = zip(
        *(Simulator(c, "test").examples(range(skies)) for c in (without_tensors, with_tensors)),
        strict=True,
    )
    for none, some in blocks:
        # Maps are linear in the tensors: with these times −1 no chance correlation is left.
        minus = 2 * none[LENSED] - some[LENSED]
        alone, *both = (left(maps) for maps in (none[LENSED], some[LENSED], minus))
        for name, power in alone.items():
            found.setdefault(name, []).extend(power)
            added.setdefault(name, []).extend((both[0][name] + both[1][name]) / 2 - power)
    without = {name: np.array(values) for name, values in found.items()}
    tensors = {name: np.array(values) for name, values in added.items()}
    names = (UNDELENSED, SHARED, SPLIT)
    return DelensedSkies(
        {name: without[name] for name in names},
        {name: tensors[name] for name in names},
        tensors[UNDELENSED],
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Estimates:
    """Quadratic estimates of κ from filtered fields, with gains fitted inside the mask.

    Attributes:
      method: of the fields.
      B_lmin: the cut, by the name of the estimate.
      combinations: gains and mean field, likewise.
    """

    method: ByFilteredTemplate
    B_lmin: Mapping[str, float]
    combinations: Mapping[str, Combination]

    @classmethod
    def fitted(
        cls, method: ByFilteredTemplate, config: LensingConfig, B_lmin: float, examples: int
    ) -> _Estimates:
        """Fits gains and mean field to training skies."""
        sky, cuts = config.sky, {SHARED: 0.0, SPLIT: B_lmin}
        unfitted = cls(method, cuts, {})
        regressions = {
            name: RingRegression(rings_of(sky), len(method.pairs), True, method.patch.interior)
            for name in cuts
        }
        for block in Simulator(config, "train").examples(range(examples)):
            kappa = sky.to_modes(np.ascontiguousarray(block[KAPPA][..., 0]))
            for name, features in unfitted.features(method.filtered(block)):
                regressions[name].add(kappa, features)
        combinations = {
            name: Combination(
                Stage(found.gains(), mean_field=found.mean_field(), filters=found.filters()), sky
            )
            for name, found in regressions.items()
        }
        return cls(method, cuts, combinations)

    def features(self, fields: Fields) -> Iterator[tuple[str, list[NDArray]]]:
        """Yields the estimates of every pair, by name: from all B, and from those above the cut."""
        first = self.method.features(Stage(np.zeros(0)), 0)
        for name, lowest in self.B_lmin.items():
            above = self.method.sky.ell >= lowest
            yield name, first.first({**fields, "B": fields["B"] * above})

    def kappas(self, fields: Fields) -> dict[str, NDArray]:
        """Returns κ̂, half planes, by name."""
        return {
            name: self.combinations[name].of(features) for name, features in self.features(fields)
        }
