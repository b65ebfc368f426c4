"""The survey versions' speed: pixell does the same work, and the limit counts what we draw."""

import dataclasses

import numpy as np
import pytest

from benchmarks import hardware_limit, pixell_lensing, pixell_recipe, survey_speed
from lensing_tfds import VERSIONS, simulate

QUARTER = dataclasses.replace(VERSIONS["v11"], name="quarter", npix=64, lx=2.5)


def test_pixells_examples_have_the_power_of_ours():
    """In two bands, of 20 examples each: some 5 % of sample variance."""
    pytest.importorskip("pixell")
    config = dataclasses.replace(QUARTER, name="tqu", stokes="TQU", beam_arcmin=4.0)
    ours, theirs = simulate(config, "train", range(20)), pixell_recipe.Simulator(config)
    examples = [theirs.example() for _ in range(20)]
    sky = config.sky
    bands = [(sky.ell > low) & (sky.ell < high) for low, high in ((500, 2000), (2000, 4500))]
    for name, channels in config.map_features.items():
        made = np.array([example[name] for example in examples]).reshape(20, channels, 64, 64)
        for channel in range(channels):
            modes = [sky.to_modes(x) for x in (made[:, channel], _channel(ours[name], channel))]
            for band in bands:
                pixells, right = (np.mean(np.abs(m[:, band]) ** 2) for m in modes)
                assert pixells == pytest.approx(right, rel=0.2), (name, channel)


def _channel(maps, channel):
    return np.ascontiguousarray(maps[..., channel])


def test_both_codes_lens_the_same_fields_alike():
    pytest.importorskip("pixell")
    ours, _, theirs = survey_speed.lensing_alone(QUARTER)
    lensed = ours()
    right = theirs()
    inner = slice(13, -13)  # pixell's map is not periodic where it is padded
    for our_map, their_map in zip(lensed, right, strict=True):
        off = (our_map[0] - their_map)[inner, inner]
        assert off.std() < 1e-2 * their_map.std()  # lensing itself is 25 %


def test_the_limit_counts_every_number_that_is_drawn():
    need = hardware_limit.counts(VERSIONS["v10"])
    assert need.numbers == 3 * 512**2 + 3 * 256**2
    assert need.products == 512**2 * (2 * 8 * 6 + 3 * 64)
    # Two deflections and eight maps, each half of 5 N log2 N, are a good part.
    planes = 2 * 2.5 * 512**2 * 18 + 8 * 2.5 * 256**2 * 16
    assert planes < need.flops < 4 * planes


def test_a_row_with_ratios_and_the_arithmetic(monkeypatch, capsys):
    pytest.importorskip("pixell")
    monkeypatch.setattr(survey_speed, "ROUNDS", 1)
    monkeypatch.setattr(hardware_limit, "TRIES", 2)
    monkeypatch.setattr(pixell_lensing, "SECONDS", 0.01)
    survey_speed.compare("v11")
    survey_speed.print_limit()
    printed = capsys.readouterr().out
    row = printed.splitlines()[0].split("|")
    assert row[1].strip() == "v11" and float(row[2]) > float(row[3]) and "%" in row[9]
    assert printed.count("MFLOP") == len(survey_speed.NAMES)
