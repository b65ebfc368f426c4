"""The layers that filter masked maps are the Wiener filter in NumPy, step by step."""

import dataclasses
import warnings

import keras
import numpy as np
import pytest

from estimators.filtering.masked_patch import MaskedPatch
from estimators.filtering.wiener_filter import NotConvergedWarning, WienerFilter
from estimators.quadratic.observation import Observation
from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import LENSED
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import spectra
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.versions import VERSIONS
from tests.trainer.networks.kinds import smaller
from trainer.networks import filter_layers
from trainer.networks.border_layer import BorderModes

TABLE = spectra.fiducial()
KINDS = {name: smaller(VERSIONS[name], 48) for name in ("v13", "v14", "v15")}
KINDS["odd"] = dataclasses.replace(
    smaller(VERSIONS["v13"], 47), one_over_f=None, tensors=None, name="odd"
)
KINDS["odd with T"] = smaller(VERSIONS["v15"], 47)


@pytest.fixture(name="kind", scope="module", params=KINDS)
def kind_fixture(request):
    """A config, its patch, its observation and maps."""
    config = KINDS[request.param]
    patch = MaskedPatch.of(config)
    observation = patch.observation(Observation.of(config, TABLE))
    return config, patch, observation, simulate(config, "train", range(3))


def rms(values):
    return np.sqrt(np.mean(np.abs(values) ** 2, dtype=float))


def seen_by(config, patch):
    std = [50.0] * len(config.channels) if config.mask and config.mask.holes else ()
    return filter_layers.SeenMaps.of(patch, config.channels, std)


def layers_of(by, **options):
    sky = by.patch.sky
    return [
        filter_layers.WienerFilter.of(planes, sky.npix, sky.side, by.tolerance, **options)
        for planes in by.planes
    ]


def half(modes):
    re, im = map(np.asarray, modes)
    return (re + 1j * im)[..., : re.shape[-1] // 2 + 1]


def masks_of(maps):
    return maps[MASK][..., 0] if MASK in maps else None


@pytest.mark.parametrize("tolerance", [0.0, 3e-3])
def test_a_filter_is_that_in_numpy_after_as_many_steps(kind, tolerance):
    config, patch, _, maps = kind
    steps = 15 if tolerance == 0 else 64
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        single, exact = (
            WienerFilter(*kind[1:3], config.channels, None, tolerance, steps, dtype)
            for dtype in (np.float32, float)
        )
        by, expected = exact, exact.fields(maps[LENSED], masks_of(maps))
        rounded = single.fields(maps[LENSED], masks_of(maps))
    seen = seen_by(config, patch)(maps[LENSED])
    found = {}
    for layer in layers_of(by, most_steps=(steps, steps)):
        found |= layer(seen)
    assert set(found) == set(expected)
    for name, modes in found.items():
        # Single precision leaves 1e-6 of the largest field, which is E beside B; and of T with 1/f
        # noise, whose steps are many, NumPy's own differs by more.
        error, limit = rms(half(modes) - expected[name]), 1e-4 * rms(expected[name])
        own = rms(rounded[name] - expected[name])
        assert error < max(limit + 1e-6 * rms(expected["E"]), 2 * own)
        assert own < limit or name == "T"


def test_masks_are_read_off_maps_with_holes():
    config = KINDS["v15"]
    maps = simulate(config, "train", range(3))
    patch = MaskedPatch.of(config)
    seen = seen_by(config, patch)(maps[LENSED])
    signal, _ = patch.seen(maps[MASK][..., 0])
    np.testing.assert_allclose(seen["signal"], signal, rtol=1e-6)
    np.testing.assert_allclose(seen["mask"], maps[MASK][..., 0], atol=1e-6)
    assert (signal == 0).mean() > (patch.seen().signal == 0).mean() + 0.005


def test_maps_less_a_template_are_filtered_as_in_numpy(kind):
    config, patch, observation, maps = kind
    by = WienerFilter(patch, observation, config.channels, tolerance=1e-4)
    weighted = by.weighted(maps[LENSED], masks_of(maps))
    fields = by.of_weighted(weighted)
    other = {name: 0.1 * np.roll(modes, 1, axis=0) for name, modes in fields.items()}
    beam = observation.beam.astype(np.float32)
    near = {name: fields[name] - beam * other[name] for name in fields}
    expected = by.of_weighted(by.less(weighted, other), near)
    sky = patch.sky

    def whole(planes):
        full = {name: sky.full_plane(modes) for name, modes in planes.items()}
        return {name: (modes.real.copy(), modes.imag.copy()) for name, modes in full.items()}

    seen = seen_by(config, patch)(maps[LENSED])
    for layer in layers_of(by, most_steps=(99, 99)):
        given = [{n: whole(planes)[n] for n in layer.names} for planes in (fields, near)]
        for name, modes in layer(seen, *given).items():
            # Both stop at a residual of 1e-4, rounding may make one a step more.
            error = rms(half(modes) - expected[name])
            assert error < 1e-3 * rms(expected[name]) + 1e-6 * rms(expected["E"])
            assert error < 0.01 * rms(expected[name] - near[name]) + 1e-3 * rms(expected[name])


def test_a_layer_that_is_read_again_is_the_same(tmp_path):
    config = KINDS["v15"]
    patch = MaskedPatch.of(config)
    observation = patch.observation(Observation.of(config, TABLE))
    by = WienerFilter(patch, observation, config.channels)
    inputs = keras.Input((config.npix, config.npix, 3))
    seen, fields = seen_by(config, patch)(inputs), {}
    for layer in layers_of(by):
        fields |= layer(seen)
    model = keras.Model(inputs, fields)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    maps = simulate(config, "train", range(2))[LENSED]
    for name, modes in model(maps).items():
        np.testing.assert_array_equal(again(maps)[name], modes)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_border_of_rows_or_of_columns_is_that_in_numpy(axis):
    sky, zeros = FlatSky(32, np.radians(2.0)), np.zeros(32, bool)
    zeros[3:9] = True
    mask = np.ones((32, 32))
    mask[(slice(None),) * axis + (zeros,)] = 0
    noise = np.full(sky.ell.shape, np.radians(1 / 60) ** 2)
    patch = MaskedPatch(sky, mask, {"T": noise}, None, "maps")
    by = WienerFilter(patch, patch.observation(Observation(sky, TABLE, 1.0)), "T")
    (planes,) = by.planes
    (strip,) = planes.border.strips
    assert strip.is_rows == (axis == 0) and len(strip.across) > 1
    modes = sky.to_modes(np.random.default_rng(0).standard_normal((2, 32, 32)))
    root = np.sqrt(planes.preconditioner[0])  # the layer is of ŷ = M^-½ y
    expected = planes.border(modes / root) / root
    whole = sky.full_plane(modes).astype(np.complex64)
    found = BorderModes.of(planes.border, planes.preconditioner[0])((whole.real, whole.imag))
    np.testing.assert_allclose(half(found), expected, atol=1e-5 * np.abs(expected).max())
