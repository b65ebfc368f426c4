"""Files are there whole or not at all, and what the dead left behind is told from living work."""

import contextlib
import errno
import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

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


def test_a_file_that_a_library_opens_is_the_old_one_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "last.keras"
    path.write_text("old")
    with storage.replacing(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".keras"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_an_interruption_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "last.keras"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), storage.replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_two_that_write_the_same_file_at_once_do_not_mix(tmp_path):
    path = tmp_path / "config.json"
    with storage.replacing(path) as mine, storage.replacing(path) as theirs:
        mine.write_text("mine")
        theirs.write_text("theirs")
    assert path.read_text() == "mine"  # the last to end
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_error_with_path_and_reason(tmp_path):
    message = f"cannot write {tmp_path}/a: No space left on device"
    with (
        pytest.raises(LensingError, match=message),
        storage.replacing(tmp_path / "a"),
        open("/dev/full", "w") as full,
    ):
        full.write("x")


def test_a_folder_that_cannot_be_made_is_an_error_with_path_and_reason(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        LensingError, match=f"cannot write to the folder {tmp_path}/file/run: Not a"
    ):
        storage.make_folder(tmp_path / "file" / "run")


def test_a_folder_is_made_with_its_parents_and_left_empty(tmp_path):
    storage.make_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_folder_is_made_by_many_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(storage.make_folder, [tmp_path / "run"] * 400))


WRITE_FOR_EVER = """
import sys, time
from lensing_tfds.records import storage
with storage.{0} as file:
    print("writing", flush=True)
    time.sleep(600)
"""
WAYS = ["writing(sys.argv[1])", "replacing(__import__('pathlib').Path(sys.argv[1]))"]


@contextlib.contextmanager
def a_writer(path, way=WAYS[0], through=()):
    """A process in the midst of writing a file."""
    code = WRITE_FOR_EVER.format(way)
    process = subprocess.Popen(
        [*through, sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "writing\n"
        yield process
    finally:
        process.kill()
        process.wait()


def unfinished(folder):
    return list(folder.glob("*unfinished*"))


@pytest.fixture(params=WAYS, ids=["writing", "replacing"])
def writer(request, tmp_path):
    with a_writer(tmp_path / "file", request.param) as process:
        yield process


def test_the_living_are_left_alone_however_long_they_are_silent(tmp_path, writer):
    (path,) = unfinished(tmp_path)
    os.utime(path, (time.time() - 7200,) * 2)
    storage.remove_abandoned(str(tmp_path))
    assert unfinished(tmp_path) == [path]


CAN_UNSHARE = (
    shutil.which("unshare") is not None
    and subprocess.run(["unshare", "-Urpf", "true"], capture_output=True, check=False).returncode
    == 0
)


@pytest.mark.skipif(not CAN_UNSHARE, reason="no namespace of process ids can be made here")
def test_containers_that_share_a_host_name_leave_each_others_files_alone(tmp_path):
    """In the writer's own namespace it is process 1 or 2, which here is another one or none."""
    through = ["unshare", "-Urpf", "--kill-child"]
    with a_writer(tmp_path / "file", through=through):
        storage.remove_abandoned(str(tmp_path))
        assert len(unfinished(tmp_path)) == 1
    deadline = time.monotonic() + 10
    while unfinished(tmp_path):  # the writer ends a moment after `unshare`, its parent
        assert time.monotonic() < deadline
        storage.remove_abandoned(str(tmp_path))


@pytest.mark.parametrize("reaped", [True, False])
def test_what_the_dead_left_is_removed(tmp_path, writer, reaped):
    writer.kill()
    if reaped:
        writer.wait()
    else:  # a zombie, as in a container whose first process does not wait for orphans
        os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)
    storage.make_folder(tmp_path)  # as whoever writes there next
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("way", ["writing", "replacing"])
def test_cleaning_up_never_takes_a_file_from_its_writer(tmp_path, way):
    """Also not between the moments when it is made and when it is locked."""
    ended = threading.Event()

    def clean():
        while not ended.is_set():
            storage.remove_abandoned(str(tmp_path))

    with ThreadPoolExecutor(2) as pool:
        cleaners = [pool.submit(clean) for _ in range(2)]
        try:
            for number in range(300):
                path = tmp_path / f"file{number}"
                if way == "writing":
                    with storage.writing(str(path)) as file:
                        file.write(b"whole")
                else:
                    with storage.replacing(path) as temporary:
                        temporary.write_bytes(b"whole")
                assert path.read_bytes() == b"whole"
                path.unlink()
        finally:
            ended.set()
        for cleaner in cleaners:
            cleaner.result()


def another_machines(folder, name="shard"):
    path = folder / f".unfinished-{'0123456789ab'}-{'ba9876543210'}-{name}"
    path.write_bytes(b"")
    return path


def test_one_file_that_cannot_be_removed_does_not_keep_the_others(tmp_path, monkeypatch):
    for number in range(9):
        path = another_machines(tmp_path, f"shard{number}")
        if number == 2:  # a folder that an export left
            path.unlink()
            path.mkdir()
            (path / "within").touch()
        os.utime(path, (time.time() - 7200,) * 2)
    unlink = os.unlink

    def refusing(path, **options):
        if str(path).endswith("shard1"):
            raise PermissionError(errno.EPERM, "not yours", path)
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", refusing)
    storage.remove_abandoned(str(tmp_path))
    assert [path.name[-6:] for path in tmp_path.iterdir()] == ["shard1"]


def test_another_machines_files_are_left_alone_until_they_are_old(tmp_path):
    path = another_machines(tmp_path)
    storage.remove_abandoned(str(tmp_path))
    assert path.exists()
    os.utime(path, (time.time() - 7200,) * 2)
    storage.remove_abandoned(str(tmp_path))
    assert not path.exists()


def test_where_files_cannot_be_locked_what_has_not_grown_for_an_hour_is_abandoned(
    tmp_path, monkeypatch
):
    def unsupported(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with storage.writing(str(tmp_path / "file")):
        storage.remove_abandoned(str(tmp_path))
        (path,) = unfinished(tmp_path)
    another = another_machines(tmp_path).rename(tmp_path / path.name)  # of this machine, dead
    storage.remove_abandoned(str(tmp_path))
    assert another.exists()
    os.utime(another, (time.time() - 7200,) * 2)
    storage.remove_abandoned(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
