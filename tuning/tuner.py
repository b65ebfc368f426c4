"""The tuner: takes trials from an oracle, and trains each in a run's folder of its own."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import keras
import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.errors import FailedTrialError

from lensing_tfds.errors import LensingError
from lensing_tfds.records.locks import alone_in
from lensing_tfds.records.storage import replacing
from trainer.loop.callbacks import DivergedError
from trainer.loop.interruption import signals_held
from trainer.loop.memory import TooLargeError
from tuning import cluster
from tuning.hypermodel import LensingHyperModel
from tuning.oracles import LastingOracle
from tuning.tensorboard import hparams_callback
from tuning.trials import failure_file, run_folder

_KILLS = 3  # of the process in one trial, in a row: then the trial is at fault
_SECONDS_BETWEEN_REQUESTS = 1.0


class SearchTuner(keras_tuner.Tuner):
    """Runs trials through the trainer: a trial that was killed goes on after its last epoch.

    A trial that Hyperband promotes takes over the run of the one before it, optimizer and all, so
    that it equals a run that was never interrupted. Where the rate has a schedule, which is made
    for a trial's own epochs, it begins anew.

    Args:
      oracle: what decides the trials.
      hypermodel: builds and trains.
      directory: the search's folder.
      project_name: Keras Tuner's folder in it.
    """

    def __init__(
        self,
        oracle: LastingOracle,
        hypermodel: LensingHyperModel,
        directory: str,
        project_name: str,
    ):
        self._idle = False
        super().__init__(
            oracle=oracle, hypermodel=hypermodel, directory=directory, project_name=project_name
        )

    def pre_create_trial(self) -> None:
        if self._idle:  # nothing to do until another worker's trial has ended: ask now and then
            time.sleep(_SECONDS_BETWEEN_REQUESTS)
        self._idle = True
        self._obey()
        cluster.refuse_lost_chief()

    def on_trial_begin(self, trial: Trial) -> None:
        self._idle = False
        self._obey()

    def on_trial_end(self, trial: Trial) -> None:
        cluster.refuse_lost_chief()
        super().on_trial_end(trial)

    def run_trial(self, trial: Trial) -> dict[str, float]:
        folder = Path(self.get_trial_dir(trial.trial_id))
        # A chief that was restarted gives out again the trials that its workers may still run.
        with alone_in(folder, "training", wait=True):
            try:
                with _counting_kills(folder):
                    return self._train(trial, folder)
            except (DivergedError, TooLargeError, FailedTrialError) as error:
                raise _recorded(folder, error) from error
            except LensingError:  # no other trial would fare better
                raise
            except Exception as error:  # out of memory, and what else a network can run into
                raise _recorded(folder, error) from error

    def _try_run_and_update_trial(self, trial: Trial) -> None:
        # Keras Tuner's own prints a traceback for each failure, and takes any error for one.
        try:
            self._run_and_update_trial(trial)
            trial.status = TrialStatus.COMPLETED
        except FailedTrialError as error:
            trial.status, trial.message = TrialStatus.FAILED, str(error)

    @staticmethod
    def _obey() -> None:
        """Ends the search where the process was asked to end since the last step."""
        with signals_held() as signals:
            signals.obey()

    def load_model(self, trial: Trial) -> keras.Model:
        from trainer.runs.run import load_run

        return load_run(run_folder(Path(self.get_trial_dir(trial.trial_id)))).model

    def save(self) -> None:
        # The tuner has no state of its own: whether there is a search is for the oracle's file to
        # say, under whichever id it is continued.
        if not self._is_worker():
            self.oracle.save()

    def reload(self) -> None:
        if not self._is_worker():
            self.oracle.reload()

    def _get_tuner_fname(self) -> str:
        return str(Path(self.project_dir) / "oracle.json")

    def _train(self, trial: Trial, folder: Path) -> dict[str, float]:
        hp = trial.hyperparameters
        workdir = run_folder(folder)
        failure_file(folder).unlink(missing_ok=True)
        parent = hp.values.get("tuner/trial_id") if self.hypermodel.config.extends_trials else None
        if parent is not None and not workdir.exists():
            _take_over(run_folder(Path(self.get_trial_dir(parent))), workdir)
        keras.backend.clear_session()
        model = self.hypermodel.build(hp)
        settings = self.hypermodel.trainer_config(hp)
        callback = hparams_callback(workdir, settings, trial.trial_id)
        run = self.hypermodel.fit(hp, model, workdir, [callback])
        best = run.best_epoch(self.oracle.objective.name)
        return {name: best[name] for name in ("val_loss", "val_map_correlation")}


@contextlib.contextmanager
def _counting_kills(folder: Path) -> Iterator[None]:
    """Gives a trial up in which the process was killed again and again, as for want of memory.

    Raises:
      FailedTrialError: that is so.
    """
    file = folder / "begun"
    begun = len(file.read_bytes()) if file.exists() else 0
    if begun >= _KILLS:
        file.unlink()
        raise FailedTrialError(f"the process was killed {begun} times in a row (out of memory?)")
    with file.open("a", encoding="utf-8") as appended:
        appended.write(".")
    try:
        yield
    finally:  # not reached by a process that is killed
        file.unlink()


def _take_over(parent: Path, workdir: Path) -> None:
    """Copies a run; what TensorBoard is to know of the old trial's settings stays behind."""
    temporary = workdir.with_name(f".writing-{workdir.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(parent, temporary, ignore=_hparams_events)
    temporary.replace(workdir)


def _hparams_events(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder).name == "tensorboard" and "tfevents" in name]


def _recorded(folder: Path, error: Exception) -> FailedTrialError:
    """Writes down why a trial failed: Keras Tuner's protocol does not carry it."""
    line = str(error).split("\n")[0]
    if not isinstance(error, LensingError | FailedTrialError):
        # TensorFlow's messages begin with {{where in the graph}}.
        line = f"{type(error).__name__}: {re.sub(r'{{.*?}} *', '', line)}"
    with replacing(failure_file(folder)) as temporary:
        temporary.write_text(
            f"{line}\n\n{''.join(traceback.format_exception(error))}", encoding="utf-8"
        )
    return FailedTrialError(line)
