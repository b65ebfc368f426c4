"""The README's Python runs as it stands."""

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


@pytest.mark.parametrize("version", lensing_tfds.VERSIONS)
def test_the_table_of_versions_says_what_the_configs_say(version):
    config = lensing_tfds.VERSIONS[version]
    row = next(line for line in README.read_text().splitlines() if line.startswith(f"| {version} "))
    npix, arcmin = re.search(r"(\d+) × ([\d.]+)′ \|", row).groups()
    assert int(npix) == config.npix
    assert float(arcmin) == pytest.approx(config.pixel_arcmin, abs=0.05)
    limits = dict(re.findall(r"(T|κ) ≤ (\d+)", row))
    assert limits.get("T") == (str(config.T_lmax) if config.T_lmax else None)
    assert limits.get("κ") == (str(config.kappa_lmax) if config.kappa_lmax else None)
    assert int(row.split("|")[5]) == config.kappa_exaggeration_factor
    assert ("5 µK′" in row) == (config.noise_uK_arcmin == 5)
