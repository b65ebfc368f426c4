"""The README's Python runs as it stands."""

import math
import pathlib
import re

import numpy as np
import pytest

import lensing_tfds

README = pathlib.Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_maps_alone_are_saved_as_npz_and_as_a_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    exec(compile(BLOCKS[0], "README.md", "exec"), {})
    saved = np.load("maps.npz")
    expected = lensing_tfds.simulate("v7", "train", range(16))
    for name in expected:
        np.testing.assert_array_equal(saved[name], expected[name])
    assert pathlib.Path("maps.png").read_bytes().startswith(b"\x89PNG")


def test_every_python_block_is_tested():
    assert len(BLOCKS) == 2
    assert 'tfds.load("lensing/v7"' in BLOCKS[1]  # test_lensing_tfds_dataset_builder loads v7


def row_of(version):
    """The cells of a version's row."""
    row = next(line for line in README.read_text().splitlines() if line.startswith(f"| {version} "))
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
