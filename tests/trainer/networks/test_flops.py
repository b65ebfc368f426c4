"""Operations are those that somebody counts by hand."""

import math

import keras
import pytest

from lensing_tfds.errors import LensingError
from tests.trainer.tasks import statistics, task
from trainer.networks import families
from trainer.networks.flops import flops
from trainer.networks.physical import in_physical_units

tf = pytest.importorskip("tensorflow")  # counts the operations of its own graphs

PIXELS = 16**2
TRANSFORM = 5 * PIXELS * math.log2(PIXELS)


def counted(name, stokes="T"):
    of = task(16, stokes)
    return flops(families.build(name, of, statistics(of), seed=0))


def test_a_stack_takes_what_a_hand_counts():
    """Standardised, two convolutions with their offsets, a ReLU, and back."""
    convolutions = 2 * 9 * 1 * 4 * PIXELS + 2 * 25 * 4 * 1 * PIXELS
    offsets, relu = (4 + 1) * PIXELS, 4 * PIXELS
    assert counted("1x4-5") == 2 * PIXELS + convolutions + offsets + relu + 2 * PIXELS


def test_whitening_takes_two_transforms_of_T_and_four_of_Q_and_U():
    """T there and back; Q and U there, E and B back, with both filters in one transform."""
    for stokes, there, back, channels in (("T", 1, 1, 2), ("QU", 2, 2, 4)):
        more = counted("whiten-1x4-3", stokes) - counted("1x4-3", stokes)
        inputs = {"T": 1, "QU": 2}[stokes]
        convolution = 2 * 9 * (channels - inputs) * 4 * PIXELS
        elementwise = more - convolution - (there + back) * TRANSFORM
        assert 0 < elementwise < 40 * PIXELS


def test_a_transposed_convolution_takes_two_a_weight_and_pixel_that_goes_in():
    """`unet-4x2x1` beside its own grid alone: what the coarse one takes is listed here."""
    convolutions = 2 * 9 * PIXELS * (2 * 4 + 4 * 4 * 4 + 4 * 1)
    coarse = PIXELS // 4
    convolutions += 2 * coarse * (4 * 4 * 8 + 4 * 9 * 8 * 8)  # down, two blocks
    convolutions += 2 * coarse * 4 * 8 * 4  # up
    rest = counted("unet-4x2x1") - convolutions - 2 * TRANSFORM
    assert 0 < rest < 0.2 * convolutions


def test_an_operation_that_takes_an_unknown_number_is_never_left_out():
    of = task(16, "QU")
    maps = keras.Input(of.input_shape)
    separable = keras.layers.SeparableConv2D(1, 3, padding="same")(maps)
    model = in_physical_units(keras.Model(maps, separable), of, statistics(of).scaling)
    with pytest.raises(LensingError, match="cannot count the operations of a DepthwiseConv2d"):
        flops(model)


def test_tensorflow_counts_the_convolutions_alike():
    of = task(16)
    model = families.build("unet-4x3x1", of, statistics(of), seed=0)
    spec = tf.TensorSpec((1, *of.input_shape))
    graph = tf.function(lambda x: model(x)).get_concrete_function(spec).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    theirs = tf.compat.v1.profiler.profile(graph, options=options).total_float_ops
    assert flops(model) - 2 * TRANSFORM == pytest.approx(theirs, rel=0.05)
