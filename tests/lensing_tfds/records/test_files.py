import pytest

from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import make_folder, replacing


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "last.keras"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".keras"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "last.keras"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_error_with_path_and_reason(tmp_path):
    message = f"cannot write {tmp_path}/a: No space left on device"
    with (
        pytest.raises(LensingError, match=message),
        replacing(tmp_path / "a"),
        open("/dev/full", "w") as full,
    ):
        full.write("x")


def test_a_folder_that_cannot_be_made_is_an_error_with_path_and_reason(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        LensingError, match=f"cannot write to the folder {tmp_path}/file/run: Not a"
    ):
        make_folder(tmp_path / "file" / "run")


def test_a_folder_is_made_with_its_parents_and_left_empty(tmp_path):
    make_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
