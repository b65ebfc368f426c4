"""The layers give what their counterparts in NumPy give, and say so if they have lost them."""

import keras
import numpy as np
import pytest

from estimators.iterated.iterated_estimator import Combination, Stage, StageFeatures, rings_of
from estimators.quadratic.fields import fields_of
from estimators.quadratic.measured import measure_power, measured_observations
from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import QuadraticEstimator, pairs_of
from lensing_tfds import realism
from lensing_tfds.configs import LensingConfig
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import spectra
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.versions import VERSIONS
from trainer.networks import quadratic_layers as layers

TABLE = spectra.fiducial()
ROUNDING = 1e-4  # rms, relative: single precision in other libraries' transforms; seen are 4e-5


def observations(config, fields):
    """As the references take them: theory's, or those that were measured."""
    if realism.estimator_theory_holds(config):
        return [Observation.of(config, TABLE)]
    power = measure_power([fields], config.sky)
    return measured_observations(config, TABLE, power).values()


def whole(modes, sky):
    """NumPy's half planes as the layers have them."""
    full = sky.full_plane(modes)
    return full.real.astype(np.float32), full.imag.astype(np.float32)


def assert_equal(modes, expected, sky):
    re, im = (np.asarray(part) for part in modes)
    full = sky.full_plane(expected)
    assert rms(re + 1j * im - full) < ROUNDING * rms(full)


def rms(values):
    return np.sqrt(np.mean(np.abs(values) ** 2, dtype=float))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_quadratic_estimate_is_numpys_on_every_version(version):
    config = VERSIONS[version]
    sky = config.sky
    # Spectra are measured on several skies where they are not theory's.
    number = 1 if realism.estimator_theory_holds(config) else 16 if sky.npix <= 100 else 8
    maps = simulate(config, "test", range(number))["lensed"]
    fields = fields_of(maps, config.channels, sky)
    exact = fields_of(maps.astype(np.float64), config.channels, sky)
    observed = layers.ObservedFields(sky.npix, sky.side, config.channels)(maps)
    for name, modes in fields.items():
        assert_equal(observed[name], modes, sky)
    for observation in observations(config, fields):
        for pair in pairs_of(config):
            estimator = QuadraticEstimator(pair, observation)
            x, y = (observed[name] for name in pair)
            estimate = layers.QuadraticEstimator.of(estimator)(x, y)
            found = np.asarray(layers.KappaMap(sky.npix, sky.side)(estimate))[..., 0]
            # Modes that lensing alone filled lie a million times below the others: on v4 and v5
            # NumPy's single precision is off by more than 1e-4 itself.
            expected, single = (sky.to_map(estimator.kappa(f)) for f in (exact, fields))
            limit = max(ROUNDING * rms(expected), 1.5 * rms(single - expected))
            assert rms(found - expected) < limit < 2e-3 * rms(expected)


def survey(stokes, npix):
    return LensingConfig(
        "any", npix=npix, lx=npix * 2.5 / 60, stokes=stokes, oversampling=2, beam_arcmin=1.5,
        noise_uK_arcmin=1.0,
    )  # fmt: skip


@pytest.fixture(name="sky_and_fields", params=[("TQU", 32), ("QU", 33), ("T", 32)])
def sky_and_fields_fixture(request):
    config = survey(*request.param)
    maps = simulate(config, "test", range(3))
    return config, fields_of(maps["lensed"], config.channels, config.sky), maps["kappa"][..., 0]


def test_delensed_fields_are_numpys(sky_and_fields):
    config, fields, true = sky_and_fields
    sky = config.sky
    kappa = sky.to_modes(np.ascontiguousarray(true))
    step = StageFeatures(Observation.of(config, TABLE), pairs_of(config), None)
    layer = layers.Delensing.of(step.template, step.beam, list(fields))
    found = layer({name: whole(f, sky) for name, f in fields.items()}, whole(kappa, sky))
    for name, expected in step.residual(fields, kappa).items():
        assert_equal(found[name], expected, sky)
        assert np.abs(expected - fields[name]).max() > 0.01 * np.abs(fields[name]).max()


def test_field_rotation_is_numpys(sky_and_fields):
    config, fields, _ = sky_and_fields
    observation = Observation.of(config, TABLE)
    for pair in pairs_of(config):
        estimator = QuadraticEstimator(pair, observation, curl=True)
        x, y = (whole(fields[name], config.sky) for name in pair)
        found = layers.QuadraticEstimator.of(estimator)(x, y)
        assert_equal(found, estimator.kappa(fields), config.sky)


@pytest.fixture(name="model", scope="module")
def model_fixture():
    """From E and B to κ."""
    config = survey("QU", 32)
    estimator = QuadraticEstimator("EB", Observation.of(config, TABLE))
    maps = keras.Input((32, 32, 2))
    fields = layers.ObservedFields(32, config.side, config.channels)(maps)
    kappa = layers.QuadraticEstimator.of(estimator, name="qe")(fields["E"], fields["B"])
    return keras.Model(maps, layers.KappaMap(32, config.side)(kappa))


MAPS = simulate(survey("QU", 32), "test", range(2))["lensed"]


def test_a_file_holds_all_that_it_needs(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(MAPS), model(MAPS))


def test_a_layer_that_has_lost_its_numbers_gives_no_estimate(model):
    lost = keras.models.clone_model(model)
    assert np.isnan(np.asarray(lost(MAPS))).all()
    lost.set_weights(model.get_weights())
    np.testing.assert_array_equal(lost(MAPS), model(MAPS))


def test_mixed_precision_changes_nothing(model):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        low = keras.models.clone_model(model)
    finally:
        keras.config.set_dtype_policy(before)
    low.set_weights(model.get_weights())
    np.testing.assert_array_equal(low(MAPS), model(MAPS))
    config = model.get_layer("qe").get_config() | {"dtype": "float16"}
    assert layers.QuadraticEstimator.from_config(config).compute_dtype == "float32"


def test_gains_differ_from_ring_to_ring_and_are_what_is_trained():
    layer = layers.RingGains(16, 0.1, features=2)
    rings = layer.gains.shape[1]
    gains = np.stack([np.arange(rings), np.ones(rings)]).astype(np.float32)
    layer.gains.assign(gains)
    ones, zeros = np.ones((1, 16, 16), np.float32), np.zeros((1, 16, 16), np.float32)
    re, im = layer([(ones, zeros), (zeros, 2 * ones)])
    ell = np.hypot(*np.meshgrid(*[np.fft.fftfreq(16, 1 / 16)] * 2))
    np.testing.assert_array_equal(re[0], np.minimum(np.rint(ell), rings - 1))
    np.testing.assert_array_equal(im, 2 * ones)
    assert [weight.path.split("/")[-1] for weight in layer.trainable_weights] == ["gains"]


@pytest.mark.parametrize("npix", [16, 15])
def test_gains_and_mean_field_of_a_stage_are_numpys_and_told_again(npix):
    sky = FlatSky(npix, 0.1)
    rng = np.random.default_rng(3)
    stage = Stage(
        rng.normal(size=(2, rings_of(sky).num)).astype(np.float32).astype(np.float64),
        power=rng.random(rings_of(sky).num),
        mean_field=sky.to_modes(rng.normal(size=(npix, npix))).astype(np.complex64),
    )
    layer = layers.RingGains.of(stage, sky)
    features = [sky.to_modes(rng.normal(size=(2, npix, npix)).astype(np.float32)) for _ in "ab"]
    found = layer([whole(feature, sky) for feature in features])
    assert_equal(found, Combination(stage, sky).of(features), sky)
    assert rms(stage.mean_field) > 0.1 * rms(features[0])
    again = layers.RingGains.from_config(layer.get_config())
    again.set_weights(layer.get_weights())
    for name in ("gains", "residual_b", "power", "mean_field"):
        np.testing.assert_array_equal(getattr(again.stage, name), getattr(stage, name))


@pytest.mark.parametrize(("stokes", "missing"), [("T", 1), ("QU", 0)])
def test_fields_that_are_not_there_need_no_measured_spectra(stokes, missing):
    config = LensingConfig("e", 16, lx=2.0, stokes=stokes, noise_uK_arcmin=1.0, padding=2.0)
    fields = fields_of(simulate(config, "train", range(8))["lensed"], config.channels, config.sky)
    observed = list(observations(config, fields))[-1]
    step = StageFeatures(observed, pairs_of(config), None)
    layer = layers.Delensing.of(step.template, step.beam, list(fields))
    filled = [np.asarray(plane).any() for plane in np.asarray(layer.filters)]
    assert filled == [missing != 0, missing != 1, True]
