"""Files are there whole or not at all, and what the dead left behind is told from living work."""

import os
import subprocess
import sys
import time

import pytest

from lensing_tfds import LensingError
from lensing_tfds.records import storage


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with storage.writing(str(path)) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 2
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), storage.writing(str(path)) as file:
        file.write(b"new")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_or_read_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    path = f"{tmp_path}/file/inside"
    said = f"cannot write {path}: Not a directory"
    with pytest.raises(LensingError, match=said), storage.writing(path):
        pass
    with pytest.raises(LensingError, match=f"cannot read {path}"), storage.reading(path):
        pass
    assert storage.size(path) is None and storage.size(str(tmp_path / "file")) == 10


WRITE_FOR_EVER = """
import sys, time
from lensing_tfds.records import storage
with storage.writing(sys.argv[1]) as file:
    time.sleep(600)
"""


@pytest.fixture
def writer(tmp_path):
    """A process in the midst of writing."""
    process = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path / "file")])
    while not list(tmp_path.glob("*unfinished*")):
        assert process.poll() is None
        time.sleep(0.02)
    yield process
    process.kill()
    process.wait()


def test_the_living_are_left_alone(tmp_path, writer):
    storage.remove_abandoned(str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("reaped", [True, False])
def test_what_the_dead_left_is_removed(tmp_path, writer, reaped):
    writer.kill()
    if reaped:
        writer.wait()
    else:  # a zombie, as in a container whose first process does not wait for orphans
        os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)
    storage.remove_abandoned(str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_one_file_that_cannot_be_removed_does_not_keep_the_others(tmp_path):
    for number in range(9):
        path = tmp_path / f"shard{number}.unfinished-elsewhere-1-0123abcd"
        path.mkdir() if number == 1 else path.write_bytes(b"")
        os.utime(path, (time.time() - 7200,) * 2)
    storage.remove_abandoned(str(tmp_path))
    assert [path.name[:6] for path in tmp_path.iterdir()] == ["shard1"]


def test_another_machines_files_are_left_alone_until_they_are_old(tmp_path):
    path = tmp_path / "shard.unfinished-elsewhere-1-0123abcd"
    path.write_bytes(b"")
    storage.remove_abandoned(str(tmp_path))
    assert path.exists()
    os.utime(path, (time.time() - 7200,) * 2)
    storage.remove_abandoned(str(tmp_path))
    assert not path.exists()
