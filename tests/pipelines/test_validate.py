"""The command: what it prints and writes, how it fails."""

import json
import re

import numpy as np
import pytest
import tensorflow_datasets as tfds

from lensing_tfds import LensingConfig, simulate
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.records import tfrecord
from pipelines import validate

SMALL = LensingConfig(
    "small",
    npix=32,
    lx=32 * 4 / 60,
    oversampling=4,
    beam_arcmin=4.0,
    noise_uK_arcmin=5.0,
    num_examples={"train": 160, "validation": 20, "test": 20},
)


@pytest.fixture
def built(tmp_path):
    builder = Builder(config=SMALL, data_dir=tmp_path)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=3))
    return builder.data_path


def run(data_dir, *flags):
    validate.main(["--dataset", "lensing/small", "--data_dir", str(data_dir), *flags])


def fail(data_dir, capsys, *flags):
    with pytest.raises(SystemExit) as caught:
        run(data_dir, *flags)
    return caught.value.code, capsys.readouterr().err.splitlines()


def test_a_right_dataset(tmp_path, built, capsys):
    run(tmp_path)
    out = capsys.readouterr().out
    assert re.search(r"^ok   lensed TT +χ² [\d.]+ / \d+ +[\d.e-]+  [\d.]+% off theory", out, re.M)
    assert (
        "lensing/small: all " in out and "a right dataset fails with a probability of 0.1%" in out
    )
    result = json.loads((built / "validation.json").read_text())
    assert result["passed"] and result["schema"] == 1
    assert result["config"] == SMALL.to_json() and result["num_examples"] == SMALL.num_examples
    spectra = {spectrum["name"]: spectrum for spectrum in result["spectra"]}
    assert {"lensed TT", "κκ", "lensed T × κ", "unlensed TT", "κκ, Nyquist"} <= set(spectra)
    lists = [value for value in spectra["lensed TT"].values() if isinstance(value, list)]
    assert len(lists) == 9 and len({len(values) for values in lists}) == 1
    html = (built / "validation.html").read_text()
    assert html.count("<svg") == 0 and html.count("data:image/svg+xml") >= 6  # self-contained
    assert "passed" in html and "http" not in re.sub(r"data:image[^\"]+", "", html)
    assert (built / "validation.png").read_bytes().startswith(b"\x89PNG")
    assert not list(built.glob("validation-*"))


def test_the_report_goes_where_it_is_asked_to(tmp_path, built, capsys):
    run(tmp_path, "--split", "train", "--output", str(tmp_path / "report"))
    assert not (built / "validation.json").exists()
    result = json.loads((tmp_path / "report" / "validation.json").read_text())
    assert result["num_examples"] == {"train": 160}


def test_a_wrong_dataset_is_exit_status_1_and_says_what_is_off(tmp_path, built, capsys):
    path = sorted(built.glob("*train*-of-00003"))[1]
    examples = simulate(SMALL, "train", range(53, 106))
    examples["kappa"] = -examples["kappa"]
    examples["kappa"][4] = examples["kappa"][9]
    examples["lensed"][7, 3, 3] = np.nan
    path.write_bytes(b"".join(map(bytes, tfrecord.stretches([examples]))))
    code, lines = fail(tmp_path, capsys)
    assert code == 1
    assert "error: lensing/small: NaN or infinity in train 60 (lensed)" in lines
    assert any("train 57 and train 62 are the same" in line for line in lines)
    assert any("deflection strength: the response of the TT" in line for line in lines)
    result = json.loads((built / "validation.json").read_text())
    assert not result["passed"]
    assert "What is off." in (built / "validation.html").read_text()


def test_a_damaged_shard_is_one_line(tmp_path, built, capsys):
    path = sorted(built.glob("*train*-of-00003"))[1]
    path.write_bytes(path.read_bytes()[:-5])
    code, lines = fail(tmp_path, capsys)
    assert code == 2 and len(lines) == 1
    assert lines[0].startswith(f"error: shard {path} is truncated or corrupted (damaged record): ")


@pytest.mark.parametrize("kept", [0, 20])
def test_a_shard_that_ends_between_two_records_is_one_line(tmp_path, built, capsys, kept):
    path = sorted(built.glob("*train*-of-00003"))[1]
    content = path.read_bytes()
    path.write_bytes(content[: kept * len(content) // 53])  # all its records are of a size
    code, lines = fail(tmp_path, capsys)
    assert code == 2 and len(lines) == 1
    assert lines[0].startswith(f"error: shard {path} has {kept} of its 53 examples: ")


def test_bad_input_is_one_line(tmp_path, built, capsys):
    code, lines = fail(tmp_path, capsys, "--split", "test")
    assert code == 2 and lines[0].startswith("error: ") and "20 examples are too few" in lines[0]
    code, lines = fail(tmp_path / "elsewhere", capsys)
    assert code == 2 and "lensing/small is not in" in lines[0]
    code, lines = fail(tmp_path, capsys, "--spilt", "test")
    assert code == 2 and "knows the flag --spilt" in lines[0]
