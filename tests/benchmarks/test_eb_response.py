"""What EB's response lacks, by CAMB's lensed-gradient spectra, is what validation measures."""

import numpy as np
import pytest

from benchmarks import eb_response
from lensing_tfds import VERSIONS


@pytest.fixture(scope="module")
def parts():
    pytest.importorskip("camb")
    return eb_response.predicted(VERSIONS["v11"], *eb_response.lensed_gradients())


def test_b_and_the_transverse_spectrum_make_all_of_it(parts):
    """Against sums over the modes of v11's box to all orders (docs/quadratic_estimators.md).

    To 3e-4: these are on a box, CAMB's spectra on the sphere.
    """
    np.testing.assert_allclose(
        1 + parts.sum(axis=1), [0.9937, 0.9938, 0.9941, 0.9943, 0.9948], atol=3e-4
    )
    np.testing.assert_allclose(parts[:, 1], -0.0024, atol=1e-4)


def test_without_them_nothing_is_added():
    none = np.zeros(4001)
    assert not eb_response.predicted(VERSIONS["v11"], none, none).any()


def test_simulated_skies_agree(parts):
    ratio, error = eb_response.measured(VERSIONS["v11"], 300)
    assert np.abs((ratio - 1 - parts.sum(axis=1)) / error).max() < 4
    assert error.max() < 0.01
