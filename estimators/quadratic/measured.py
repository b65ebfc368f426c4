"""Spectra and gains that an estimator takes from examples where theory does not hold.

Maps with exaggerated lensing, or lensed on their own pixels, or with edges, have other spectra than
theory's, and a quadratic estimate of them another normalisation. Both are measured here on examples
that are not judged: the spectra that weigh the modes, then the estimate's gain, ring by ring.
"""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from estimators.quadratic.fields import fields_of
from estimators.quadratic.observation import Observation
from lensing_tfds import realism
from lensing_tfds.configs import LENSED, LensingConfig
from lensing_tfds.errors import TooFewExamplesError
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.spectra import PowerSpectra

MIN_EXAMPLES = 8
"""Fewer examples say too little about a spectrum in the lowest ring."""

_SIGNIFICANT = 5.0  # sigma; a gain that is not is noise, and 1 / noise would be anything

_Fields = Mapping[str, NDArray[np.complexfloating]]


@dataclasses.dataclass(frozen=True, eq=False)
class MeasuredObservation(Observation):
    """An observation whose spectra, noise included, were measured on examples.

    The lensing response is still theory's: `spectra` gives the gradient's spectrum.

    Attributes:
      power: "TT", "TE", "EE", "BB" (those that the maps have) to observed spectra, µK², half
        planes.
    """

    power: Mapping[str, NDArray[np.float64]] = dataclasses.field(default_factory=dict)

    def total(self, x: str, y: str) -> NDArray[np.float64]:
        """Returns the measured spectrum of the modes used, µK²; TB and EB are zero by parity."""
        name = "".join(sorted(x + y, key="TEB".index))
        if name in ("TB", "EB"):
            return np.zeros(self.sky.ell.shape)
        return np.where(self.used, self.power[name], 0.0)


def weighed(
    observation: Observation, power: Mapping[str, NDArray[np.float64]]
) -> MeasuredObservation:
    """Returns an observation of the same beam, modes and signal, with other observed spectra.

    Args:
      observation: whose own noise is not used.
      power: as of `MeasuredObservation`.
    """
    own = {f.name: getattr(observation, f.name) for f in dataclasses.fields(Observation)}
    return MeasuredObservation(**own | {"power": power})


def measure_power(batches: Iterable[_Fields], sky: FlatSky) -> dict[str, NDArray[np.float64]]:
    """Measures the spectra of fields, averaged over rings and examples.

    Args:
      batches: dicts of half planes (n, npix, npix // 2 + 1), as of `fields.fields_of`.
      sky: the patch.

    Returns:
      "TT", "TE", "EE", "BB" (those of the fields there) to half planes, µK².

    Raises:
      TooFewExamplesError: there are fewer than `MIN_EXAMPLES`.
    """
    sums: dict[str, NDArray[np.float64]] = {}
    n = 0
    for fields in batches:
        for name in ("TT", "TE", "EE", "BB"):
            if name[0] in fields and name[1] in fields:
                product = fields[name[0]] * fields[name[1]].conj()
                sums[name] = sums.get(name, 0.0) + product.real.sum(axis=0, dtype=np.float64)
        n += len(next(iter(fields.values())))
    _check_enough(n)
    rings = Bins.fundamental(sky)
    return {name: rings.spread(rings.mean(total)) * sky.area / n for name, total in sums.items()}


def measured_power(
    lensing: LensingConfig, examples: Iterable[Mapping[str, NDArray]]
) -> dict[str, NDArray[np.float64]]:
    """Measures the spectra of a config's maps; as `measure_power`.

    Args:
      lensing: the config.
      examples: batches with "lensed".
    """
    sky = lensing.sky
    return measure_power((fields_of(b[LENSED], lensing.channels, sky) for b in examples), sky)


def measured_observations(
    lensing: LensingConfig, theory: PowerSpectra, power: Mapping[str, NDArray[np.float64]]
) -> dict[str, MeasuredObservation]:
    """Returns the observation of a config's maps whose spectra were measured.

    Args:
      lensing: the config.
      theory: the spectra of its cosmology.
      power: as of `MeasuredObservation`; the noise is in it.

    Returns:
      "ordinary" and "all": of the ordinary modes, and of all that the maps have; or one of "" where
      these are the same.
    """
    ordinary = MeasuredObservation.of(lensing, theory, power=power)
    if not realism.has_excess_power(lensing):
        return {"": ordinary}
    cut = theory
    if lensing.T_lmax is not None:  # what is above has no gradient of its own
        names = [f.name for f in dataclasses.fields(theory) if f.name.startswith("gradient")]
        below = np.arange(theory.lmax + 1) <= lensing.T_lmax
        cut = dataclasses.replace(theory, **{n: getattr(theory, n) * below for n in names})
    everything = MeasuredObservation(
        lensing.sky, cut, lensing.beam_arcmin, wrapped=realism.is_aliased(lensing), power=power
    )
    return {"ordinary": ordinary, "all": everything}


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """Corrections of an estimate, measured on examples.

    Attributes:
      mean_field: half plane, complex: what the estimate is on average, to be subtracted first.
      response: half plane, <κ̂κ*>/<κκ*> of its ring; 0 where it was not found to be above zero.
      wiener: half plane, <κ̂κ*>/<κ̂κ̂*> of its ring: the best linear filter; 0 likewise.
    """

    mean_field: NDArray[np.complex128]
    response: NDArray[np.float64]
    wiener: NDArray[np.float64]

    @property
    def unbiased(self) -> NDArray[np.float64]:
        """1 / response, zero where there is none."""
        one = np.ones_like(self.response)
        return np.divide(one, self.response, out=np.zeros_like(one), where=self.response > 0)


class Calibrator:
    """Takes true κ and estimates, batch by batch; keeps sums over examples, never the maps.

    Args:
      rings: where the gain is taken to be one number each.
      mean_field: whether the estimate has a mean to be subtracted: a patch that is not periodic, or
        the same unlensed sky in every example. Elsewhere its measured mean is noise.
      window: (npix, npix), inside which gains are measured; None is the whole patch.
    """

    def __init__(self, rings: Bins, mean_field: bool, window: NDArray[np.floating] | None = None):
        shape = rings.sky.ell.shape
        self._window = window
        self._rings = rings
        self._has_mean = mean_field
        self._mean = np.zeros(shape, np.complex128)
        self._powers = np.zeros((3, *shape))
        self._n = 0

    def add(
        self, kappa: NDArray[np.complexfloating], estimate: NDArray[np.complexfloating]
    ) -> None:
        """Adds half planes of true and estimated κ, both (n, npix, npix // 2 + 1)."""
        self._mean += estimate.sum(axis=0, dtype=np.complex128)
        self._n += len(kappa)
        kappa, estimate = self._inside(kappa), self._inside(estimate)
        for row, (a, b) in enumerate(((kappa, kappa), (kappa, estimate), (estimate, estimate))):
            self._powers[row] += (a * b.conj()).real.sum(axis=0, dtype=np.float64)

    def _inside(self, modes: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
        if self._window is None:
            return modes
        sky = self._rings.sky
        return sky.to_modes(sky.to_map(modes) * self._window.astype(modes.real.dtype))

    def result(self) -> Calibration:
        """Returns the calibration.

        Raises:
          TooFewExamplesError: fewer than `MIN_EXAMPLES` were added.
        """
        _check_enough(self._n)
        mean = self._mean / self._n
        if not self._has_mean:
            mean[:] = 0
        powers = self._powers / self._n
        powers[2] -= (
            np.abs(self._inside(mean)) ** 2
        )  # κ has no mean: its cross-spectrum needs no correction
        true, cross, estimate = (self._rings.mean(power) for power in powers)
        norm = np.sqrt(true * np.maximum(estimate, 0))
        rho = np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
        # Half of a ring's modes are conjugates of the others.
        found = rho * np.sqrt(self._n * self._rings.num_modes / 2) > _SIGNIFICANT

        def gain(power: NDArray[np.float64]) -> NDArray[np.float64]:
            ratio = np.divide(cross, power, out=np.zeros_like(cross), where=found & (power > 0))
            return self._rings.spread(ratio)

        return Calibration(mean, gain(true), gain(estimate))


def _check_enough(n: int) -> None:
    if n < MIN_EXAMPLES:
        raise TooFewExamplesError(
            f"the quadratic estimators' spectra and gains are measured on at least {MIN_EXAMPLES} "
            f"examples of known κ, and there are {n}: more are needed"
        )
