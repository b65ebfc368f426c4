"""Built datasets are compared with the protocol; none is built for that."""

import pytest

from pipelines import protocol


def test_a_dataset_that_is_not_there_is_named_and_not_built(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        protocol.main(["--dataset", "lensing/v11", "--data_dir", str(tmp_path)])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())
