"""Errors of a run's estimates, measured on the validation split once the run has ended.

The maximum of the likelihood of `estimators.uncertainty` has a closed form, and the residuals that
it takes should not be of training examples, which a network knows too well. So nothing is added to
the loss: the network is the same with and without, and whoever wants the errors of a finished run
has them by running its command again. They are kept in best.keras, with the network they are of.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from estimators.ensemble import bands_of
from estimators.filtering.masked_patch import interior_of
from estimators.uncertainty import LEVELS, MEASURED_ON, Uncertainty, measured_uncertainty
from estimators.uncertainty import refuse_too_few as _refuse_too_few
from lensing_tfds.configs import KAPPA, LENSED, LensingConfig
from trainer.data.source import Maps
from trainer.loop.interruption import signals_held
from trainer.runs import checkpoints
from trainer.runs.run import Run, load_run

_MOST_PIXELS = 2**26  # of all examples: their residuals are in memory twice, 256 MiB each


def refuse_too_few(lensing: LensingConfig) -> None:
    """Makes sure that a dataset's validation examples suffice.

    Raises:
      LensingError: they do not, or κ has too few modes for a spectrum.
    """
    _refuse_too_few(examples_of(lensing), bands_of(lensing))


def with_uncertainty(run: Run, report: Callable[[str], None]) -> Run:
    """Measures the errors of a run's best network, unless they are known, and keeps them with it.

    Args:
      run: with at least one finished epoch.
      report: prints a line.

    Returns:
      The run, with its errors.

    Raises:
      LensingError: the network or the dataset is damaged, or the folder cannot be written.
    """
    if run.uncertainty is not None:
        return run
    number = examples_of(run.lensing)
    report(f"measuring the estimates' errors on {number:,} validation examples")
    with signals_held() as signals:

        def batches() -> Iterator[Maps]:
            for batch in run.dataset.batches(MEASURED_ON, number):
                signals.obey()
                yield batch

        uncertainty = errors_of(run.predict, batches(), run.lensing)
    path = run.workdir / checkpoints.BEST
    record = checkpoints.read_record(path)
    assert record is not None, "its network was read"
    kept = dataclasses.replace(record, uncertainty=uncertainty.to_json())
    checkpoints.rewrite_record(path, kept)
    widths = (
        f"± {uncertainty.pixel_half_width(level):.3g} in {level:.0%} of pixels" for level in LEVELS
    )
    report(f"κ is estimated to {', '.join(widths)}")
    return load_run(run.workdir)


def errors_of(
    predict: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    batches: Iterable[Maps],
    lensing: LensingConfig,
) -> Uncertainty:
    """Measures the errors of a network's estimates.

    Args:
      predict: from lensed maps, µK, to κ.
      batches: of the first `examples_of` validation examples.
      lensing: their config.

    Raises:
      LensingError: there are too few examples.
    """
    pairs = ((batch[KAPPA][..., 0], predict(batch[LENSED])[..., 0]) for batch in batches)
    return measured_uncertainty(pairs, bands_of(lensing), interior_of(lensing))


def examples_of(lensing: LensingConfig) -> int:
    """Returns how many validation examples the errors are measured on."""
    return min(lensing.num_examples[MEASURED_ON], max(1, _MOST_PIXELS // lensing.npix**2))
