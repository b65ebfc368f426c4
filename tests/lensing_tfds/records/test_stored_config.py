"""`simulate` by the name of a dataset that was built."""

import json
import subprocess
import sys

import numpy as np
import pytest

from lensing_tfds import LensingConfig, LensingError, simulate
from lensing_tfds.lensing_tfds_dataset_builder import Builder

TINY = LensingConfig(
    "tiny", npix=16, lx=5.0, seed=5, num_examples={"train": 2, "validation": 1, "test": 1}
)


def build(folder):
    built = Builder(config=TINY, data_dir=str(folder))
    built.download_and_prepare()
    return built


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    build(folder)
    return str(folder)


@pytest.mark.parametrize("name", ["tiny", "lensing/tiny"])
def test_a_dataset_of_ones_own_is_simulated_by_its_name(name, data_dir, monkeypatch):
    expected = simulate(TINY, "train", [3])["lensed"]
    np.testing.assert_array_equal(simulate(name, "train", [3], data_dir)["lensed"], expected)
    monkeypatch.setenv("TFDS_DATA_DIR", data_dir)
    np.testing.assert_array_equal(simulate(name, "train", [3])["lensed"], expected)


def test_a_version_by_its_datasets_name():
    expected = simulate("v7", "train", [0])
    np.testing.assert_array_equal(simulate("lensing/v7", "train", [0])["kappa"], expected["kappa"])


def test_neither_a_version_nor_a_dataset_is_one_line_with_the_remedy(tmp_path):
    for name in ("wide", "lensing/wide"):
        with pytest.raises(LensingError, match="'wide' is neither a version .*give data_dir=") as e:
            simulate(name, "train", [0], str(tmp_path))
        assert str(tmp_path) in str(e.value) and "\n" not in str(e.value)
    for name in ("mnist/wide", "lensing/wide/2", "lensing/"):
        with pytest.raises(LensingError, match=r"expected lensing/<config>"):
            simulate(name, "train", [0])


def test_what_a_dataset_says_of_itself_must_be_intact(tmp_path):
    path = build(tmp_path).data_path / "metadata.json"
    stored = json.loads(path.read_text())
    stored["config"]["noise_uK_arcmin"] = 3.0
    path.write_text(json.dumps(stored))
    with pytest.raises(LensingError, match=r"metadata.json is damaged.*: the command that built"):
        simulate("tiny", "train", [0], str(tmp_path))


def test_names_need_no_tfds(data_dir):
    program = f"""
import sys
for name in ("tensorflow", "tensorflow_datasets", "apache_beam", "keras", "etils"):
    sys.modules[name] = None  # importing it raises ImportError
import lensing_tfds
print(lensing_tfds.simulate("tiny", "train", [0], {data_dir!r})["lensed"].shape)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.splitlines() == ["(1, 16, 16, 1)"], result.stderr
