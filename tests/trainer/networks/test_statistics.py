import dataclasses
import itertools

import numpy as np
import pytest

from estimators.quadratic.fields import fields_of
from lensing_tfds.errors import LensingError
from tests.trainer.tasks import statistics, task
from trainer.networks import families
from trainer.networks.scaling import measure_scaling
from trainer.networks.statistics import fields, measure_statistics

TQU = task(15, "TQU")


def draw(n: int, of=TQU) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "lensed": rng.normal(3, 50, size=(n, *of.input_shape)).astype(np.float32),
        "kappa": rng.normal(0, 0.2, size=(n, *of.label_shape)).astype(np.float32),
    }


def test_each_fields_power_is_its_mean_over_the_rings_modes_and_all_examples():
    batch, sky = draw(20), TQU.lensing.sky
    measured = measure_statistics([batch], TQU)
    full = np.fft.fftfreq(15) * 15
    radius = np.rint(np.hypot(full[:, None], full)).astype(int)
    for name, modes in fields_of(batch["lensed"], "TQU", sky).items():
        power = np.mean(np.abs(sky.full_plane(modes)) ** 2, axis=0) * sky.area
        expected = [power[radius == ring].mean() for ring in range(radius.max() + 1)]
        np.testing.assert_allclose(measured.ring_power[name], expected, rtol=1e-4, atol=1e-12)


def test_white_noise_has_the_power_of_its_pixels():
    of = task(32)
    power = np.array(measure_statistics([draw(200, of)], of).ring_power["T"])
    white = 50**2 * of.lensing.sky.pixel**2
    # Rings of thousands of modes in all examples; the last, in the corners, has a few hundred.
    np.testing.assert_allclose(power[3:-2], white, rtol=0.08)


def test_batches_of_any_size_give_the_same_and_the_scaling_bit_for_bit():
    whole = draw(12)
    parts = [{k: v[a:b] for k, v in whole.items()} for a, b in itertools.pairwise((0, 5, 6, 12))]
    measured, again = measure_statistics(iter(parts), TQU), measure_statistics([whole], TQU)
    assert measured.scaling == measure_scaling(parts, TQU)
    for name in fields(TQU):
        np.testing.assert_allclose(measured.ring_power[name], again.ring_power[name], rtol=1e-5)


@pytest.mark.parametrize(
    ("stokes", "names"), [("T", ("T",)), ("QU", ("E", "B")), ("TQU", ("T", "E", "B"))]
)
def test_the_fields_are_those_that_the_channels_hold(stokes, names):
    assert fields(task(16, stokes)) == names
    assert tuple(measure_statistics([draw(2, task(16, stokes))], task(16, stokes)).ring_power) == (
        names
    )


@pytest.mark.parametrize("power", [(), (0.0, 0.0), (1.0, np.nan), (1.0, np.inf), (1.0, -1.0)])
def test_impossible_power_is_refused(power):
    with pytest.raises(LensingError, match="ring_power of T is .*must be finite, not negative"):
        dataclasses.replace(statistics(task(16)), ring_power={"T": power})


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (task(16), "ring_power is of T: maps of T, Q, U have T, E, B"),
        (task(16, "TQU"), "ring_power of T has 12 rings: maps of 15 x 15 pixels have 11"),
    ],
)
def test_statistics_of_other_maps_build_no_network(other, message):
    with pytest.raises(LensingError, match=message):
        families.build("2x4-3", TQU, statistics(other), seed=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_maps_that_are_not_finite_are_refused(value):
    batch = draw(2)
    batch["lensed"][1, 2, 3] = value
    with pytest.raises(LensingError, match="input_"):
        measure_statistics([batch], TQU)
