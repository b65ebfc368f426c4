"""The U-Net: its names, its first weights, and that it knows no edge where the maps have none."""

import dataclasses

import keras
import numpy as np
import pytest

from lensing_tfds.errors import LensingError
from lensing_tfds.task import Task
from tests.trainer.tasks import statistics, task
from trainer.networks import families, unet
from trainer.networks.space import Choice
from trainer.settings.spaces import changed, space_for

SMALL = "unet-4x2x1"


def edged(of: Task) -> Task:
    return Task(dataclasses.replace(of.lensing, padding=2.0), of.dataset_version)


def core(name: str, of: Task, seed: int = 0) -> keras.Model:
    """The network between the layers that standardise."""
    network = unet.parse(name)
    assert network is not None
    return network.build(of, statistics(of), seed)


def alive(model: keras.Model, symmetric: bool = False) -> keras.Model:
    """Gives the weights that start at zero a value too; symmetric kernels on request."""
    rng = np.random.default_rng(1)
    values = []
    for weights in model.get_weights():
        new = rng.normal(size=weights.shape) / max(1, np.prod(weights.shape[:-1])) ** 0.5
        if symmetric and new.ndim == 4:
            new = new + new[::-1]
            new = new + new[:, ::-1]
            new = new + new.transpose(1, 0, 2, 3)
        values.append(new)
    model.set_weights(values)
    return model


def maps(of: Task, n: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, *of.input_shape)).astype(np.float32)


@pytest.mark.parametrize("name", ["unet", "unet-32x3x1", "unet-4x1x2"])
def test_the_name_of_a_u_net_is_the_one_it_was_parsed_from(name):
    assert families.parse(name).name == name


def test_the_default_has_a_name_of_its_own():
    assert unet.parse("unet") == unet.parse("unet-24x2x2") == unet.UNet(24, 2, 2)
    assert unet.parse("unet-24x2x2").name == "unet"


@pytest.mark.parametrize(
    "name", ["unet-", "unet-24", "unet-24x2", "unet-0x2x2", "unet-24x2x0", "unet-24x2x2\n", "Unet"]
)
def test_a_name_outside_the_grammar_is_refused_with_the_grammar(name):
    with pytest.raises(LensingError, match=r"unet, which is unet-24x2x2, or another unet-FxLxB"):
        families.parse(name)


def test_parameters_are_those_counted_by_hand():
    blocks = 4 * 2 * (9 * 24 + 1) * 24 + 4 * 2 * (9 * 48 + 1) * 48
    resampling = (4 * 24 + 1) * 48 + (4 * 48 + 1) * 24
    assert core("unet", task(16)).count_params() == (
        (9 * 2 + 1) * 24 + blocks + resampling + (9 * 24 + 1)
    )


@pytest.mark.parametrize("npix", [8, 9, 15, 26])
def test_maps_of_any_size_give_a_map_of_that_size(npix):
    for of in (task(npix, "QU"), edged(task(npix))):
        assert alive(core("unet-2x3x1", of))(maps(of)).shape == (2, npix, npix, 1)


def test_it_says_nothing_at_first_and_its_blocks_are_the_identity():
    of = task(16)
    model = core(SMALL, of)
    assert not np.any(model(maps(of)))
    adds = [layer for layer in model.layers if layer.name.startswith("add")]
    assert len(adds) == 5  # four blocks and one skip
    inner = keras.Model(model.input, [adds[0].input[0], adds[0].output])
    before, after = inner(maps(of))
    np.testing.assert_array_equal(before, after)


def test_the_seed_decides_the_first_weights_and_no_two_layers_share_theirs():
    of = task(16)
    first, again, other = (core(SMALL, of, seed).get_weights() for seed in (4, 4, 5))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    drawn = [w for w in first if w.ndim == 4 and w.any()]
    changed_ = [w for w in other if w.ndim == 4 and w.any()]
    assert all(not np.allclose(a, b) for a, b in zip(drawn, changed_, strict=True))
    blocks = [w for w in drawn if w.shape == (3, 3, 4, 4)]
    assert len(blocks) == 2 and not np.allclose(*blocks)


@pytest.mark.parametrize("axis", [1, 2])
def test_on_a_periodic_patch_a_shifted_map_gives_the_shifted_estimate(axis):
    of = task(18, "TQU")
    model = alive(core(SMALL, of))
    x = maps(of)
    estimate = np.asarray(model(x))
    shifted = np.asarray(model(np.roll(x, 6, axis)))  # by whole pixels of the coarse grid too
    np.testing.assert_allclose(shifted, np.roll(estimate, 6, axis), atol=1e-4 * estimate.std())
    # The test can tell: by half a coarse pixel it is not so.
    odd = np.asarray(model(np.roll(x, 5, axis))) - np.roll(estimate, 5, axis)
    assert odd.std() > 0.01 * estimate.std()


def test_with_edges_what_lies_at_the_opposite_edge_is_not_seen():
    of = task(32)
    periodic, cut = (alive(core("unet-2x1x1", each)) for each in (of, edged(of)))
    for model, sees in ((periodic, True), (cut, False)):
        # Behind the layer that whitens: Fourier modes are of the whole patch in any case.
        behind = keras.Model(model.layers[1].output, model.output)
        x = np.random.default_rng(0).normal(size=(1, 32, 32, 2)).astype(np.float32)
        other = x.copy()
        other[:, -1] += 1
        difference = np.abs(np.asarray(behind(x)) - np.asarray(behind(other)))
        assert (difference[:, :4].max() > 0) == sees
        assert difference[:, -4:].max() > 0


@pytest.mark.parametrize("npix", [16, 50])
def test_no_layer_moves_the_estimate_by_a_fraction_of_a_pixel(npix):
    """With kernels that are symmetric themselves, all eight symmetries commute with it."""
    of = task(npix)
    for each in (of, edged(of)):
        model = alive(core(SMALL, each), symmetric=True)
        x = maps(of)
        estimate = np.asarray(model(x))
        for change in (
            lambda m: m[:, ::-1],
            lambda m: m[:, :, ::-1],
            lambda m: m.transpose(0, 2, 1, 3),
        ):
            turned = np.asarray(model(np.ascontiguousarray(change(x))))
            np.testing.assert_allclose(turned, change(estimate), atol=1e-4 * estimate.std())


def test_an_odd_size_is_aligned_too_away_from_the_row_that_it_is_padded_by():
    """Beside the same maps on a larger patch: what stands where both see the same is the same."""
    npix = 17
    odd, even = (edged(task(n)) for n in (npix, npix + 17))
    x = np.random.default_rng(0).normal(size=(1, npix + 17, npix + 17, 2)).astype(np.float32)
    estimates = []
    for of in (odd, even):
        model = alive(core("unet-2x2x1", of))
        behind = keras.Model(model.layers[1].output, model.output)
        estimates.append(np.asarray(behind(x[:, : of.npix, : of.npix])))
    near = npix - 14  # rows that what lies behind the last cannot reach, all convolutions together
    np.testing.assert_allclose(
        estimates[0][:, :near, :near], estimates[1][:, :near, :near], atol=1e-5
    )


def test_a_search_varies_its_size():
    space = changed(space_for("v3"), {"family": "unet", "filters": [8, 24]})
    point = {name: d.extremes[0] for name, d in space.dimensions().items()}
    settings = space.settings(point | {"filters": 24, "levels": 2, "blocks": 2})
    assert settings["model"] == "unet"
    assert space.place("unet") == {"filters": 24, "levels": 2, "blocks": 2}
    assert space.place("unet-32x2x2") is space.place("2x8-3") is None
    assert space.levels == Choice((1, 2, 3))
    with pytest.raises(LensingError, match="blocks is 0: must be at least 1"):
        space.changed({"blocks": [0]})
