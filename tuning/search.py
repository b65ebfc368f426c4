"""A search: trials, one after another, until the budget or the oracle ends them."""

from __future__ import annotations

import contextlib
import io
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lensing_tfds.config_differences import differences
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records.datasets import find_config, open_dataset, refuse_another
from lensing_tfds.records.locks import alone_in
from lensing_tfds.records.storage import make_folder
from trainer.data import sources
from trainer.loop.interruption import signals_held
from trainer.runs.run_config import CONFIG, SEARCH
from trainer.settings.hparams import write_hparams
from tuning import cluster, sealed_json
from tuning.cluster import Role
from tuning.config import Budget, SearchConfig
from tuning.hypermodel import LensingHyperModel
from tuning.leaderboard import table, trial_line
from tuning.oracles import LastingOracle, build_oracle
from tuning.supervisor import supervise
from tuning.tensorboard import write_experiment
from tuning.trials import (
    ORACLE,
    TRIAL,
    SearchRecord,
    Trial,
    best_hyperparameters,
    project,
    ranked,
    read_search,
    read_trial,
    read_trials,
    trial_folder,
    write_search,
)
from tuning.tuner import SearchTuner

# What may change between two sessions of one search.
_CHANGEABLE = ("data_dir",)
_ROWS = 10  # of the leaderboard at the end

BEST = "best_hyperparameters.json"

_SEARCHING = "searching"  # what the folder's lock is held for

Report = Callable[[str], None]


def search(
    config: SearchConfig,
    workdir: str | Path,
    budget: Budget,
    report: Report = print,
    live: bool = False,
    overwrite: bool = False,
    chief_timeout: float = 60.0,
) -> None:
    """Searches, or goes on where the search in `workdir` stopped; finished trials are kept.

    With Keras Tuner's environment variables set (see `tuning.cluster`) this process is the chief,
    which hands out trials and ends with the last of them, or a worker, which runs trials.

    Args:
      config: what to search, on what, and how.
      workdir: the search's folder, see `tuning.trials`; chief and workers share it.
      budget: when no further trial begins.
      report: prints a line.
      live: whether to show the running epoch on standard output, as on a terminal.
      overwrite: start anew, without what the folder holds of a search.
      chief_timeout: seconds that a worker waits for its chief.

    Raises:
      LensingError: `workdir` holds another search, or one that another process is at; it cannot be
        written; the dataset cannot be opened or is damaged; or chief and worker do not find each
        other.
    """
    workdir = Path(workdir)
    if cluster.role() is Role.WORKER:
        cluster.wait_for_chief(chief_timeout)
        record = _refuse_another_search(
            workdir, config, find_config(config.dataset, config.data_dir)
        )
        if record is None:
            raise LensingError(f"{workdir} is not the chief's folder: it holds no search")
        with signals_held():
            build_tuner(record, workdir, budget, live).search()
        return
    if cluster.role() is Role.CHIEF:
        cluster.refuse_taken_port(*cluster.address())
    make_folder(workdir)
    with alone_in(workdir, _SEARCHING):
        record = prepare(config, workdir, report, overwrite)
        ended = ended_trials(workdir, record)
        report(
            f"searching {config.dataset} with {config.tuner} for the best {config.objective}"
            + (f", going on after {ended} trials" if ended else "")
        )
        # A chief trains nothing, and waits within Keras Tuner: it obeys at once.
        chief = cluster.role() is Role.CHIEF
        with contextlib.nullcontext() if chief else signals_held():
            tuner = build_tuner(record, workdir, budget, live)
            announce_trials(tuner.oracle, workdir, record, report)
            tuner.search()
        finish(workdir, record, tuner.oracle.stopped, report)


def search_with_workers(
    config: SearchConfig,
    workdir: str | Path,
    workers: int,
    command: Sequence[str],
    port: int | None = None,
    report: Report = print,
    overwrite: bool = False,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Searches with a chief and workers, processes of their own on this machine.

    Args:
      config: as of `search`, like workdir, report and overwrite.
      workdir: see there.
      workers: how many.
      command: what runs `search` with the same settings, in chief and workers.
      port: the chief's; None takes a free one.
      report: prints a line.
      overwrite: start anew.
      environment: of chief and workers; None is this process's.

    Raises:
      LensingError: as `search` and `tuning.supervisor.supervise`.
    """
    workdir = Path(workdir)
    if cluster.role() is not Role.ALONE:
        raise LensingError("--workers starts a chief of its own: unset KERASTUNER_ORACLE_IP")
    make_folder(workdir)
    with alone_in(workdir, _SEARCHING):  # what is wrong is said once, before there are processes
        record = prepare(config, workdir, report, overwrite)
    supervise(command, workers, port, lambda: ended_trials(workdir, record), report, environment)


def prepare(
    config: SearchConfig, workdir: Path, report: Report = print, overwrite: bool = False
) -> SearchRecord:
    """Makes or checks a search's folder, and builds a dataset that is missing.

    Args:
      config: the search.
      workdir: its folder.
      report: prints a line.
      overwrite: remove what the folder holds of a search first.

    Raises:
      LensingError: as `search`.
    """
    make_folder(workdir)
    lensing = find_config(config.dataset, config.data_dir)
    sources.refuse_impossible(config.default_settings(lensing), lensing, None)
    if overwrite:
        _remove(workdir)
    _repair(workdir, report)
    old = _refuse_another_search(workdir, config, lensing)
    if old is None and (workdir / CONFIG).exists():
        raise LensingError(f"{workdir} holds a training run: name another --workdir")
    stored = open_dataset(lensing, config.data_dir, report)
    version = stored.version if old is None else old.dataset_version
    refuse_another(stored, lensing, version)
    record = SearchRecord(config, lensing, version)
    write_search(workdir, record)
    make_folder(project(workdir))
    if old is None:
        write_experiment(project(workdir), config.space)
    return record


def ended_trials(workdir: Path, record: SearchRecord) -> int:
    """Counts the trials of a search that are completed or have failed."""
    return sum(trial.status != "RUNNING" for trial in read_trials(workdir, record))


def build_tuner(
    record: SearchRecord, workdir: Path, budget: Budget, live: bool = False
) -> SearchTuner:
    """Builds the tuner of a search whose folder is prepared, with the state that it stopped in.

    Raises:
      LensingError: the state is damaged.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # "Reloading Tuner from ..."
        tuner = SearchTuner(
            build_oracle(record.config, budget, record.config.default_point(record.lensing)),
            LensingHyperModel(record.config, record.lensing, live),
            directory=str(workdir),
            project_name=project(workdir).name,
        )
    tuner.save()  # so that trials without the oracle's file are trials whose file was lost
    return tuner


def announce_trials(
    oracle: LastingOracle, workdir: Path, record: SearchRecord, report: Report
) -> None:
    """Has a line printed for each trial that ends."""
    best: list[Trial] = ranked(read_trials(workdir, record), record.config.objective)[:1]

    def ended(number: str) -> None:
        trial = read_trial(trial_folder(workdir, number), record)
        best[:] = ranked([*best, trial], record.config.objective)[:1]
        report(trial_line(trial, record.config.objective, best[0] if best else None))

    oracle.ended = ended


def finish(workdir: Path, record: SearchRecord, stopped: str | None, report: Report) -> None:
    """Writes the best hyperparameters and prints the leaderboard.

    Args:
      workdir: the search's folder.
      record: its settings.
      stopped: why it ended, where that was not for the oracle to say.
      report: prints a line.

    Raises:
      LensingError: no trial was completed.
    """
    trials = read_trials(workdir, record)
    best = ranked(trials, record.config.objective)
    if not best:
        failures = [trial.failure for trial in trials if trial.failure]
        raise LensingError(
            f"no trial of {workdir} was completed"
            + (f"; the last failure: {failures[-1]}" if failures else "")
        )
    path = workdir / BEST
    write_hparams(path, best_hyperparameters(workdir, record, best[0]))
    report(f"ended: {stopped or 'the tuner has nothing more to try'}")
    report(table(trials, record.config.objective, _ROWS))
    report(f"the best settings are in {path}; train with them:")
    report(f"  python -m trainer --hparams {shlex.quote(str(path))}")


def _refuse_another_search(
    workdir: Path, config: SearchConfig, lensing: LensingConfig
) -> SearchRecord | None:
    """Reads what the folder holds; it is what the search is, or nothing."""
    old = read_search(workdir)
    if old is None:
        return None
    if old.config.dataset != config.dataset:
        raise LensingError(
            f"{workdir} holds a search on {old.config.dataset}, not {config.dataset}: name another "
            "--workdir, or --overwrite to start anew"
        )
    wanted = config.to_json() | {"lensing": lensing.to_json()}
    found = old.to_json() | {name: wanted[name] for name in _CHANGEABLE}
    del found["dataset_version"]
    changed = [
        differences(*(side.pop(part) for side in (found, wanted))) for part in ("space", "lensing")
    ]
    changed.insert(0, differences(found, wanted))
    if any(changed):
        raise LensingError(
            f"{workdir} holds another search: {'; '.join(filter(None, changed))} (name another "
            "--workdir, the settings it was made with, or --overwrite to start anew)"
        )
    return SearchRecord(config, lensing, old.dataset_version)


def _remove(workdir: Path) -> None:
    shutil.rmtree(project(workdir), ignore_errors=True)
    search = workdir / SEARCH
    for path in (search, sealed_json.copy_of(search), workdir / BEST, workdir / "report.html"):
        path.unlink(missing_ok=True)


def _repair(workdir: Path, report: Report) -> None:
    """Restores files that have a copy, and refuses a folder that lacks one without.

    Raises:
      LensingError: the message names the file.
    """
    search, oracle = workdir / SEARCH, project(workdir) / ORACLE
    for path in (search, oracle, *(f / TRIAL for f in project(workdir).glob("trial_*"))):
        line = sealed_json.repair(path)
        if line is not None:
            report(line)
    for path in (search, oracle):
        if not path.exists() and any(project(workdir).glob("trial_*")):
            raise LensingError(
                f"{path} is missing, but there are trials: restore it, or --overwrite to start anew"
            )
