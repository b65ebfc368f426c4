import pytest

from lensing_tfds.errors import LensingError
from trainer.runs.run_config import read_config


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"lensing": {}, "dataset_version": ""}'])
def test_a_config_that_is_none_is_named(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(LensingError, match=f"{tmp_path}/config.json is not a run's config"):
        read_config(tmp_path)
