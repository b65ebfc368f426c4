import dataclasses
import json

import numpy as np
import pytest

from lensing_tfds.errors import LensingError
from trainer.data.scaling import Scaling, measure_scaling

SCALING = Scaling((3.0, 0.0), (100.0, 5.0), 0.01, 0.2)


def draw(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    return {
        "lensed": rng.normal(3, 100, size=(n, 16, 16, 1)).astype(np.float32),
        "kappa": rng.normal(0.01, 0.2, size=(n, 16, 16, 1)).astype(np.float32),
    }


def draw_polarized(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """T, Q and U whose sample happens to have a mean, and more Q than U."""
    lensed = rng.normal((3, 1, 0), (100, 6, 4), size=(n, 16, 16, 3)).astype(np.float32)
    return draw(rng, n) | {"lensed": lensed}


def test_batches_of_any_size_give_the_mean_and_standard_deviation_of_all_pixels():
    rng = np.random.default_rng(0)
    batches = [draw(rng, n) for n in (5, 1, 9)]
    lensed, kappa = (np.concatenate([b[k] for b in batches]) for k in ("lensed", "kappa"))
    measured = measure_scaling(batches, ("T",))
    np.testing.assert_allclose(measured.lensed_mean, [lensed.mean()], rtol=1e-4)
    np.testing.assert_allclose(measured.lensed_std, [lensed.std()], rtol=1e-4)
    np.testing.assert_allclose(measured.kappa_mean, kappa.mean(), rtol=1e-4)
    np.testing.assert_allclose(measured.kappa_std, kappa.std(), rtol=1e-4)


@pytest.mark.parametrize("channels", [("T", "Q", "U"), ("Q", "U")])
def test_each_channel_has_its_own_but_q_and_u_share_theirs_and_have_no_mean(channels):
    batch = draw_polarized(np.random.default_rng(0), 20)
    lensed = batch["lensed"][..., 3 - len(channels) :]
    measured = measure_scaling([batch | {"lensed": lensed}], channels)
    q, u = np.moveaxis(lensed[..., -2:], -1, 0)
    std = np.sqrt((np.mean(q**2) + np.mean(u**2)) / 2)
    assert measured.lensed_mean[-2:] == (0, 0)
    np.testing.assert_allclose(measured.lensed_std[-2:], [std, std], rtol=1e-4)
    if "T" in channels:
        np.testing.assert_allclose(measured.lensed_mean[0], lensed[..., 0].mean(), rtol=1e-4)
        np.testing.assert_allclose(measured.lensed_std[0], lensed[..., 0].std(), rtol=1e-4)
    assert measured.kappa_std == measure_scaling([batch], ("T", "Q", "U")).kappa_std


def test_scaled_maps_have_zero_mean_and_unit_variance_and_kappa_comes_back():
    batch = draw(np.random.default_rng(0), 20)
    scaling = measure_scaling([batch], ("T",))
    lensed, kappa = scaling.scale_lensed(batch["lensed"]), scaling.scale_kappa(batch["kappa"])
    for maps in (lensed, kappa):
        np.testing.assert_allclose([maps.mean(), maps.std()], [0, 1], atol=1e-4)
        assert maps.dtype == np.float32
    np.testing.assert_allclose(scaling.unscale_kappa(kappa), batch["kappa"], atol=1e-6)


def test_channels_are_scaled_each_by_its_own():
    maps = np.array([[103.0, 5.0], [3.0, -10.0]], np.float32)
    scaled = SCALING.scale_lensed(maps)
    np.testing.assert_allclose(scaled, [[1, 1], [0, -2]], rtol=1e-6)
    assert scaled.dtype == np.float32


def test_maps_of_other_channels_are_refused():
    with pytest.raises(LensingError, match="lensed maps have 1 channels, the scaling 2"):
        SCALING.scale_lensed(np.zeros((3, 8, 8, 1), np.float32))


def test_a_scaling_survives_json():
    assert Scaling(**json.loads(json.dumps(dataclasses.asdict(SCALING)))) == SCALING


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lensed_mean": 3.0}, "lensed_mean is 3.0: must be one a channel"),
        ({"lensed_std": "ab"}, "lensed_std is 'ab': must be one a channel"),
        ({"lensed_std": [1.0, "b"]}, r"lensed_std is \[1.0, 'b'\]: must be one a channel"),
        ({"lensed_std": [1.0]}, "lensed_mean has 2 channels and lensed_std 1"),
        ({"lensed_mean": [], "lensed_std": []}, "lensed_mean has 0 channels"),
        ({"lensed_std": [1.0, 0.0]}, r"lensed_std is \(1.0, 0.0\)"),
        ({"lensed_mean": [np.inf, 0.0]}, r"lensed_mean is \(inf, 0.0\)"),
        ({"kappa_std": -1.0}, "kappa_std is -1.0"),
    ],
)
def test_an_impossible_scaling_is_refused(values, message):
    with pytest.raises(LensingError, match=message):
        dataclasses.replace(SCALING, **values)


@pytest.mark.parametrize("kappa", [0.0, np.nan])
def test_maps_that_cannot_be_standardised_are_refused(kappa):
    batch = draw(np.random.default_rng(0), 2) | {"kappa": np.full((2, 16, 16, 1), kappa)}
    with pytest.raises(LensingError, match="kappa_"):
        measure_scaling([batch], ("T",))


def test_an_empty_training_split_is_refused():
    with pytest.raises(LensingError, match="empty"):
        measure_scaling([], ("T",))
