"""Examples: pure functions of (physics, seed, split, index), the same in whatever company."""

import dataclasses
import math
import re
import subprocess
import sys

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from lensing_tfds import LensingConfig, LensingError, simulate
from lensing_tfds.configs import SPLITS
from lensing_tfds.field_numbers import TEMPERATURE
from lensing_tfds.simulation import Simulator, block_size
from lensing_tfds.sky import lensing
from lensing_tfds.sky.random_numbers import NormalStream
from lensing_tfds.versions import VERSIONS

FEATURES = ("lensed", "unlensed", "kappa")


def assert_same(these, those):
    for name in these:
        np.testing.assert_array_equal(these[name], those[name], err_msg=name)


@pytest.mark.parametrize(
    "config",
    [*VERSIONS.values(), LensingConfig("odd", 51, lx=5.0), LensingConfig("large", 200, lx=5.0)],
    ids=lambda config: config.name,
)
def test_an_example_is_the_same_bits_in_any_batch_at_any_place(config):
    count = min(block_size(config.npix), 24) + 4
    together = simulate(config, "train", range(count))
    alone = [simulate(config, "train", [index]) for index in (0, 3, count - 1)]
    for example, index in zip(alone, (0, 3, count - 1), strict=True):
        assert_same(example, {name: together[name][index : index + 1] for name in together})
    backwards = simulate(config, "train", range(count)[::-1])
    assert_same(backwards, {name: together[name][::-1] for name in together})


def test_shapes_dtypes_and_units():
    maps = simulate("v7", "test", range(40))
    for name in FEATURES:
        assert maps[name].shape == (40, 50, 50, 1) and maps[name].dtype == np.float32
    assert maps["index"].dtype == np.int64 and list(maps["index"]) == list(range(40))
    assert 60 < maps["unlensed"].std() < 130  # µK
    assert 0.02 < maps["kappa"].std() < 0.05


def test_v1_shares_one_unlensed_map_and_v2_does_not():
    v1 = [simulate("v1", split, range(3))["unlensed"] for split in ("train", "test")]
    assert all(np.array_equal(one, v1[0][0]) for maps in v1 for one in maps)
    v2 = simulate("v2", "train", range(3))["unlensed"]
    assert not np.array_equal(v2[0], v2[1])
    assert abs(np.corrcoef(v2[0].ravel(), v2[1].ravel())[0, 1]) < 0.6
    assert not np.array_equal(simulate("v1", "train", [0])["kappa"], v1[0])


def test_splits_seeds_and_indices_are_different_skies():
    reference = simulate("v4", "train", [0])
    for other in (
        simulate("v4", "validation", [0]),
        simulate("v4", "test", [0]),
        simulate("v4", "train", [1]),
        simulate(dataclasses.replace(VERSIONS["v4"], name="other", seed=1), "train", [0]),
    ):
        for name in FEATURES:
            assert not np.array_equal(other[name], reference[name])


def test_no_random_number_serves_twice(monkeypatch):
    """Not in two fields, examples or splits, nor in the one unlensed map of `fixed_unlensed`."""
    drawn = []
    fill = NormalStream.fill

    def spy(self, indices, field, normals):
        drawn.extend((*self._key, index, field) for index in indices)
        fill(self, indices, field, normals)

    monkeypatch.setattr(NormalStream, "fill", spy)
    for split in SPLITS:
        list(Simulator(VERSIONS["v8"], split).examples(range(block_size(50))))
    assert len(set(drawn)) == len(drawn) == 3 * 3 * block_size(50)
    of_v8 = set(drawn)
    drawn.clear()
    list(Simulator(VERSIONS["v1"], "train").examples(range(2 * block_size(50))))
    shared = [address for address in drawn if address[-1] == TEMPERATURE]
    assert len(shared) == 1 and shared[0] not in of_v8  # the two have the same seed


def test_configs_share_a_sky_whatever_their_names_and_sizes():
    v3, v4 = (simulate(version, "train", [5]) for version in ("v3", "v4"))
    np.testing.assert_array_equal(v3["unlensed"], v4["unlensed"])
    np.testing.assert_allclose(v3["kappa"], 10 * v4["kappa"], rtol=1e-5, atol=1e-6)
    renamed = dataclasses.replace(
        VERSIONS["v4"], name="mine", num_examples={"train": 9, "validation": 1, "test": 1}
    )
    assert_same(simulate(renamed, "train", [5]), v4)


def test_the_label_is_the_exaggerated_kappa_and_lmax_cuts_the_input():
    config = VERSIONS["v1"]
    maps = simulate(config, "train", range(2))
    ell_1d = 2 * np.pi * np.fft.fftfreq(config.npix, config.side / config.npix)
    ell = np.hypot(ell_1d[:, None], ell_1d[None, :])
    for name, lmax in (("unlensed", config.T_lmax), ("kappa", config.kappa_lmax)):
        power = np.abs(np.fft.fft2(maps[name][..., 0].astype(float))) ** 2
        assert power[:, ell > lmax].max() < 1e-9 * power.max()
        assert np.all(power[:, (ell > 0) & (ell <= lmax)] > 0)


def test_examples_stream_in_blocks():
    simulator = Simulator(VERSIONS["v7"], "train")
    blocks = list(simulator.examples(range(2 * simulator.block_size + 5)))
    assert [len(block["index"]) for block in blocks] == [simulator.block_size] * 2 + [5]


@pytest.mark.parametrize("version", ["v1", "v6", "v8"])
def test_blocks_stay_as_they_were_whatever_is_simulated_next(version):
    """Scratch memory is neither given away nor shared, by two users of one simulator even."""
    simulator = Simulator(VERSIONS[version], "train")
    count = 2 * simulator.block_size
    ones, others = simulator.examples(range(count)), simulator.examples(range(7, 7 + count))
    pairs = list(zip(ones, others, strict=True))
    for which, start in ((0, 0), (1, 7)):
        expected = simulate(VERSIONS[version], "train", range(start, start + count))
        for name, values in expected.items():
            blocks = np.concatenate([pair[which][name] for pair in pairs])
            np.testing.assert_array_equal(blocks, values, err_msg=name)


def direct_lensed(example, config, iy, ix):
    """The sum over all modes of the unlensed map, at the deflected positions of some pixels."""
    sky, npix = config.sky, config.npix
    unlensed, kappa = (example[name][0, ..., 0].astype(float) for name in ("unlensed", "kappa"))
    d_y, d_x = lensing.deflection_from_kappa(sky.to_modes(kappa), sky)
    frequency = np.fft.fftfreq(npix, 1 / npix)
    wave_y = np.exp(2j * np.pi / npix * np.outer(iy + d_y[iy, ix] / sky.pixel, frequency))
    wave_x = np.exp(2j * np.pi / npix * np.outer(ix + d_x[iy, ix] / sky.pixel, frequency))
    return np.sum(wave_y @ (np.fft.fft2(unlensed) / npix**2) * wave_x, axis=1).real


def test_a_pixel_whose_point_is_just_beyond_the_edge():
    """It was 30.90: `nufft`'s wrap was off by a cell where its fine grid has 486 pixels."""
    config = LensingConfig("x", npix=344, lx=344 / 60, seed=3)
    example = simulate(config, "train", [0])
    (expected,) = direct_lensed(example, config, np.array([15]), np.array([343]))
    assert expected == pytest.approx(38.46, abs=5e-3)
    assert example["lensed"][0, 15, 343, 0] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("npix", [40, 41])
def test_points_that_lie_several_periods_away(npix):
    """All pixels at an exaggeration of 1000, against the direct sum."""
    config = LensingConfig("far", npix=npix, lx=10.0, kappa_exaggeration_factor=1000.0)
    iy, ix = (axis.ravel() for axis in np.indices((npix, npix)))
    for index in range(8):
        example = simulate(config, "train", [index])
        expected = direct_lensed(example, config, iy, ix)
        error = example["lensed"][0, ..., 0].ravel() - expected
        # Deflections of thousands of pixels are float32 numbers, and T changes by its rms a pixel.
        assert np.abs(error).max() < 5e-3 * expected.std()


def test_bad_requests_are_named():
    with pytest.raises(LensingError, match="unknown split 'dev'; the splits are train"):
        simulate("v7", "dev", [0])
    with pytest.raises(LensingError, match="no indices"):
        simulate("v7", "train", [])
    with pytest.raises(LensingError, match="one is -1"):
        simulate("v7", "train", [-1])
    with pytest.raises(LensingError, match="indices must be integers"):
        simulate("v7", "train", [0.7])


def test_maps_need_neither_tensorflow_nor_tfds_nor_beam():
    program = """
import sys
for name in ("tensorflow", "tensorflow_datasets", "apache_beam", "keras"):
    sys.modules[name] = None  # importing it raises ImportError
import lensing_tfds
print("numba" in sys.modules)  # slow to import: only when something is simulated
print(lensing_tfds.simulate("v7", "train", [0])["lensed"].shape)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.splitlines() == ["False", "(1, 50, 50, 1)"], result.stderr


def bound_of(fields, field, impossible):
    """The bound that a config names, when given what is beyond it."""
    with pytest.raises(LensingError, match=f"{field} is") as caught:
        LensingConfig(**fields | {field: impossible})
    low, high = re.search(r"from (\S+) to (\S+)$", str(caught.value)).groups()
    return int(low) if isinstance(impossible, int) else float(high)


@st.composite
def extreme_configs(draw):
    """Configs at the bounds of what is accepted, where modes run out."""
    number = st.floats(0.0, 1.0)
    fields = {
        "name": "x",
        "npix": draw(st.integers(8, 20)),
        "lx": 10 ** (math.log10(0.0225) + draw(number) * math.log10(90 / 0.0225)),
        "stokes": draw(st.sampled_from(["T", "TQU", "QU"])),
        "padding": draw(st.sampled_from([1, 2, 8])),
        "oversampling": draw(st.sampled_from([1, 3])),
    }
    fields["lx"] = draw(st.sampled_from([fields["lx"], 20.0, 0.0225, 90.0, 5.0, 22.9]))
    fields["unlensed_E"] = "Q" in fields["stokes"]
    hypothesis.assume(fields["lx"] > 0.0319 or fields["stokes"] == "T")
    for field in ("T_lmax", "kappa_lmax"):
        if draw(st.booleans()):
            fields[field] = bound_of(fields, field, 1)
    if draw(st.booleans()):
        fields["beam_arcmin"] = 0.999 * bound_of(fields, "beam_arcmin", 1e6)
    return LensingConfig(**fields)


@hypothesis.settings(max_examples=60)
@hypothesis.given(extreme_configs())
def test_no_config_that_is_accepted_gives_an_empty_map(config):
    """Every map of an example has something in it, and is finite."""
    example = simulate(config, "train", [3])
    for name in config.map_features:
        for channel in range(example[name].shape[-1]):
            values = example[name][0, ..., channel]
            assert np.isfinite(values).all() and np.abs(values).max() > 0, (name, channel)
