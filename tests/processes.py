"""Processes of a test, as the kernel knows them."""

import contextlib
import os
import pathlib
import signal
import time


def writer_of(path: pathlib.Path) -> int | None:
    """The id of a process that has the file open; None if there is none, or no such file."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or is another user's
            if any(os.readlink(file) == str(path) for file in (process / "fd").iterdir()):
                return int(process.name)
    return None


def is_dead(pid: int) -> bool:
    """Whether a process has ended, if only as a zombie that nobody has asked how."""
    try:
        return _status(pid)[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def living(session: int) -> dict[int, str]:
    """The processes of a session that live: ids and command lines."""
    found = {}
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, _, its_session = _status(int(process.name))[:4]
            if int(its_session) == session and state != "Z":
                found[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ")
    return found


def assert_all_end(session: int, seconds: float = 15) -> None:
    """Waits until no process of a session lives; kills those that stay."""
    deadline = time.monotonic() + seconds
    while (left := living(session)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def _status(pid: int) -> list[str]:
    """State, parent, group, session, ... as in `man proc_pid_stat`, from the third field on."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
