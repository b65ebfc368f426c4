"""Networks on masked maps: their filter, their mask, and what they do where nothing was seen."""

import dataclasses
import pathlib

import keras
import numpy as np
import pytest

from estimators.filtering.masked_maps import refuse_another_mask
from estimators.filtering.masked_patch import MaskedPatch, window_of
from estimators.iterated.filtered_template import ByFilteredTemplate
from estimators.iterated.fitting import fit
from estimators.iterated.iterated_estimator import StagedEstimator
from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.task import Task
from tests.trainer.networks.kinds import KINDS, TABLE, sample_of
from tests.trainer.tasks import scaling
from trainer.networks import families, iterated
from trainer.networks.filter_layers import SeenMaps, WienerFilter
from trainer.networks.flops import flops
from trainer.networks.physical import Standardise, scaling_of
from trainer.networks.statistics import measure_statistics
from trainer.runs.run import Run


def rms(values):
    return np.sqrt(np.mean(np.square(values, dtype=float)))


@pytest.fixture(name="fitted", scope="module", params=["v13", "v15"])
def fitted_fixture(request):
    """A task, its fitted estimator, the network `iterated` of it, and other maps."""
    config = KINDS[request.param]
    maps = simulate(config, "train", range(64))
    fitted = fit(config, TABLE, lambda: [maps], most_stages=3, least_gain=-1)
    stages = [iterated.as_stored(stage) for stage in fitted.stages]
    task = Task(config, DATASET_VERSION)
    model = iterated.build(task, TABLE, stages, scaling(task))
    return task, StagedEstimator(fitted.method, stages), model, simulate(config, "test", range(3))


def test_iterated_is_the_estimator_of_filtered_maps_in_numpy(fitted):
    task, estimator, model, maps = fitted
    expected = task.lensing.sky.to_map(estimator.kappa(estimator.method.fields(maps)))
    found = np.asarray(model(maps["lensed"]))[..., 0]
    # Every filter stops at a residual of 3e-3, and rounding may make one a step more.
    assert rms(found - expected) < 2e-3 * rms(expected)
    assert estimator.stages[0].mean_field.any()


def test_iterated_is_loaded_from_its_file_with_its_stages(fitted, tmp_path):
    _, estimator, model, maps = fitted
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(maps["lensed"]), model(maps["lensed"]))
    for stage, kept in zip(estimator.stages, iterated.stages_of(loaded), strict=True):
        np.testing.assert_array_equal(stage.gains, kept.gains)
        np.testing.assert_array_equal(stage.mean_field, kept.mean_field)


def test_holes_that_are_given_are_those_that_maps_show(fitted):
    _, estimator, _, maps = fitted
    shown = {name: values for name, values in maps.items() if name != MASK}
    given, seen = (estimator.method.fields(few) for few in (maps, shown))
    for name, values in given.items():
        assert rms(np.abs(seen[name] - values)) < 2e-3 * rms(np.abs(values))
    if MASK in maps and estimator.method.has_holes:
        masks = estimator.method.patch.masks_seen_in(maps["lensed"])
        np.testing.assert_allclose(masks, maps[MASK][..., 0], atol=1e-6)


def test_where_the_mask_is_zero_a_u_net_adds_nothing():
    config = KINDS["v15"]
    task, maps = Task(config, DATASET_VERSION), simulate(config, "train", range(48))
    measured = measure_statistics([maps], task)
    model = families.build("qe_unet-4x2x1", task, measured, 0, sample=sample_of(maps))
    lensed, masks = maps["lensed"][:3], maps[MASK][:3]
    before = np.asarray(model(lensed))
    for weight in model.trainable_weights:
        if "gains" not in weight.path:
            weight.assign(weight + 0.1)
    added = np.asarray(model(lensed)) - before
    assert np.all(added[masks == 0] == 0) and (masks == 0).mean() > 0.1
    assert rms(added[masks > 0.5]) > 0.1 * rms(before)


def test_a_filters_operations_are_counted_with_the_most_steps_that_it_may_take():
    sky, planes = KINDS["v13"].sky, MaskedPatch.of(KINDS["v13"])
    by = ByFilteredTemplate.of(KINDS["v13"], TABLE).filter
    counts = []
    for steps in (1, 3):
        maps = keras.Input((32, 32, 2))
        seen = SeenMaps.of(planes, "QU")(Standardise(Task(KINDS["v13"], "1"), (0, 0), (1, 1))(maps))
        layer = WienerFilter.of(*by.planes, sky.npix, sky.side, 0.0, (steps, steps))
        counts.append(flops(keras.Model(maps, layer(seen))))
    a_step = (counts[1] - counts[0]) / 2
    # Four transforms of the maps as one complex map, and less than a hundred operations a pixel.
    transforms = 4 * 5 * 32**2 * 10
    assert transforms < a_step < transforms + 100 * 32**2 < counts[0] + transforms


def u_net_of(config, size="unet-4x2x1"):
    """A U-Net all of whose weights are alive, and the maps whose statistics it has."""
    task, maps = Task(config, DATASET_VERSION), simulate(config, "train", range(8))
    model = families.build(size, task, measure_statistics([maps], task), 0)
    rng = np.random.default_rng(1)
    for weights in model.trainable_weights:
        fan_in = max(1, np.prod(weights.shape[:-1]))
        weights.assign(rng.normal(size=weights.shape) / fan_in**0.5)
    return model, maps


@pytest.mark.parametrize("kind", ["v13", "v14", "v15"])
def test_a_u_net_sees_the_mask_and_says_nothing_where_it_is_zero(kind):
    config = KINDS[kind]
    model, maps = u_net_of(config)
    kappa = np.asarray(model(maps["lensed"]))
    assert kappa.shape == (8, 32, 32, 1)
    said = np.abs(kappa - np.float32(scaling_of(model).label_mean[0]))
    mask = maps.get(MASK, np.broadcast_to(window_of(config)[..., None], kappa.shape))
    assert (mask < 1e-3).any() and not said[mask == 0].any()  # v14's is not zero, but near it
    assert said[mask < 1e-3].max() < 1e-2 * kappa.std()
    assert kappa[mask > 0.5].std() > 1e-3 * scaling_of(model).label_std[0]
    seen = next(layer for layer in inner(model).layers if isinstance(layer, SeenMaps))
    factors = keras.ops.convert_to_numpy(seen.factors)
    # Another mask, and other noise: each alone changes the estimate where the mask was whole.
    for changed in (0, 2):
        other = factors.copy()
        other[changed, :, :14] *= 0.9
        seen.factors.assign(other)
        difference = np.asarray(model(maps["lensed"])) - kappa
        assert rms(difference[mask > 0.99]) > 1e-3 * rms(kappa[mask > 0.99])
    seen.factors.assign(factors)
    np.testing.assert_array_equal(model(maps["lensed"]), kappa)


def inner(model):
    """The network between the layers that standardise."""
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def test_noise_outside_the_mask_is_not_seen_by_a_u_net_anywhere():
    """Fourier transforms would carry what lies at an edge to the opposite one."""
    model, maps = u_net_of(KINDS["v13"])
    lensed = maps["lensed"]
    outside = window_of(KINDS["v13"]) == 0
    other = np.where(outside[..., None], -lensed, lensed)
    assert rms(other - lensed) > 0.1 * rms(lensed)
    np.testing.assert_array_equal(model(other), model(lensed))


def test_what_a_u_net_sees_at_an_edge_of_masked_maps_it_does_not_see_at_the_opposite_one():
    model, maps = u_net_of(KINDS["v14"], "unet-2x1x1")
    network = inner(model)
    (concatenated,) = (x for x in network.layers if isinstance(x, keras.layers.Concatenate))
    behind = keras.Model(concatenated.output, network.layers[-1].input[1])
    seen = np.asarray(keras.Model(network.input, concatenated.output)(maps["lensed"]))
    other = seen.copy()
    other[:, -1] += 1
    difference = np.abs(np.asarray(behind(seen)) - np.asarray(behind(other)))
    assert difference[:, -4:].max() > 0 and not difference[:, :4].any()


@pytest.mark.parametrize("kind", ["v13", "v15"])
def test_a_u_nets_footprint_counts_the_channels_of_the_mask(kind):
    model, _ = u_net_of(KINDS[kind])
    task = Task(KINDS[kind], DATASET_VERSION)
    found = families.parse("unet-4x2x1").footprint(task)
    assert found.parameters == sum(np.prod(w.shape) for w in model.trainable_weights)
    outputs = sum(
        np.prod(layer.output.shape[1:])
        for layer in inner(model).layers
        if not isinstance(layer, SeenMaps)
    )
    assert 0.9 * outputs < found.activations < 1.2 * outputs


@pytest.mark.parametrize("name", ["unet-4x2x1", "whiten-2x4-3"])
def test_networks_of_maps_without_a_mask_and_the_studys_stacks_have_the_maps_alone(name):
    for kind in ("v12", "edges") if name.startswith("unet") else ("v12", "v15"):
        config = KINDS[kind]
        task, maps = Task(config, DATASET_VERSION), simulate(config, "train", range(4))
        model = families.build(name, task, measure_statistics([maps], task), 0)
        kinds = {type(layer).__name__ for layer in inner(model).layers}
        assert not kinds & {"SeenMaps", "Multiply", "Concatenate"}


def test_holes_beneath_noise_are_none_to_a_u_net():
    hidden = dataclasses.replace(KINDS["v15"].mask, multiplies="signal")
    model, maps = u_net_of(dataclasses.replace(KINDS["v15"], name="hidden", mask=hidden))
    seen = next(layer for layer in inner(model).layers if isinstance(layer, SeenMaps))
    assert seen.holes == ()
    assert np.isfinite(model(maps["lensed"])).all()


def swapped(maps):
    return maps[..., ::-1]


def moved(maps):
    return np.roll(maps, 8, axis=1)


def holed(maps):
    return np.where(np.hypot(*np.mgrid[-20:12, -20:12])[..., None] < 4, 0, maps)


def in_one(maps):
    return np.concatenate([holed(maps[..., :1]), maps[..., 1:]], axis=-1)


def twice_v14(maps):
    return maps * window_of(KINDS["v14"])[..., None]


def twice_v15(maps):
    return maps * window_of(KINDS["v15"])[..., None]


def rounded(maps):
    return np.rint(maps)


def unmasked(maps):
    return np.random.default_rng(0).normal(0, 5, maps.shape)


REFUSED = [
    ("v13", unmasked, r"rms of .* µK in Q where the mask of lensing/like_v13 leaves"),
    ("v13", moved, r"rms of .* µK in Q where the mask"),
    ("v13", holed, r"is zero in .*% of its pixels, where maps of lensing/like_v13 are not"),
    ("v14", unmasked, r"rms of .* µK in Q where the mask of lensing/like_v14 leaves"),
    ("v14", moved, r"where the mask"),
    ("v14", holed, r"is zero in .*% of its pixels, where maps of lensing/like_v14 are not"),
    ("v14", twice_v14, r"masked once more\?"),
    ("v15", twice_v15, r"masked once more\?"),
    ("v14", rounded, r"holds whole numbers alone.*it was rounded"),
    ("v15", rounded, r"holds whole numbers alone.*it was rounded"),
    ("v14", in_one, r"pixels in one of Q, U, and not in all"),
    ("v15", unmasked, r"rms of .* µK in [TQU] where the mask of lensing/like_v15 leaves"),
    ("v15", moved, r"rms of .* µK in T where the mask"),
    ("v15", in_one, r"pixels in one of T, Q, U, and not in all"),
    ("v15", swapped, r"the channels must be T, Q, U, in this order"),
]


@pytest.mark.parametrize(("kind", "spoil", "line"), REFUSED)
def test_maps_of_another_mask_or_order_are_refused_and_its_own_are_not(kind, spoil, line):
    """By a model from a file, and by a run; the filter makes NaN, or 10^6, of some of them."""
    model, maps = u_net_of(KINDS[kind])
    run = Run(pathlib.Path(), None, KINDS[kind], DATASET_VERSION, {})
    run.__dict__["model"] = model
    lensed = maps["lensed"]
    second = np.stack([lensed[0], spoil(lensed[:2])[1]]).astype(np.float32)
    for predict in (run.predict, model.predict_on_batch, lambda few: model.predict(few, verbose=0)):
        assert np.isfinite(predict(lensed)).all()
        with pytest.raises(LensingError, match=f"^map 1 of 2 .*{line}"):
            predict(second)


def test_many_maps_of_every_masked_version_are_its_own():
    for kind in ("v13", "v14", "v15"):
        refuse_another_mask(simulate(KINDS[kind], "test", range(500))["lensed"], KINDS[kind])


@pytest.mark.parametrize("kind", ["v13", "v14", "v15"])
def test_a_pixel_that_is_zero_by_chance_is_no_hole(kind):
    """One of a thousand maps of 256 pixels a side has such a one, in single precision."""
    maps = simulate(KINDS[kind], "test", range(2))["lensed"]
    maps[1, 16, 16, 0] = maps[1, 20, 12, 1] = 0
    refuse_another_mask(maps, KINDS[kind])
    maps[1, 16, 16:20, 0] = 0
    with pytest.raises(LensingError, match=r"^map 1 of 2 is zero in .*% of its pixels in one of"):
        refuse_another_mask(maps, KINDS[kind])


def test_holes_of_other_places_are_seen_where_they_may_be():
    model, maps = u_net_of(KINDS["v15"])
    assert np.isfinite(model.predict_on_batch(holed(maps["lensed"]).astype(np.float32))).all()


@pytest.mark.parametrize("name", ["iterated", "qe_unet", "unrolled"])
def test_holes_in_a_signal_beneath_noise_are_refused(name):
    hidden = dataclasses.replace(KINDS["v15"].mask, multiplies="signal")
    config = dataclasses.replace(KINDS["v15"], name="hidden", mask=hidden)
    network = families.parse(name)
    with pytest.raises(LensingError, match=r"signal of lensing/hidden has holes.*cannot see"):
        if name == "iterated":
            network.refuse_another(config)
        else:
            network.started(Task(config, DATASET_VERSION), None)
