"""Keras Tuner's oracles, made to survive a kill at any moment and to stop at a budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from lensing_tfds.config_differences import differences
from lensing_tfds.errors import LensingError
from trainer.networks.space import Point
from tuning import sealed_json
from tuning.config import OBJECTIVES, Budget, SearchConfig

_FAILURES_IN_A_ROW = 5  # then it is not the trials that are at fault

_ENDED = (TrialStatus.COMPLETED, TrialStatus.FAILED)


class LastingOracle(keras_tuner.Oracle):
    """A state that survives kills, and a budget; the first base of each oracle here.

    Keras Tuner writes its state in place and in two steps, a trial's file and then the oracle's.
    Killed within a step it cannot read its own files again; between them it forgets that a trial
    was begun, or repeats one that had ended. Here files are replaced whole, and what the trials'
    files say decides.

    Attributes:
      budget: when no further trial begins.
      epochs: of a trial, where the oracle sets none itself.
      extends: whether a promoted trial goes on with the epochs of the one before it.
      first: the first trial's point; None leaves that to chance too.
      search: the search's settings, by which its state is told from another's.
      ended: called with the number of each trial that ended.
      stopped: why no further trial begins; None while the oracle decides.
    """

    trials: dict[str, Trial]
    end_order: list[str]
    _retry_queue: list[str]

    budget: Budget = Budget()
    epochs: int = 1
    extends: bool = True
    first: Point | None = None
    search: Mapping[str, Any] = {}
    stopped: str | None = None

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.verbose = 0
        self.ended: Callable[[str], None] = lambda number: None
        self._failures = 0  # in a row, of this session
        self._seconds_before = 0.0
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time of the search, all its sessions together."""
        return self._seconds_before + time.monotonic() - self._began

    def create_trial(self, tuner_id: str) -> Trial:
        # A trial that was begun is finished, whatever the budget says.
        if not self._retry_queue and tuner_id not in self.ongoing_trials:
            self.stopped = self._limit()
            if self.stopped is not None:
                self.tuner_ids.discard(tuner_id)
                return Trial(self.get_space(), trial_id="none", status=TrialStatus.STOPPED)
        return super().create_trial(tuner_id)

    def end_trial(self, trial: Trial) -> None:
        super().end_trial(trial)
        status = self.trials[trial.trial_id].status
        self._failures = self._failures + 1 if status == TrialStatus.FAILED else 0
        self.ended(trial.trial_id)

    def reload(self) -> None:
        self._repair()
        try:
            super().reload()
        except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
            raise LensingError(
                f"{self._project_dir} is of another version of Keras Tuner ({error!r}): go on with "
                "that one, or --overwrite to start anew"
            ) from error
        # Begun, but the oracle was killed before it knew: its number is given again.
        self.trials = {n: trial for n, trial in self.trials.items() if n in self.start_order}
        # Ended, but the oracle was killed before it knew.
        for number, trial in self.trials.items():
            if trial.status in _ENDED and number not in self.end_order:
                self.end_order.append(number)
        waiting = dict.fromkeys(self._retry_queue)
        self._retry_queue = [n for n in waiting if self.trials[n].status not in _ENDED]

    def _repair(self) -> None:
        """Makes all files whole; they must be of this search, and none be missing.

        Raises:
          LensingError: the message names the file.
        """
        sealed_json.repair(Path(self._get_oracle_fname()))
        state = sealed_json.read(Path(self._get_oracle_fname())) or {}
        if changed := differences(state.get("search", {}), self.search):
            raise LensingError(
                f"{self._get_oracle_fname()} is of another search ({changed}): restore the file, "
                "or --overwrite to start anew"
            )
        for number in state["start_order"]:
            path = Path(self._get_trial_dir(number)) / "trial.json"
            sealed_json.repair(path)
            if not path.exists():
                raise LensingError(f"{path} is missing: restore it, or --overwrite to start anew")

    def save(self) -> None:
        _write(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial: Trial) -> None:
        _write(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", trial.get_state())

    def get_state(self) -> dict[str, Any]:
        return super().get_state() | {"seconds": self.seconds, "search": self.search}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self.verbose = 0
        self._seconds_before, self._began = state["seconds"], time.monotonic()

    def _random_values(self) -> dict[str, Any] | None:
        if self.first is not None and not self.trials:
            return dict(self.first)
        return super()._random_values()

    def _limit(self) -> str | None:
        if self._failures >= _FAILURES_IN_A_ROW:
            return f"the last {self._failures} trials failed"
        values = [trial.hyperparameters.values for trial in self.trials.values()]
        epochs = sum(
            v.get("tuner/epochs", self.epochs) - self.extends * v.get("tuner/initial_epoch", 0)
            for v in values
        )
        return self.budget.reached(len(values), epochs, self.seconds)


class HyperbandOracle(LastingOracle, keras_tuner.oracles.HyperbandOracle):
    """Many short trials, the best of them longer."""


class BayesianOracle(LastingOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """A Gaussian process over the space, after a few random trials."""


class RandomOracle(LastingOracle, keras_tuner.oracles.RandomSearchOracle):
    """Points of the space at random."""


def build_oracle(config: SearchConfig, budget: Budget, first: Point | None = None) -> LastingOracle:
    """Builds the oracle that a search names.

    Args:
      config: the search.
      budget: when no further trial begins.
      first: a point of the space to begin with.
    """
    settings: dict[str, Any] = {
        "objective": keras_tuner.Objective(config.objective, OBJECTIVES[config.objective]),
        "seed": config.seed + 1,  # Keras Tuner takes 0 for "any"
        "max_consecutive_failed_trials": None,  # counted here: Keras Tuner's error locks the chief
    }
    oracle: LastingOracle
    if config.tuner == "hyperband":
        oracle = HyperbandOracle(max_epochs=config.max_epochs, **settings)
    elif config.tuner == "bayesian":
        free = sum(len(d.extremes) > 1 for d in config.space.dimensions().values())
        # Keras Tuner's default, three times as many, is more than most searches have trials.
        oracle = BayesianOracle(max_trials=None, num_initial_points=max(free, 3), **settings)
    else:
        oracle = RandomOracle(max_trials=None, **settings)
    oracle.budget, oracle.epochs, oracle.first = budget, config.max_epochs, first
    oracle.extends = config.extends_trials
    oracle.search = {k: v for k, v in config.to_json().items() if k != "data_dir"}
    return oracle


def _write(path: Path, state: dict[str, Any]) -> None:
    sealed_json.write(path, state)
