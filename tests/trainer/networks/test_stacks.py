import keras
import numpy as np
import pytest

from lensing_tfds.errors import LensingError
from tests.trainer.tasks import TRAINED, statistics, task
from trainer.networks import families, stacks
from trainer.networks.family import FittedNetwork, StartingNetwork

WHITENED = "whiten-2x8-3"


def core(name: str, npix: int, seed: int) -> keras.Model:
    """The network between the layers that standardise."""
    network = families.parse(name)
    assert not isinstance(network, FittedNetwork | StartingNetwork)
    return network.build(task(npix), statistics(task(npix)), seed)


def test_a_name_gives_its_layers():
    parsed = stacks.parse("4x64-1x32-9")
    assert parsed.filters == [64, 64, 64, 64, 32]
    assert parsed.last_kernel == 9
    assert parsed.upsampling == 1


def test_hires_is_six_layers_of_64_on_a_grid_twice_as_fine():
    assert stacks.parse("hires") == stacks.Stack(((6, 64),), 3, upsampling=2)


@pytest.mark.parametrize(
    "name", ["hires", "4x64-1x32-9", "hires-3x16-5", "whiten-hires", "whiten-2x8-3"]
)
def test_the_name_of_a_stack_is_the_one_it_was_parsed_from(name):
    assert stacks.parse(name).name == name


@pytest.mark.parametrize(
    "name",
    ["", "64", "9", "4x64", "4x64-", "-9", "4x64-9-", "4x64--9", "0x64-9", "4x0-9", "4x64-0"]
    + ["4x64-8", "4X64-9", " 4x64-9", "4x64-9\n", "4x64-1x32", "hires-3", "04x64-9"]
    + ["whiten-", "whiten-unet", "whiten-whiten-2x8-3"],
)
def test_a_name_outside_the_grammar_is_refused_with_the_grammar_and_an_example(name):
    with pytest.raises(LensingError, match=r"LxF-\.\.\.-K .* as in 4x64-1x32-9; or hires"):
        families.parse(name)


# Counted by hand: a Conv2D(F, K) over C channels has K²·C·F weights and F biases.
PARAMETERS = {
    "2x64-1x32-9": 58_625,
    "4x64-9": 116_609,
    "4x64-1x32-9": 132_481,
    "6x64-3": 185_857,
    "hires": 185_857,
    "12x32-3": 102_337,
    "24x16-3": 53_665,
    "48x8-3": 27_601,
    "10x64-9": 338_177,
    "5x64-1x32-3": 167_105,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts_are_those_counted_by_hand(name):
    assert core(name, 50, seed=0).count_params() == PARAMETERS[name]


@pytest.mark.parametrize("name", TRAINED)
def test_every_studied_network_maps_a_patch_to_a_patch(name):
    model = core(name, 15, seed=0)
    assert model.output_shape == (None, 15, 15, 1)


def test_layers_are_relu_with_same_padding_and_the_last_is_linear():
    convolutions = core("2x8-1x4-5", 16, seed=0).layers[1:]
    assert [layer.kernel_size for layer in convolutions] == [(3, 3)] * 3 + [(5, 5)]
    assert [layer.activation.__name__ for layer in convolutions] == ["relu"] * 3 + ["linear"]
    assert {layer.padding for layer in convolutions} == {"same"}


def test_kernels_start_orthogonal():
    kernel = core("2x8-3", 16, seed=0).layers[2].kernel
    columns = np.asarray(kernel).reshape(-1, 8)
    np.testing.assert_allclose(columns.T @ columns, np.eye(8), atol=1e-5)


def test_the_seed_decides_the_initial_weights_and_nothing_else_does():
    keras.utils.set_random_seed(1)
    weights = core("3x8-3", 16, seed=4).get_weights()
    keras.utils.set_random_seed(2)
    again = core("3x8-3", 16, seed=4).get_weights()
    other = core("3x8-3", 16, seed=5).get_weights()
    for a, b in zip(weights, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(weights[0], other[0])


def test_layers_of_one_shape_start_with_different_weights():
    weights = core("3x8-3", 16, seed=4).get_weights()
    assert weights[2].shape == weights[4].shape
    assert not np.allclose(weights[2], weights[4])


def test_hires_convolves_on_the_fine_grid_and_ends_on_the_coarse_one():
    model = core("hires", 10, seed=0)
    sides = [layer.output.shape[1] for layer in model.layers]
    assert sides == [10, 20] + [20] * 6 + [10, 10]


def test_a_whitened_stack_is_the_same_stack_behind_the_layer_that_whitens():
    of = task(16, "TQU")
    plain, white = (families.parse(n).build(of, statistics(of), 3) for n in ("2x8-3", WHITENED))
    names = [layer.name for layer in white.layers]
    assert names == ["lensed", "whiten", *(layer.name for layer in plain.layers[1:])]
    assert white.layers[1].output.shape == (None, 16, 16, 6)
    shapes = [[w.shape for w in layer.get_weights()] for layer in plain.layers[2:]]
    assert [[w.shape for w in layer.get_weights()] for layer in white.layers[3:]] == shapes


def test_only_a_plain_stack_can_be_whitened():
    assert families.whitened("2x8-3") == WHITENED
    for name in (WHITENED, "unet"):
        with pytest.raises(LensingError, match=f"{name} cannot be whitened, or is already"):
            families.whitened(name)
