"""A chief and workers on this machine: started, watched, restarted under the same name, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from lensing_tfds.command_line import Terminated
from lensing_tfds.errors import LensingError
from tuning import cluster

_IP = "127.0.0.1"
_SUPERVISOR = "LENSING_TUNING_SUPERVISOR"  # the process that a chief or worker must not outlive
_LOOK_SECONDS = 0.5
_GRACE_SECONDS = 20.0  # to end in, before a kill
_START_SECONDS = 300.0  # for the chief to listen: it may have a dataset to build first
_MOST_WORKERS = 1_000  # on one machine: each is a process with a TensorFlow of its own
_DEATHS = 10  # of one worker, without a trial's end between them

Report = Callable[[str], None]


def supervise(
    command: Sequence[str],
    workers: int,
    port: int | None,
    ended_trials: Callable[[], int],
    report: Report = print,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Runs a chief and workers until the search has ended.

    A worker that dies is started again under its name, and gets its trial back. Each worker has
    its share of the cores to itself: TensorFlow would otherwise use them all in each.

    Args:
      command: what each of them runs, with Keras Tuner's environment variables set.
      workers: how many.
      port: the chief's; None takes a free one.
      ended_trials: how many trials have ended so far.
      report: prints a line.
      environment: of the processes, before those variables; None is this process's.

    Raises:
      LensingError: the port is taken; chief or workers end with an error of their own, which they
        have printed; or a worker dies again and again.
    """
    if workers < 1:
        raise LensingError(f"workers is {workers}: must be at least 1")
    if workers > _MOST_WORKERS:
        raise LensingError(f"workers is {workers}: must be at most {_MOST_WORKERS}")
    if port is None:
        port = cluster.free_port(_IP)
    elif not 0 < port < 2**16:
        raise LensingError(f"port is {port}: must be in [1, 65535]")
    cluster.refuse_taken_port(_IP, port)
    base = dict(os.environ if environment is None else environment)
    shares = core_shares(sorted(os.sched_getaffinity(0)), workers)
    names = [f"worker-{number}" for number in range(workers)]
    with _children() as children:

        def start(name: str) -> None:
            number = names.index(name)
            children.start(name, command, _environment(base, name, port, number), shares[number])

        chief = children.start("chief", command, _environment(base, "chief", port), None)
        _wait_until_listening(chief, port)
        for name in names:
            start(name)
        deaths = dict.fromkeys(names, 0)
        ended = ended_trials()
        while children.processes:
            time.sleep(_LOOK_SECONDS)
            for name, process in list(children.processes.items()):
                code = process.poll()
                if code is None:
                    continue
                del children.processes[name]
                if code == 0:
                    continue
                if name == "chief" or code > 0:
                    raise LensingError(
                        f"{name} ended with {_status(code)}: the search was stopped, and the same "
                        "command goes on with it"
                    )
                if ended_trials() > ended:
                    ended, deaths = ended_trials(), dict.fromkeys(names, 0)
                deaths[name] += 1
                if deaths[name] > _DEATHS:
                    raise LensingError(f"{name} died {deaths[name]} times, now of {_status(code)}")
                report(f"{name} died of {_status(code)}: starting it again")
                start(name)


def core_shares(cores: Sequence[int], workers: int) -> list[list[int]]:
    """Deals cores out: neighbours together, each to one worker as long as there are enough."""
    if workers >= len(cores):
        return [[cores[i % len(cores)]] for i in range(workers)]
    bounds = [len(cores) * i // workers for i in range(workers + 1)]
    return [list(cores[a:b]) for a, b in zip(bounds, bounds[1:], strict=False)]


@contextlib.contextmanager
def orderly_end() -> Iterator[None]:
    """Ends the block, not the process, when the process is asked to end.

    A chief or worker that a supervisor started also ends when that is gone, and says nothing: the
    supervisor does.
    """
    supervisor = os.environ.get(_SUPERVISOR)

    def end(number: int, frame: object) -> None:
        if supervisor is None:
            raise Terminated
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    if supervisor is not None:
        _watch(int(supervisor))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _watch(supervisor: int) -> None:
    def watch() -> None:
        while os.getppid() == supervisor:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


class _Children:
    """The processes that run now, by name."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen] = {}

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        cores: Sequence[int] | None,
    ) -> subprocess.Popen:
        before = os.sched_getaffinity(0)
        if cores is not None:
            os.sched_setaffinity(0, cores)  # inherited; TensorFlow makes as many threads
        try:
            # A session of its own: an interrupt from the keyboard is for the supervisor to pass on.
            process = subprocess.Popen(command, env=environment, start_new_session=True)
        finally:
            os.sched_setaffinity(0, before)
        self.processes[name] = process
        return process

    def end(self) -> None:
        """Asks all to end, workers first, and kills those that do not."""
        processes = list(self.processes.values())
        for process in reversed(processes):
            process.terminate()
        deadline = time.monotonic() + _GRACE_SECONDS
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def _children() -> Iterator[_Children]:
    children = _Children()
    try:
        yield children
    finally:
        children.end()


def _environment(base: Mapping[str, str], name: str, port: int, number: int = 0) -> dict[str, str]:
    environment = dict(base)
    gpus = [gpu for gpu in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
    if name == "chief":
        environment["CUDA_VISIBLE_DEVICES"] = "-1"  # it trains nothing
    elif len(gpus) > 1:
        environment["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    # Workers that share a GPU take what they need, not all of it.
    environment.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    return environment | {
        "KERASTUNER_TUNER_ID": name,
        "KERASTUNER_ORACLE_IP": _IP,
        "KERASTUNER_ORACLE_PORT": str(port),
        "no_proxy": ",".join(filter(None, (environment.get("no_proxy"), _IP))),
        _SUPERVISOR: str(os.getpid()),
    }


def _wait_until_listening(chief: subprocess.Popen, port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not cluster.answers(_IP, port):
        code = chief.poll()
        if code is not None:
            raise LensingError(f"the chief ended with {_status(code)}")
        if time.monotonic() > deadline:
            raise LensingError(f"the chief does not listen after {_START_SECONDS:g} s")
        time.sleep(_LOOK_SECONDS)


def _status(code: int) -> str:
    return f"status {code}" if code > 0 else signal.Signals(-code).name
