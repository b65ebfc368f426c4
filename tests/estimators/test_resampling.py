"""Errors and p-values are what they say, for rows that are not Gaussian."""

import numpy as np
import pytest

from estimators.resampling import ExampleMeans, compact, rows_needed, sign_flip_p_value
from lensing_tfds.errors import LensingError


def test_false_alarms_are_as_frequent_as_stated():
    """Heavy tails, strongly correlated columns, few rows: p is uniform all the same."""
    rng = np.random.default_rng(0)
    p = []
    for _ in range(300):
        rows = rng.standard_t(1.5, (14, 4))
        rows[:, 1:] += 3 * rows[:, :1]
        p.append(sign_flip_p_value(rows, rng))
    for rate in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(np.array(p) <= rate) == pytest.approx(rate, abs=3.5 * (rate / 1200) ** 0.5)


def test_a_mean_is_found_in_any_column():
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((100, 10))
    assert sign_flip_p_value(rows, rng) > 0.01
    rows[:, 7] -= 1
    assert sign_flip_p_value(rows, rng) == pytest.approx(1e-4)


@pytest.mark.parametrize("rate", [0.05, 1e-2, 1e-3])
def test_a_rate_can_be_reached_with_the_rows_needed_and_not_with_far_fewer(rate):
    needed = rows_needed(rate)
    certain = np.ones((needed, 2))
    assert sign_flip_p_value(certain, np.random.default_rng(2)) <= rate
    assert sign_flip_p_value(certain[:-3], np.random.default_rng(2)) > rate


def test_rows_of_nothing_are_no_evidence():
    assert sign_flip_p_value(np.zeros((30, 2)), np.random.default_rng(3)) == 1


def test_the_error_of_a_mean_is_its_scatter_over_root_n():
    rng = np.random.default_rng(4)
    rows = rng.exponential(size=(400, 1))
    value, error = meter(rows).measure(lambda means: means, rng)
    assert value == pytest.approx(rows.mean())
    assert error == pytest.approx(rows.std() / 20, rel=0.1)


def test_one_row_has_no_error():
    with pytest.raises(LensingError, match="errors need at least 2 examples, there are 1"):
        meter(np.ones((1, 2))).measure(lambda means: means, np.random.default_rng(0))


def test_equal_generators_resample_the_same_examples():
    """So that the difference of two statistics has an error of its own."""
    rows = np.random.default_rng(5).standard_normal((50, 3))
    first, second = (
        meter(rows).statistics(
            lambda means: {"sum": means.sum(axis=-1), "one": means[..., 0]},
            np.random.default_rng(1),
        )
        for _ in range(2)
    )
    np.testing.assert_array_equal(first["sum"].resamples, second["sum"].resamples)
    rest = first["sum"].resamples - first["one"].resamples
    assert rest.std() == pytest.approx(rows[:, 1:].sum(axis=1).std() / 50**0.5, rel=0.15)


def test_columns_of_any_shape_are_put_side_by_side():
    means = ExampleMeans()
    for start in (0, 2):
        example = np.arange(start, start + 2.0)
        means.add(example, np.stack([10 * example, 100 * example], axis=-1)[:, None])
    assert len(means) == 4
    np.testing.assert_array_equal(means.rows, np.outer(np.arange(4), [1, 10, 100]))


def meter(rows):
    means = ExampleMeans()
    means.add(rows)
    return means


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.63021, 0.00062, "0.6302(6)"),
        (0.63021, 0.0097, "0.63(1)"),
        (0.5, 0.0000004, "0.50000(0)"),
        (-0.05, 0.002, "-0.050(2)"),
        (12.3, 9.7, "12(10)"),
        (120.4, 25.0, "120(25)"),
        (0.6302, 0.0, "0.630"),
    ],
)
def test_an_error_stands_in_the_last_digit(value, error, text):
    assert compact(value, error) == text
