import pytest

from lensing_tfds.errors import LensingError
from trainer.runs.run import load_run


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(LensingError, match=f"{tmp_path} holds no run"):
        load_run(tmp_path)
