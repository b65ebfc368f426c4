"""The scores of an estimator on skies that it was not made for.

The dataset's own simulator draws the same examples again, from the same random numbers, with one
thing changed: κ's amplitude, the noise, or the primordial spectrum. The estimator is not told.
Because the random numbers are the same, so is most of the scatter, and the differences from the
unchanged skies are known far better than the scores themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator
from estimators.metrics_numbers import measured_scalar, typed, with_errors
from estimators.resampling import ExampleMeans, Measured
from estimators.skill import NUM_MOMENTS, map_correlation, moments
from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import KAPPA, LENSED
from lensing_tfds.simulation import Examples, Simulator
from lensing_tfds.sky.spectra import PowerSpectra

UNCHANGED = "unchanged"
"""Name of the version's own skies among the kinds of skies."""

TILT = -0.05
"""Change of the spectral index in `tilted`, twelve times Planck's error of it."""

# Where CAMB's unlensed T and E, and its κ, do not change with n_s at fixed amplitude.
_CMB_PIVOT = 600
_KAPPA_PIVOT = 350

_BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True, eq=False)
class ChangedSkies:
    """Skies of one kind.

    Attributes:
      name: what is changed.
      ensemble: the changed config, or spectra.
    """

    name: str
    ensemble: SkyEnsemble


@dataclasses.dataclass(frozen=True, eq=False)
class SkyScores:
    """The scores of estimates on one kind of skies.

    Attributes:
      name: what is changed.
      map_correlation: Pearson's, over all pixels.
      response: <κκ̂>/<κ²> over all pixels, against the changed κ.
      relative_mse: mean squared error over that of the estimate zero, 1 − the explained variance.
      correlation_change: map_correlation less that of unchanged skies, at the same indices.
      response_change: likewise.
      relative_mse_change: likewise.
    """

    name: str
    map_correlation: Measured
    response: Measured
    relative_mse: Measured
    correlation_change: Measured
    response_change: Measured
    relative_mse_change: Measured


_MEASURED = tuple(field.name for field in dataclasses.fields(SkyScores) if field.name != "name")


@dataclasses.dataclass(frozen=True)
class OutOfDistribution:
    """The scores on all kinds of skies.

    Attributes:
      num_examples: of each kind of skies.
      rows: the unchanged skies first.
    """

    num_examples: int
    rows: tuple[SkyScores, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON's types: each value `x` beside its error `x_error`."""
        rows = [
            {"name": row.name} | with_errors({name: getattr(row, name) for name in _MEASURED})
            for row in self.rows
        ]
        return {"num_examples": self.num_examples, "rows": rows}

    @classmethod
    def from_json(cls, values: Any) -> OutOfDistribution:
        """Reads what `to_json` gave.

        Raises:
          LensingError: something is missing, or is what no estimate has.
        """
        rows = tuple(
            SkyScores(
                typed(row, "name", str), **{name: measured_scalar(row, name) for name in _MEASURED}
            )
            for row in typed(values, "rows", list)
        )
        return cls(typed(values, "num_examples", int), rows)


def tilted(table: PowerSpectra, change: float = TILT) -> PowerSpectra:
    """Returns spectra of another primordial spectral index.

    A multipole shows waves of about one length, k = l / distance, so that n_s + Δ, at the same
    amplitude at k = 0.05 / Mpc, multiplies C_l by (l / l₀)^Δ. With l₀ = 600 for T and E and 350 for
    κ this is within 2 % of what CAMB computes for Δ = −0.05 at l = 100 to 4,000, where the change
    is −11 to +9 %, and within 3 % at l = 50; it takes no minutes, and no CAMB.

    Args:
      table: spectra; the unlensed ones and κ's are tilted, and the others, from which no sky is
        drawn, left as they are.
      change: Δ, added to n_s.
    """
    ell = np.maximum(np.arange(table.lmax + 1), 2.0)
    of_cmb, of_kappa = (ell / _CMB_PIVOT) ** change, (ell / _KAPPA_PIVOT) ** change
    return dataclasses.replace(
        table,
        TT=table.TT * of_cmb,
        EE=table.EE * of_cmb,
        TE=table.TE * of_cmb,
        kappa=table.kappa * of_kappa,
    )


def changed_skies(ensemble: SkyEnsemble) -> tuple[ChangedSkies, ...]:
    """Returns the unchanged skies, and those that differ from them in one thing.

    Args:
      ensemble: what an estimator was made for.
    """
    config, theory = ensemble.config, ensemble.theory

    def with_(name: str, **fields: Any) -> ChangedSkies:
        return ChangedSkies(name, SkyEnsemble(dataclasses.replace(config, **fields), theory))

    factor, noise = config.kappa_exaggeration_factor, config.noise_uK_arcmin
    skies = [
        with_(UNCHANGED),
        with_("κ x 0.8", kappa_exaggeration_factor=0.8 * factor),
        with_("κ x 1.2", kappa_exaggeration_factor=1.2 * factor),
    ]
    if noise > 0:
        skies.append(with_("noise x 1.5", noise_uK_arcmin=1.5 * noise))
    name = f"n_s {TILT:+g}".replace("-", "−")
    skies.append(ChangedSkies(name, SkyEnsemble(config, tilted(theory))))
    return tuple(skies)


def out_of_distribution(
    estimator: Estimator,
    ensemble: SkyEnsemble,
    indices: Sequence[int] | range,
    generator: np.random.Generator,
    split: str = "test",
) -> OutOfDistribution:
    """Scores an estimator on the version's own skies and on others; keeps a few numbers of each.

    Args:
      estimator: what is judged; from the maps, not by their index.
      ensemble: what it was made for.
      indices: the examples to simulate, of each kind of skies.
      generator: draws the bootstrap's resamples.
      split: whose random numbers to use.

    Raises:
      LensingError: there are fewer than two examples, or an estimate has another shape or is not
        finite.
    """
    return scores_of_kinds(
        [(kind, estimator) for kind in changed_skies(ensemble)], indices, generator, split
    )


def scores_of_kinds(
    pairs: Sequence[tuple[ChangedSkies, Estimator]],
    indices: Sequence[int] | range,
    generator: np.random.Generator,
    split: str = "test",
) -> OutOfDistribution:
    """Scores estimates of skies of several kinds, each by an estimator of its own.

    Args:
      pairs: a kind of skies and what estimates κ of them; the unchanged skies first.
      indices: as of `out_of_distribution`, as are the others and the errors raised.
      generator: likewise.
      split: likewise.
    """
    kinds = [kind for kind, _ in pairs]
    means = ExampleMeans()
    means.add(*(_moments(estimator, kind, split, indices) for kind, estimator in pairs))

    def scores(of_all: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        of_kinds = _scores(of_all.reshape(*of_all.shape[:-1], len(kinds), -1))
        changes = {
            f"{name.removeprefix('map_')}_change": values - values[..., :1]
            for name, values in of_kinds.items()
        }
        return of_kinds | changes

    measured = {
        name: resampled.measured for name, resampled in means.statistics(scores, generator).items()
    }
    rows = tuple(
        SkyScores(
            kind.name,
            **{name: Measured(x.value[i], x.error[i]) for name, x in measured.items()},
        )
        for i, kind in enumerate(kinds)
    )
    return OutOfDistribution(len(means), rows)


def _batches(kind: ChangedSkies, split: str, indices: Sequence[int] | range) -> Iterator[Examples]:
    """Simulates examples, in batches that suit a network."""
    simulator = Simulator(kind.ensemble.config, split, kind.ensemble.theory)
    for start in range(0, len(indices), _BATCH_SIZE):
        blocks = list(simulator.examples(indices[start : start + _BATCH_SIZE]))
        yield {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _moments(
    estimator: Estimator, kind: ChangedSkies, split: str, indices: Sequence[int] | range
) -> NDArray[np.float64]:
    """Estimates κ of examples and returns their `moments`, (n, 5)."""
    rows = [np.empty((0, NUM_MOMENTS))]
    for batch in _batches(kind, split, indices):
        estimates = estimator.kappa(batch[LENSED], batch["index"], batch.get(MASK))
        rows.append(moments(batch[KAPPA][..., 0], estimates, kind.ensemble.window))
    return np.concatenate(rows)


def _scores(means: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Map-level correlation, response and relative MSE, each (..., 5) -> (...)."""
    _, _, true2, product, estimate2 = np.moveaxis(means, -1, 0)
    return {
        "map_correlation": map_correlation(means),
        "response": product / true2,
        "relative_mse": 1 + (estimate2 - 2 * product) / true2,
    }
