"""Two processes never work in one folder, and a killed one keeps nobody out."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lensing_tfds.errors import LensingError
from lensing_tfds.records import locks
from lensing_tfds.records.locks import LOCK, alone_in

HOLDS = """
import sys, time
from pathlib import Path
from lensing_tfds.records.locks import alone_in
with alone_in(Path(sys.argv[1]), "training"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(name="holder")
def holder_fixture(tmp_path):
    """Another process that holds the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_is_refused_and_told_who_the_first_is(tmp_path, holder):
    message = rf"another process is training in {tmp_path} \(process {holder.pid} on .*, since 20"
    with pytest.raises(LensingError, match=message), alone_in(tmp_path, "training"):
        pass


def test_a_killed_process_keeps_nobody_out(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert str(holder.pid) in (tmp_path / LOCK).read_text()
    with alone_in(tmp_path, "training"):
        text = (tmp_path / LOCK).read_text()
        assert f"process {os.getpid()} on" in text and str(holder.pid) not in text


def test_nothing_is_left_of_a_lock(tmp_path):
    with pytest.raises(KeyError), alone_in(tmp_path, "training"):
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_many_at_once_take_turns(tmp_path):
    """A lock's file is removed while others wait for it: none of them may hold the removed one."""
    inside, most, turns = 0, 0, 0

    def work():
        nonlocal inside, most, turns
        for _ in range(50):
            with alone_in(tmp_path, "counting", wait=True):
                inside += 1
                most = max(most, inside)
                turns += 1
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, turns) == (1, 8 * 50)


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    message = f"of {tmp_path} has no locks"
    with pytest.warns(UserWarning, match=message), alone_in(tmp_path, "training"):
        pass


def test_a_folder_that_is_none_is_named():
    message = "cannot write /dev/null/.lock: Not a directory"
    with pytest.raises(LensingError, match=message), alone_in(Path("/dev/null"), "training"):
        pass
