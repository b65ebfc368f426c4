import keras
import numpy as np
import pytest

from lensing_tfds.errors import LensingError
from tests.trainer.tasks import scaling, statistics, task
from trainer.networks.families import build
from trainer.networks.physical import Standardise, in_physical_units, scaling_of, task_of
from trainer.networks.scaling import Scaling

TQU = task(16, "TQU")


@pytest.fixture(name="model", scope="module")
def model_fixture() -> keras.Model:
    return build("2x4-3", TQU, statistics(TQU), seed=1)


def maps(n: int) -> np.ndarray:
    values = scaling(TQU)
    standardised = np.random.default_rng(0).normal(size=(n, 16, 16, 3))
    return (standardised * values.input_std + values.input_mean).astype(np.float32)


def test_standardisation_is_the_first_and_the_last_layer(model):
    inner = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    values, lensed = scaling(TQU), maps(5)
    standardised = (lensed - np.array(values.input_mean)) / values.input_std
    np.testing.assert_allclose(standardised.std(axis=(0, 1, 2)), [1, 1, 1], atol=0.1)
    expected = np.asarray(inner(standardised.astype(np.float32))) * 0.2 - 0.1
    np.testing.assert_allclose(model(lensed), expected, atol=1e-6)


def test_it_adds_no_weights(model):
    assert model.count_params() == 4 * (9 * 3 + 1) + 4 * (9 * 4 + 1) + (9 * 4 + 1)


def test_task_and_scaling_are_those_that_it_was_built_with(model):
    assert (task_of(model), scaling_of(model)) == (TQU, scaling(TQU))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["1x4-3", "hires-2x4-3"])
def test_a_map_that_is_not_finite_gives_nan_everywhere_and_its_neighbours_do_not(name, value):
    model = build(name, TQU, statistics(TQU), seed=1)
    lensed = maps(3)
    expected = model.predict_on_batch(lensed)
    lensed[1, 4, 5, 2] = value
    kappa = model.predict_on_batch(lensed)
    assert np.isnan(kappa[1]).all()
    np.testing.assert_array_equal(kappa[[0, 2]], expected[[0, 2]])


def test_channels_in_another_order_are_refused_where_their_rms_tells_them_apart():
    distinct = Scaling((0.0,) * 3, (90.0, 6.0, 5.0), (0.0,), (0.1,))
    model = build("1x4-3", TQU, statistics(TQU, distinct), seed=1)
    lensed = np.random.default_rng(0).normal(size=(3, 16, 16, 3)) * distinct.input_std
    lensed = lensed.astype(np.float32)
    for other in (lensed, lensed[..., [0, 2, 1]], 3 * lensed, lensed * [0.3, 2, 2]):
        assert np.isfinite(model.predict_on_batch(other.astype(np.float32))).all()
    for order in ([2, 1, 0], [1, 0, 2], [1, 2, 0]):
        other = lensed.copy()
        other[1] = lensed[1][..., order]
        with pytest.raises(LensingError, match=r"map 1 of 3 .* must be T, Q, U, in this order"):
            model.predict(other, verbose=0)


def test_no_estimate_from_a_map_that_is_finite_is_refused_unless_the_network_is_broken():
    inputs = keras.Input((16, 16, 3))
    squared = keras.layers.Conv2D(1, 1, kernel_initializer="ones")(inputs * inputs)
    model = in_physical_units(keras.Model(inputs, squared), TQU, scaling(TQU))
    lensed = maps(3)
    lensed[0, 0, 0, 0] = np.nan  # a map that is not finite gives NaN, as ever
    kappa = model.predict_on_batch(lensed)
    assert np.isnan(kappa[0]).all() and np.isfinite(kappa[1:]).all()
    overflowing = lensed.copy()
    overflowing[1, 3, 3] = 1e25
    for predict in (model.predict_on_batch, lambda few: model.predict(few, verbose=0)):
        with pytest.raises(LensingError, match="^no finite estimate comes of map 1 of 3, which is"):
            predict(overflowing)
        model._warned_of_scale = True
    model.set_weights([weights * np.nan for weights in model.get_weights()])
    assert np.isnan(model.predict_on_batch(lensed)).all()


def test_a_scaling_of_other_channels_is_refused():
    with pytest.raises(LensingError, match="maps of T, Q, U cannot be standardised by means"):
        build("2x4-3", TQU, statistics(TQU, scaling(task(16))), seed=0)


def test_a_task_that_is_none_is_refused_when_a_file_is_loaded():
    config = Standardise(TQU, (0.0,) * 3, (1.0,) * 3).get_config()
    with pytest.raises(LensingError, match="npix is -1"):
        Standardise.from_config(config | {"task": config["task"] | {"npix": -1}})
    with pytest.raises(LensingError, match="unknown field 'colour'"):
        Standardise.from_config(config | {"task": config["task"] | {"colour": 1}})


@pytest.fixture(name="file", scope="module")
def file_fixture(tmp_path_factory):
    """The file of a network of one channel, and maps."""
    file = tmp_path_factory.mktemp("saved") / "model.keras"
    build("1x4-3", task(16), statistics(task(16)), seed=1).save(file)
    return file, np.random.default_rng(0).normal(0, 100, (3, 16, 16, 1)).astype(np.float32)


@pytest.fixture(name="saved")
def saved_fixture(file):
    """The network, loaded, which has warned of nothing yet, and maps."""
    return keras.saving.load_model(file[0]), file[1]


@pytest.fixture(name="shared", scope="module")
def shared_fixture(file):
    """The same, for all that refuse maps."""
    return keras.saving.load_model(file[0]), file[1]


@pytest.mark.parametrize("method", ["predict", "predict_on_batch", "__call__"])
@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (lambda maps: np.concatenate([maps, maps], axis=-1), r"takes \(n, 16, 16, 1\), of T"),
        (lambda maps: maps[:, :8, :8], r"\(3, 8, 8, 1\): the network takes \(n, 16, 16, 1\)"),
        (lambda maps: np.tile(maps, (1, 2, 2, 1)), r"\(3, 32, 32, 1\): the network takes"),
        (lambda maps: maps[0], r"\(16, 16, 1\): the network takes"),
        (lambda maps: maps + 1j, "maps are of type complex"),
        (lambda maps: np.ma.masked_greater(maps, 100.0), "maps are a masked array"),
    ],
    ids=["two channels", "a part", "larger", "no examples' axis", "complex", "masked"],
)
def test_a_loaded_file_refuses_maps_that_keras_would_change(shared, method, spoilt, message):
    model, maps = shared
    for several in (maps, maps[:2]):  # after two, Keras takes any
        assert np.isfinite(getattr(model, method)(several)).all()
    with pytest.raises(LensingError, match=message):
        getattr(model, method)(spoilt(maps))


def test_a_loaded_file_predicts_in_single_precision_whatever_keras_is_set_to(saved):
    model, maps = saved
    maps = maps * 1e4  # beyond the largest number of half precision
    with pytest.warns(UserWarning, match="in µK"):
        expected = model.predict(maps, verbose=0)
    assert np.isfinite(expected).all()
    keras.config.set_floatx("float16")
    try:
        np.testing.assert_array_equal(model.predict(maps, verbose=0), expected)
    finally:
        keras.config.set_floatx("float32")


@pytest.mark.parametrize("unit", [1e-6, 1e3, 1 / 60], ids=["K", "nK", "standardised"])
def test_maps_in_other_units_are_estimated_with_one_warning(saved, unit):
    model, maps = saved
    model.predict(2 * maps, verbose=0)  # warnings are errors here
    with pytest.warns(UserWarning, match="are they in µK") as warned:
        model.predict(maps * np.float32(unit), verbose=0)
        model.predict(maps * np.float32(unit), verbose=0)
    (warning,) = warned
    assert warning.filename == __file__
