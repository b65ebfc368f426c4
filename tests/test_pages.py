"""The Python of README and docs/ runs as it stands; tables and the house's picture are true."""

import dataclasses
import importlib.util
import math
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import lensing_tfds
from lensing_tfds.configs import SPLITS
from lensing_tfds.records import building

ROOT = pathlib.Path(__file__).parents[1]
TEXTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
BLOCKS = {
    f"{name} {number}": block
    for name, text in TEXTS.items()
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A folder with the first examples of `lensing/v7`, built as the README says."""
    folder = tmp_path_factory.mktemp("data")
    lines = TEXTS["README.md"].splitlines()
    build = next(line for line in lines if line.startswith("tfds build"))
    tfds = pathlib.Path(sys.executable).with_name("tfds")
    flags = ["--data_dir", str(folder), "--max_examples_per_split", "4"]
    subprocess.run([tfds, *build.split()[1:], *flags], check=True, cwd=ROOT)
    few = dataclasses.replace(lensing_tfds.VERSIONS["v7"], num_examples=dict.fromkeys(SPLITS, 4))
    building.build(few, str(folder / "at_random"), None, "array_record")
    return folder


@pytest.mark.parametrize("block", BLOCKS)
def test_every_python_block_runs_as_it_stands(block, data_dir, tmp_path):
    """In an empty folder, by a new process, as a reader would."""
    for library in re.findall(r"^import (torch|grain)$", BLOCKS[block], re.MULTILINE):
        pytest.importorskip(library)  # 5 GB; `make test-backends` installs it
    (tmp_path / "at_random").symlink_to(data_dir / "at_random")
    environment = os.environ | {
        "TFDS_DATA_DIR": str(data_dir),
        "MPLBACKEND": "agg",
        "PYTHONPATH": str(ROOT),
    }
    program = BLOCKS[block] + "\nassert 'train' not in dir() or len(train) == 4\n"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, env=environment)
    if "maps.npz" in BLOCKS[block]:
        saved = np.load(tmp_path / "maps.npz")
        expected = lensing_tfds.simulate("v7", "train", range(16))
        for name in expected:
            np.testing.assert_array_equal(saved[name], expected[name])
        assert (tmp_path / "maps.png").read_bytes().startswith(b"\x89PNG")


def test_the_tested_python_is_all_that_there_is():
    assert len(BLOCKS) == sum(text.count("```py") for text in TEXTS.values())
    assert "maps.npz" in BLOCKS["README.md 0"] and "tfds.load" in BLOCKS["README.md 1"]
    assert "trainer.pretrained" in BLOCKS["docs/training.md 0"]


SHELL = {
    f"{name} {number}": block
    for name, text in TEXTS.items()
    for number, block in enumerate(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
}


@pytest.mark.parametrize("name", sorted({key.split()[0] for key in SHELL}))
def test_the_shells_lines_are_in_its_grammar_and_start_what_there_is(name):
    blocks = [block for key, block in SHELL.items() if key.split()[0] == name]
    for block in blocks:
        checked = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True)
        assert checked.stderr == "", block
        for module in re.findall(
            r"python -m ((?:trainer|tuning|pipelines|benchmarks)[\w.]*)", block
        ):
            assert importlib.util.find_spec(module) is not None, module


def test_the_readme_is_short():
    assert len(TEXTS["README.md"].splitlines()) < 200


def row_of(version):
    """The cells of a version's row."""
    lines = TEXTS["docs/versions.md"].splitlines()
    row = next(line for line in lines if line.startswith(f"| {version} "))
    return [cell.strip() for cell in row.split("|")[1:-1]]


def number(cell):
    return float(re.search(r"[\d.]+", cell).group())


@pytest.mark.parametrize("version", [f"v{n}" for n in range(1, 9)])
def test_the_table_of_the_studys_versions_says_what_the_configs_say(version):
    config = lensing_tfds.VERSIONS[version]
    _, patch, pixels, limits, times, noise, _ = row_of(version)
    npix, arcmin = re.fullmatch(r"(\d+) × ([\d.]+)′", pixels).groups()
    assert int(npix) == config.npix
    assert float(arcmin) == pytest.approx(config.pixel_arcmin, abs=0.05)
    assert number(patch) == pytest.approx(math.degrees(config.side), abs=0.05)
    limits = dict(re.findall(r"(T|κ) ≤ (\d+)", limits))
    assert limits.get("T") == (str(config.T_lmax) if config.T_lmax else None)
    assert limits.get("κ") == (str(config.kappa_lmax) if config.kappa_lmax else None)
    assert int(times) == config.kappa_exaggeration_factor
    assert (noise == "5 µK′") == (config.noise_uK_arcmin == 5)


@pytest.mark.parametrize("version", [v for v in lensing_tfds.VERSIONS if int(v[1:]) > 8])
def test_the_table_of_survey_versions_says_what_the_configs_say(version):
    config = lensing_tfds.VERSIONS[version]
    _, maps, patch, pixels, internal, beam, noise, labels, _ = row_of(version)
    assert maps == ", ".join(config.channels)
    npix, arcmin = re.fullmatch(r"(\d+) × ([\d.]+)′", pixels).groups()
    assert int(npix) == config.npix
    assert float(arcmin) == pytest.approx(config.pixel_arcmin, abs=0.005)
    assert number(patch) == pytest.approx(math.degrees(config.side), abs=0.005)
    assert number(internal) == pytest.approx(math.degrees(config.internal.pixel) * 60, abs=0.005)
    assert (number(beam), number(noise)) == (config.beam_arcmin, config.noise_uK_arcmin)
    assert ("unlensed E" in labels) == config.unlensed_E


SUMMED_UP = {
    "benchmark",
    "bandpowers",
    "filtering",
    "quadratic",
    "iterated",
    "posterior",
    "reports",
    "trispectrum",
    "networks",
    "data",
    "settings",
    "loop",
    "runs",
    "validation",
    "cards",
    "flink",
}
"""Folders that the picture shows as one room."""


@pytest.mark.parametrize(
    "package", ["lensing_tfds", "estimators", "trainer", "pipelines", "tuning"]
)
def test_the_picture_of_the_house_names_every_room(package):
    text = TEXTS["docs/development.md"]
    picture = re.search(rf"^    {package}/ .*?(?=^    \S|\n\n)", text, re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"\w+", picture.group()))
    folder = ROOT / package
    paths = [path.relative_to(folder) for path in folder.rglob("*.py")]
    rooms = {path.parts[0] if path.parts[0] in SUMMED_UP else path.stem for path in paths}
    assert rooms - {"__init__", "__main__"} <= named
