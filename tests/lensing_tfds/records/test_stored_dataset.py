"""A dataset is opened from its own files, without TFDS."""

import dataclasses
import sys

import pytest

from lensing_tfds import VERSIONS
from lensing_tfds.records.datasets import open_dataset
from lensing_tfds.records.stored_dataset import StoredDataset


def test_without_tfds_a_version_that_is_missing_is_built(tmp_path, monkeypatch):
    few = dict.fromkeys(("train", "validation", "test"), 2)
    small = dataclasses.replace(VERSIONS["v7"], num_examples=few)
    monkeypatch.setitem(VERSIONS, "v7", small)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    lines = []
    opened = open_dataset(small, str(tmp_path), lines.append)
    assert opened.plan("test").num_examples == 2
    assert lines[0] == f"lensing/v7 is not in {tmp_path} yet: building it, once"
    assert lines[1].startswith("lensing/v7: 6 examples, ")


@pytest.mark.parametrize("data_dir", ["/data", "s3://bucket/data", "data", "."])
def test_a_folder_says_where_its_datasets_are(data_dir):
    folder = "lensing/v7/2.0.0" if data_dir == "." else f"{data_dir}/lensing/v7/2.0.0"
    assert StoredDataset(folder, VERSIONS["v7"], "2.0.0", {}).data_dir == data_dir
