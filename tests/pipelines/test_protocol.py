"""Built datasets are compared with the protocol; maps of other skies are written to a disk."""

import pytest

from pipelines import protocol


def test_a_dataset_that_is_not_there_is_named_and_not_built(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        protocol.main(["--dataset", "lensing/v11", "--data_dir", str(tmp_path)])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("s3://bucket/skies", "--other_skies is s3://bucket/skies: maps are written to a disk"),
        ("{there}/file/skies", "cannot write to the folder {there}/file/skies/kappa-x-1.2"),
        ("~/file/skies", "cannot write to the folder {there}/file/skies/kappa-x-1.2"),
    ],
)
def test_a_folder_that_cannot_be_written_to_is_said_at_once(
    folder, message, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file").touch()
    folder = folder.replace("{there}", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        protocol.main(["--dataset", "lensing/v11", f"--other_skies={folder}"])
    assert ended.value.code == 2
    line = capsys.readouterr().err
    assert message.replace("{there}", str(tmp_path)) in line and line.count("\n") == 1
