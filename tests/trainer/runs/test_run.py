import pytest

from lensing_tfds.errors import LensingError
from trainer.runs.run import load_run


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(LensingError, match=f"{tmp_path} holds no run"):
        load_run(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"lensing": {}, "dataset_version": ""}'])
def test_a_config_that_is_none_is_named(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(LensingError, match=f"{tmp_path}/config.json is not a run's config"):
        load_run(tmp_path)
