"""A built dataset is opened from its own files; TFDS is needed where one is missing."""

import sys

import pytest

from lensing_tfds import VERSIONS, LensingError
from lensing_tfds.records.datasets import open_dataset
from lensing_tfds.records.stored_dataset import StoredDataset


def test_without_tfds_a_missing_version_is_one_line_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    line = (
        rf"lensing/v7 is not in {tmp_path} yet, and TensorFlow Datasets, which builds it, is not "
    )
    line += rf"installed: pip install 'lensing-tfds\[tfds\]' and run: tfds build .* {tmp_path}; or"
    with pytest.raises(LensingError, match=line) as error:
        open_dataset(VERSIONS["v7"], str(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data_dir", ["/data", "s3://bucket/data", "data", "."])
def test_a_folder_says_where_its_datasets_are(data_dir):
    folder = "lensing/v7/2.0.0" if data_dir == "." else f"{data_dir}/lensing/v7/2.0.0"
    assert StoredDataset(folder, VERSIONS["v7"], "2.0.0", {}).data_dir == data_dir
