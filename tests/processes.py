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
    """Says whether a process has ended, if only as a zombie that nobody has asked how."""
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


def listening(session: int) -> set[str]:
    """The addresses on which the processes of a session wait for connections, as `/proc/net` says.

    On a little-endian machine `0100007F` is 127.0.0.1, and thirty-two zeros every interface.
    """
    sockets, addresses = set(), set()
    for pid in living(session):
        with contextlib.suppress(OSError):
            for file in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    sockets.add(os.readlink(file))
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                addresses.add(local.partition(":")[0])
    return addresses


LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
"""127.0.0.1, ::1 and ::ffff:127.0.0.1, as `listening` has them."""


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
