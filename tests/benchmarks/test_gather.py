"""The gather in cache: the same instructions, on fine pixels that need not be waited for."""

import dataclasses

import numpy as np

from benchmarks import gather, hardware_limit
from lensing_tfds import VERSIONS, simulate
from lensing_tfds.sky import taps
from lensing_tfds.sky.kaiser_bessel import AFTER, BEFORE, fine_size

QUARTER = dataclasses.replace(VERSIONS["v11"], name="quarter", npix=64, lx=2.5)


def test_the_captured_call_lenses_an_example():
    call = gather.captured(QUARTER)
    values = call[-1]
    assert values.shape == (2, 1, 128, 128)
    values[...] = np.nan
    taps.gather(*call)
    # Q before the beam, on pixels half as large.
    coarse = values[0, 0].reshape(64, 2, 64, 2).mean((1, 3))
    example = simulate(QUARTER, "train", [0])["lensed"][0, :, :, 0]
    assert np.corrcoef(coarse.ravel(), example.ravel())[0, 1] > 0.8


def test_in_cache_all_points_lie_around_the_middle():
    call = gather.in_cache(gather.captured(QUARTER))
    _, side, shift_y, shift_x, to_fine_pixels, _, values = call
    npix, fine = values.shape[-1], fine_size(values.shape[-1])
    assert side == fine + BEFORE + AFTER
    start = np.arange(npix) * fine / npix
    y = start[:, None] + shift_y[0].astype(float) * float(to_fine_pixels)
    x = start + shift_x[0].astype(float) * float(to_fine_pixels)
    for place in (y, x):
        assert np.abs(place - fine / 2).max() < 20  # fine pixels: a few kB of each field
        assert place.std() > 0.5  # as the deflections: not one place in a line of the cache


def test_a_row_has_the_gather_below_its_example_and_above_its_roof(monkeypatch):
    monkeypatch.setattr(gather, "ROUNDS", 2)
    monkeypatch.setattr(gather, "SECONDS", 0.01)
    monkeypatch.setattr(hardware_limit, "TRIES", 5)
    name, fields, example, _, whole, cached, roof = gather.row(QUARTER)
    assert (name, fields) == ("quarter", "2")
    assert float(example) > float(whole) > float(roof) > 0
    assert float(cached) > float(roof)
