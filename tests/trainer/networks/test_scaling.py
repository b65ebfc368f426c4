import dataclasses
import json

import numpy as np
import pytest

from lensing_tfds.errors import LensingError
from tests.trainer.tasks import task
from trainer.networks.scaling import Scaling, measure_scaling

SCALING = Scaling((3.0, 0.0), (100.0, 5.0), (0.01,), (0.2,))


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
    measured = measure_scaling(batches, task(16))
    np.testing.assert_allclose(measured.input_mean, [lensed.mean()], rtol=1e-4)
    np.testing.assert_allclose(measured.input_std, [lensed.std()], rtol=1e-4)
    np.testing.assert_allclose(measured.label_mean, [kappa.mean()], rtol=1e-4)
    np.testing.assert_allclose(measured.label_std, [kappa.std()], rtol=1e-4)


@pytest.mark.parametrize("stokes", ["TQU", "QU"])
def test_each_channel_has_its_own_but_q_and_u_share_theirs_and_have_no_mean(stokes):
    batch = draw_polarized(np.random.default_rng(0), 20)
    lensed = batch["lensed"][..., 3 - len(stokes) :]
    measured = measure_scaling([batch | {"lensed": lensed}], task(16, stokes))
    q, u = np.moveaxis(lensed[..., -2:], -1, 0)
    std = np.sqrt((np.mean(q**2) + np.mean(u**2)) / 2)
    assert measured.input_mean[-2:] == (0, 0)
    np.testing.assert_allclose(measured.input_std[-2:], [std, std], rtol=1e-4)
    if "T" in stokes:
        np.testing.assert_allclose(measured.input_mean[0], lensed[..., 0].mean(), rtol=1e-4)
        np.testing.assert_allclose(measured.input_std[0], lensed[..., 0].std(), rtol=1e-4)
    assert measured.label_std == measure_scaling([batch], task(16, "TQU")).label_std


def test_a_scaling_survives_json():
    assert Scaling(**json.loads(json.dumps(dataclasses.asdict(SCALING)))) == SCALING


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"input_mean": 3.0}, "input_mean is 3.0: must be one a channel"),
        ({"input_std": "ab"}, "input_std is 'ab': must be one a channel"),
        ({"input_std": [1.0, "b"]}, r"input_std is \[1.0, 'b'\]: must be one a channel"),
        ({"input_std": [1.0]}, "input_mean has 2 channels and input_std 1"),
        ({"input_mean": [], "input_std": []}, "input_mean has 0 channels"),
        ({"input_std": [1.0, 0.0]}, r"input_std is \(1.0, 0.0\)"),
        ({"input_mean": [np.inf, 0.0]}, r"input_mean is \(inf, 0.0\)"),
        ({"label_std": -1.0}, "label_std is -1.0: must be one a channel"),
        ({"label_std": [-1.0]}, r"label_std is \(-1.0,\)"),
        ({"label_mean": [0.0, 0.0]}, "label_mean has 2 channels and label_std 1"),
    ],
)
def test_an_impossible_scaling_is_refused(values, message):
    with pytest.raises(LensingError, match=message):
        dataclasses.replace(SCALING, **values)


@pytest.mark.parametrize("kappa", [0.0, np.nan])
def test_maps_that_cannot_be_standardised_are_refused(kappa):
    batch = draw(np.random.default_rng(0), 2) | {"kappa": np.full((2, 16, 16, 1), kappa)}
    with pytest.raises(LensingError, match="label_"):
        measure_scaling([batch], task(16))


def test_an_empty_training_split_is_refused():
    with pytest.raises(LensingError, match="empty"):
        measure_scaling([], task(16))
