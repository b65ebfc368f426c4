"""Runs of networks that are fitted in closed form, a stage an epoch; see `family.FittedNetwork`.

Each stage is kept and has its row in history.csv, and a run that was stopped goes on after the last
one. There, "loss" is 1 - ρ² of the least squares, and the validation columns are of the first
`VALIDATED` examples: all of them would take longer than the fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import keras
from numpy.typing import NDArray

from lensing_tfds.records import reading
from lensing_tfds.records.stored_dataset import StoredDataset
from trainer.loop.callbacks import Checkpoints, Stopwatch
from trainer.loop.interruption import saying_what_is_kept, signals_held
from trainer.loop.losses import StandardisedError, judged
from trainer.loop.metrics import MapCorrelation
from trainer.loop.session import Session
from trainer.networks.family import FittedNetwork
from trainer.networks.physical import scaling_of
from trainer.networks.scaling import measure_scaling
from trainer.runs.history import HISTORY, write_history
from trainer.runs.resume import Stopped
from trainer.runs.run_config import RunConfig, write_config

VALIDATED = 64
"""Validation examples by which the best stage is found."""

_BATCH_SIZE = 16


def fit(
    session: Session, network: FittedNetwork, stored: StoredDataset, stopped: Stopped | None
) -> None:
    """Fits the remaining stages of a run.

    Args:
      session: the call of `train`; its callbacks are told of each stage as of an epoch, after those
        that keep the run.
      network: that its config names.
      stored: the dataset.
      stopped: the run so far; None to begin with.

    Raises:
      TooFewExamplesError: there are too few examples for the gains.
      LensingError: the dataset is damaged, or the folder cannot be written.
    """
    config = RunConfig(session.config, session.lensing, stored.version)
    workdir, report = session.workdir, session.report
    task, name = stored.task, config.trainer.model
    number = task.lensing.number_of_first("train", config.trainer.max_examples)
    history = () if stopped is None else stopped.record.history
    best = None if stopped is None else stopped.best
    kept = Checkpoints(workdir, config.to_json(), history, best)
    model = None if stopped is None else stopped.restore(report)
    write_config(workdir, config)
    if history:
        write_history(workdir / HISTORY, history)

    def finished() -> bool:
        correlations = [row["map_correlation"] for row in kept.history]
        return network.is_fitted(correlations, task.lensing)

    if finished():
        report(f"already finished: {len(history)} stages")
        return
    report(
        f"fitting {name} on {number:,} examples of {config.trainer.dataset}"
        + (f", resuming after stage {len(history)}" if history else "")
    )
    few = min(VALIDATED, task.lensing.num_examples["validation"])
    told = [Stopwatch(number), kept, *session.callbacks]

    def where() -> str:
        return f"the same command goes on after stage {len(kept.history)}"

    with saying_what_is_kept(where), signals_held() as signals:

        def examples() -> Iterator[Mapping[str, NDArray]]:
            for batch in reading.evaluation_batches(stored, f"train[:{number}]", _BATCH_SIZE):
                signals.obey()
                yield batch

        table = stored.spectra()
        scaling = measure_scaling(examples(), task) if model is None else scaling_of(model)
        counted = judged(task.lensing)
        error = StandardisedError(scaling.label_std, counted)
        fits = network.fit(task, table, scaling, examples, model)
        while not finished():
            stage = len(kept.history)
            for callback in told:
                callback.on_epoch_begin(stage)
            model, rho = next(fits)
            for callback in told:
                callback.set_model(model)
                callback.on_test_begin()
            validation = reading.evaluation_batches(stored, f"validation[:{few}]", _BATCH_SIZE)
            loss, correlation = keras.metrics.Mean(), MapCorrelation(counted)
            for batch in validation:
                signals.obey()
                true, kappa = batch[task.labels.name], model(batch[task.inputs.name])
                loss.update_state(error(true, kappa), sample_weight=len(true))
                correlation.update_state(true, kappa)
            logs = {"loss": 1 - rho**2, "map_correlation": rho, "val_loss": float(loss.result())}
            logs["val_map_correlation"] = float(correlation.result())
            for callback in told:
                callback.on_epoch_end(stage, logs)
            signals.obey()
            report(
                f"stage {stage + 1}  correlation {rho:.4f}"
                f"  val_correlation {logs['val_map_correlation']:.4f}  {logs['seconds']:.0f} s"
            )
