"""κ from own maps, beside simulated skies of the kind that the estimator was made for.

The same simulated skies, of the validation split, say how large the estimate's errors are, how well
it follows κ, and whether the maps are of that kind.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from estimators.ensemble import SkyEnsemble, bands_of
from estimators.estimator import Estimator, Observed
from estimators.filtering.masked_maps import refuse_another_mask
from estimators.own_maps.files import OwnMaps
from estimators.own_maps.likeness import Likeness, Statistics, refuse_unusable
from estimators.power_spectra import choose_bands
from estimators.uncertainty import MEASURED_ON, Inside, Uncertainty, measured_uncertainty
from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import KAPPA, LENSED
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import Simulator
from lensing_tfds.sky.spectra import PowerSpectra

_MOST, _FEWEST, _ALL_PIXELS = 64, 16, 2**24  # skies; of very large ones there is memory for few
_PIXELS = 2**20  # of the maps that are estimated together


@dataclasses.dataclass(frozen=True, eq=False)
class Reconstruction:
    """Estimates of κ, and what is known of them.

    Attributes:
      estimator: what made them.
      own: the maps that they were made from.
      kappa: (n, npix, npix) float32, dimensionless.
      errors: how far from the truth they are.
      errors_basis: where that is from, a phrase.
      correlation: of the estimate with true κ, over all pixels of the simulated skies.
      likeness: the maps beside the simulated skies.
      theory: the spectra that these are drawn from.
    """

    estimator: Estimator
    own: OwnMaps
    kappa: NDArray[np.float32]
    errors: Uncertainty
    errors_basis: str
    correlation: float
    likeness: Likeness
    theory: PowerSpectra


def reconstruct(
    make: Callable[[], Estimator], ensemble: SkyEnsemble, own: OwnMaps
) -> Reconstruction:
    """Estimates κ from own maps.

    Args:
      make: makes the estimator, once the maps are found fit; its errors are measured where it does
        not know them.
      ensemble: the skies that it was made for.
      own: maps of that size, in those channels.

    Raises:
      LensingError: nothing can be estimated from a map: it is not finite, constant, in other
        units, or masked otherwise than the config's are.
    """
    config, bands = ensemble.config, choose_bands(ensemble.config.sky)
    number = simulated_number(config.npix)
    skies = simulated_skies(ensemble, MEASURED_ON, number)
    first = next(skies)
    expected = np.sqrt(np.mean(first[LENSED].var(axis=(1, 2), dtype=np.float64), axis=0))
    refuse_unusable(own.maps, expected, config, str(own.path), own.frame)
    try:
        refuse_another_mask(own.maps, config)
    except LensingError as error:
        raise LensingError(f"{own.path}: {error}") from error
    estimator = make()
    kappa = _estimated(estimator, own, config.name)
    pairs, statistics = [], []
    for sky in itertools.chain([first], skies):
        estimate = estimator.kappa(sky[LENSED], sky["index"], sky.get(MASK)).astype(np.float32)
        pairs.append((sky[KAPPA][..., 0], estimate))
        statistics.append(Statistics.of(sky[LENSED], estimate, config.channels, bands))
    errors, basis = estimator.uncertainty, f"measured on the {MEASURED_ON} split"
    if errors is None:
        errors = measured_uncertainty(pairs, bands_of(config), ensemble.window)
        basis = f"measured on {number} simulated skies"
    inside = Inside(ensemble.window)
    truth, estimates = (
        np.concatenate([inside.times(pair[i]).ravel() for pair in pairs]) for i in (0, 1)
    )
    own_statistics = Statistics.of(own.maps, kappa, config.channels, bands)
    return Reconstruction(
        estimator,
        own,
        kappa,
        errors,
        basis,
        float(np.corrcoef(truth, estimates)[0, 1]),
        Likeness(config, own_statistics, Statistics.joined(statistics), bands),
        ensemble.theory,
    )


def _estimated(estimator: Estimator, own: OwnMaps, name: str) -> NDArray[np.float32]:
    advice = f"the maps are not like skies of lensing/{name}, by their unit or their noise"
    strict = dataclasses.replace(estimator, advice=advice)
    together, numbers = _together(own.maps.shape[1]), np.arange(len(own.maps))
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
        parts = [
            strict.kappa(own.maps[few], numbers[few]).astype(np.float32)
            for few in (slice(i, i + together) for i in range(0, len(numbers), together))
        ]
    return np.concatenate(parts)


def simulated_number(npix: int) -> int:
    """Returns how many skies are simulated: 64, which tell a scatter to 9 %; fewer large ones."""
    return max(_FEWEST, min(_MOST, _ALL_PIXELS // npix**2))


def _together(npix: int) -> int:
    """Returns the number of maps that are estimated together."""
    return max(1, _PIXELS // npix**2)


def simulated_skies(ensemble: SkyEnsemble, split: str, number: int) -> Iterator[Observed]:
    """Simulates the first examples of a split, some at a time.

    Args:
      ensemble: what they are drawn from.
      split: "train", "validation" or "test".
      number: how many.

    Yields:
      Batches with "lensed", "kappa" and "index", and "mask" if the config has one, as of
      `simulation.simulate`; "lensed" times the ensemble's mask.
    """
    simulator = Simulator(ensemble.config, split, ensemble.theory)
    together = max(simulator.block_size, _together(ensemble.config.npix))
    for start in range(0, number, together):
        blocks = list(simulator.examples(range(start, min(start + together, number))))
        names = [name for name in (LENSED, KAPPA, "index", MASK) if name in blocks[0]]
        batch = {name: np.concatenate([block[name] for block in blocks]) for name in names}
        if ensemble.mask is not None:
            batch[LENSED] *= ensemble.mask[..., None].astype(np.float32)
        yield batch
