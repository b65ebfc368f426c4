import numpy as np
import pytest

from lensing_tfds.configs import LensingError
from trainer.scaling import Scaling, measure_scaling


def draw(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    return {
        "lensed": rng.normal(3, 100, size=(n, 16, 16, 1)).astype(np.float32),
        "kappa": rng.normal(0.01, 0.2, size=(n, 16, 16, 1)).astype(np.float32),
    }


def test_batches_of_any_size_give_the_mean_and_standard_deviation_of_all_pixels():
    rng = np.random.default_rng(0)
    batches = [draw(rng, n) for n in (5, 1, 9)]
    lensed, kappa = (np.concatenate([b[k] for b in batches]) for k in ("lensed", "kappa"))
    expected = Scaling(lensed.mean(), lensed.std(), kappa.mean(), kappa.std())
    measured = measure_scaling(batches)
    for field in ("lensed_mean", "lensed_std", "kappa_mean", "kappa_std"):
        np.testing.assert_allclose(getattr(measured, field), getattr(expected, field), rtol=1e-4)


def test_scaled_maps_have_zero_mean_and_unit_variance_and_kappa_comes_back():
    batch = draw(np.random.default_rng(0), 20)
    scaling = measure_scaling([batch])
    lensed, kappa = scaling.scale_lensed(batch["lensed"]), scaling.scale_kappa(batch["kappa"])
    for maps in (lensed, kappa):
        np.testing.assert_allclose([maps.mean(), maps.std()], [0, 1], atol=1e-4)
        assert maps.dtype == np.float32
    np.testing.assert_allclose(scaling.unscale_kappa(kappa), batch["kappa"], atol=1e-6)


@pytest.mark.parametrize("kappa", [0.0, np.nan])
def test_maps_that_cannot_be_standardised_are_refused(kappa):
    batch = draw(np.random.default_rng(0), 2) | {"kappa": np.full((2, 16, 16, 1), kappa)}
    with pytest.raises(LensingError, match="kappa_"):
        measure_scaling([batch])


def test_an_empty_training_split_is_refused():
    with pytest.raises(LensingError, match="empty"):
        measure_scaling([])
