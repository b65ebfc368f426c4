"""What a network is shown: white, of unit variance, E and B as the house has them."""

import dataclasses

import keras
import numpy as np
import pytest

from lensing_tfds.errors import LensingError
from lensing_tfds.sky import polarization
from lensing_tfds.sky.binning import Bins
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.task import Task
from tests.trainer.tasks import statistics, task
from trainer.networks.scaling import Scaling
from trainer.networks.statistics import Statistics, fields, measure_statistics
from trainer.networks.whitening import Whiten, whitening

RNG = np.random.default_rng(0)
SIZES = (15, 16)


def falling(of: Task) -> Statistics:
    """Power that spans four orders, of maps that are standardised already."""
    rings = np.arange(Bins.fundamental(of.lensing.sky).num)
    power = of.lensing.sky.area / (1 + rings) ** 3
    ones = (1.0,) * len(of.inputs.channels)
    scaling = Scaling((0.0,) * len(ones), ones, (0.0,), (1.0,))
    return Statistics(scaling, dict.fromkeys(fields(of), tuple(power)))


def drawn(sky: FlatSky, power: tuple[float, ...], n: int) -> np.ndarray:
    """Half planes of Gaussian fields with some power in each ring."""
    white = sky.to_modes(RNG.normal(size=(n, sky.npix, sky.npix))) * sky.npix
    return white * np.sqrt(Bins.fundamental(sky).spread(np.array(power)) / sky.area)


def maps_of(of: Task, given: Statistics, n: int) -> np.ndarray:
    """Maps whose fields have the power that statistics say."""
    sky = of.lensing.sky
    modes = {name: drawn(sky, power, n) for name, power in given.ring_power.items()}
    if "E" in modes:
        modes["Q"], modes["U"] = polarization.to_qu(modes.pop("E"), modes.pop("B"), sky)
    maps = [sky.to_map(modes[name]) for name in of.inputs.channels]
    return np.stack(maps, axis=-1).astype(np.float32)


@pytest.mark.parametrize("npix", SIZES)
@pytest.mark.parametrize("stokes", ["T", "TQU"])
def test_fields_of_known_power_come_out_white_and_with_unit_variance(npix, stokes):
    of = task(npix, stokes)
    given = falling(of)
    maps = maps_of(of, given, 400)
    out = np.asarray(whitening(of, given)(maps))
    np.testing.assert_array_equal(out[..., 0], maps[..., 0])
    white = {"T": 1, "E": 3, "B": 5}
    sky = of.lensing.sky
    for name in fields(of):
        x = np.ascontiguousarray(out[..., white[name]])
        assert x.mean() == pytest.approx(0, abs=1e-6)
        modes = np.mean(np.abs(sky.to_modes(x)) ** 2, axis=0) * (npix**2 - 1)
        inner = sky.inner & (sky.ell > 0)  # E and B do not exist on Nyquist lines
        if name == "T":
            assert x.std() == pytest.approx(1, rel=0.01)
            inner = sky.ell > 0
        # 400 examples, 800 numbers a mode at most: 5 % to 7 % each, five sigma.
        np.testing.assert_allclose(modes[inner], 1, rtol=0.36)
        assert modes[inner].mean() == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("npix", SIZES)
def test_e_and_b_are_the_houses(npix):
    of = task(npix, "TQU")
    given = falling(of)
    maps = maps_of(of, given, 3)
    ones = [[1.0] * Bins.fundamental(of.lensing.sky).num]
    out = np.asarray(Whiten("TQU", dict.fromkeys("TEB", ones))(maps))
    sky = of.lensing.sky
    q, u = (sky.to_modes(maps[..., i].astype(float)) for i in (1, 2))
    expected = [maps[..., 0], maps[..., 0], *map(sky.to_map, polarization.to_eb(q, u, sky))]
    np.testing.assert_allclose(out, np.stack(expected, axis=-1), atol=1e-4 * maps.std())


def test_two_filters_of_a_field_are_as_if_each_were_alone():
    of = task(16, "QU")
    maps = maps_of(of, falling(of), 2)
    rings = Bins.fundamental(of.lensing.sky).num
    first, second = RNG.random((2, rings)).tolist()
    both = Whiten("QU", {"E": [first, second], "B": [second]})(maps)
    each = Whiten("QU", {"E": [first], "B": [second]})(maps)
    other = Whiten("QU", {"E": [second], "B": [second]})(maps)
    np.testing.assert_allclose(both[..., 0], each[..., 0], atol=1e-5)
    np.testing.assert_allclose(both[..., 1], other[..., 0], atol=1e-5)
    np.testing.assert_allclose(both[..., 2], each[..., 1], atol=1e-5)


def test_e_and_b_are_wiener_filtered_by_the_share_that_is_not_the_configs_noise():
    lensing = dataclasses.replace(task(16, "QU").lensing, noise_uK_arcmin=3.0)
    of = Task(lensing, "2.0.0")
    noise = 2 * np.radians(3 / 60) ** 2
    rings = Bins.fundamental(lensing.sky).num
    signal = 20 * noise * np.exp(-np.arange(rings))
    power = tuple((signal + noise).tolist())
    given = Statistics(statistics(of).scaling, {"E": power, "B": (0.5 * noise,) * rings})
    layer = whitening(of, given)
    wiener, white = (np.array(ring)[1:] for ring in layer.filters["E"])
    share = (signal / (signal + noise))[1:]
    np.testing.assert_allclose(wiener / wiener[0], share / share[0], rtol=1e-6)
    np.testing.assert_allclose(white / white[0], np.sqrt(power[1] / np.array(power[1:])), rtol=1e-6)
    assert not np.any(layer.filters["B"][0])  # less than the noise: nothing is left
    assert np.all(np.isfinite(layer.filters["B"][1]))


def test_power_below_the_rounding_of_single_precision_is_not_raised_to_the_others():
    of = task(16)
    power = [1.0] * Bins.fundamental(of.lensing.sky).num
    power[-1], power[-2] = 0.0, 1e-30
    ring = whitening(of, Statistics(statistics(of).scaling, {"T": tuple(power)})).filters["T"][0]
    assert ring[-1] == ring[-2] == pytest.approx(1e6 * ring[1], rel=0.1)


def test_the_power_is_that_of_the_examples_measured_and_of_no_others():
    of = task(16)
    batch = {
        "lensed": RNG.normal(0, 50, (20, 16, 16, 1)).astype(np.float32),
        "kappa": RNG.normal(size=(20, 16, 16, 1)),
    }
    first = whitening(of, measure_statistics([batch], of))
    louder = whitening(of, measure_statistics([batch | {"lensed": 9 * batch["lensed"]}], of))
    maps = batch["lensed"] / 50
    np.testing.assert_allclose(first(maps), louder(maps), rtol=1e-3)  # standardised, they are one
    # A layer gives each map what it gives it alone: nothing is measured when it is used.
    np.testing.assert_array_equal(first(maps)[:1], first(maps[:1]))


@pytest.mark.parametrize(
    ("filters", "shape", "message"),
    [
        ({"T": [[1.0] * 11]}, (2, 16, 16, 1), "filters of T have 11 rings: .* 12 rings of 16"),
        ({"T": [[1.0] * 13]}, (2, 16, 16, 1), "filters of T have 13 rings"),
        ({"T": [[1.0] * 12]}, (2, 15, 15, 1), "filters of T have 12 rings: .* 11 rings of 15"),
        ({"T": [[1.0] * 12] * 3}, (2, 16, 16, 1), "must be one or two"),
        ({"T": [[1.0] * 12]}, (2, 16, 15, 1), "must be square"),
        ({"T": [[1.0] * 12]}, (2, 16, 16, 2), "and of T"),
    ],
)
def test_rings_that_are_not_the_maps_are_refused(filters, shape, message):
    with pytest.raises(LensingError, match=message):
        Whiten("T", filters)(np.zeros(shape, np.float32))


def test_it_is_the_same_in_half_precision_and_after_a_trip_through_its_config():
    of = task(16, "TQU")
    given = falling(of)
    maps = maps_of(of, given, 2)
    layer = whitening(of, given)
    expected = np.asarray(layer(maps))
    keras.config.set_dtype_policy("mixed_float16")
    try:
        again = Whiten.from_config(layer.get_config())
        built = whitening(of, given)
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(again(maps), expected)
    np.testing.assert_array_equal(built(maps), expected)
    assert layer.compute_output_shape((None, 16, 16, 3)) == (None, *expected.shape[1:])
