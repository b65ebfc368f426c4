"""The judge sees each example once, and refuses what it cannot judge."""

import dataclasses

import numpy as np
import pytest

from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator, zero
from estimators.judge import judge_estimators
from estimators.reports import figures
from estimators.skill import difference
from lensing_tfds.cosmology import kappa_power
from lensing_tfds.errors import LensingError
from lensing_tfds.sky import spectra
from lensing_tfds.versions import VERSIONS
from tests.estimators import skies


@pytest.fixture(name="kappa", scope="module")
def kappa_fixture():
    return skies.kappa_maps(70, np.random.default_rng(0))


def judged(kappa, estimate, config=skies.CONFIG):
    ensemble = SkyEnsemble.of(config)
    return judge_estimators(
        skies.batches(kappa), skies.oracle(estimate), ensemble, "test", np.random.default_rng(0)
    )


def test_the_estimate_is_compared_with_its_own_example(kappa):
    assert judged(kappa, kappa).skill.map_correlation.value == pytest.approx(1)
    assert judged(kappa, -kappa).skill.map_correlation.value == pytest.approx(-1)
    assert judged(kappa, kappa).skill.num_examples == 70


def test_a_masked_patch_is_judged_inside_its_mask(kappa):
    """Estimates may be anything in the border, and the share of the map that counts is told."""
    masked = dataclasses.replace(skies.CONFIG, name="masked", mask={"border": 1.0})
    window = SkyEnsemble.of(masked).window
    estimate = np.where(window > 0, kappa, 1.0)
    found = judged(kappa, estimate, masked)
    assert found.skill.map_correlation.value == pytest.approx(1)
    assert found.share == pytest.approx(np.mean(window**2)) and 0 < found.share < 1
    assert np.trace(found.histogram.counts) == np.sum(window >= 0.5) * len(kappa)
    whole = judged(kappa, estimate)
    assert whole.share == 1 and whole.skill.map_correlation.value < 0.9


def test_estimators_are_told_the_mask_of_each_map(kappa):
    seen = []

    def predict(batch):
        seen.append(batch["mask"])
        return batch["lensed"]

    masks = np.random.default_rng(1).random((len(kappa), *kappa.shape[1:], 1))
    batches = ({**batch, "mask": masks[batch["index"]]} for batch in skies.batches(kappa))
    judge_estimators(
        batches,
        [Estimator("one", "one", predict)],
        skies.ENSEMBLE,
        "test",
        np.random.default_rng(0),
    )
    np.testing.assert_array_equal(np.concatenate(seen), masks)


def test_the_gallery_shows_the_first_examples(kappa):
    gallery = judged(kappa, 0.5 * kappa).gallery
    assert gallery.index.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(gallery.kappa, kappa[:4].astype(np.float32))
    np.testing.assert_allclose(gallery.estimate, 0.5 * kappa[:4], rtol=1e-6)
    np.testing.assert_allclose(gallery.lensed, 1000 * kappa[:4], rtol=1e-6)
    assert gallery.others == {}


def test_the_gallery_shows_what_stands_beside_the_estimate_too(kappa):
    """In batches of three, so that the fourth example is in the second."""
    half = Estimator("half", "half", lambda batch: batch["lensed"] / 2000)
    rng = np.random.default_rng(0)
    estimators = [*skies.oracle(kappa, 3), half]
    evaluation = judge_estimators(skies.batches(kappa, 3), estimators, skies.ENSEMBLE, "test", rng)
    np.testing.assert_allclose(evaluation.gallery.estimate, kappa[:4], rtol=1e-6)
    assert list(evaluation.gallery.others) == ["half"]
    np.testing.assert_allclose(evaluation.gallery.others["half"], kappa[:4] / 2, rtol=1e-6)


def test_the_histogram_counts_the_pixels_of_all_batches(kappa):
    histogram = judged(kappa, kappa).histogram
    assert np.trace(histogram.counts) == histogram.counts.sum()
    assert 0.99 * kappa.size < histogram.counts.sum() <= kappa.size


def test_the_expected_spectrum_is_the_one_that_kappa_has(kappa):
    evaluation = judged(kappa, kappa)
    measured = evaluation.skill.true_cl
    assert np.all(np.abs(measured.value - evaluation.expected_cl) < 4 * measured.error)


def test_exaggerated_kappa_is_expected_to_have_the_factor_squared():
    ell = np.array([20.0, 40.0, 60.0])
    natural = spectra.at_multipoles(spectra.fiducial().kappa, ell)
    np.testing.assert_allclose(
        kappa_power(VERSIONS["v1"], spectra.fiducial(), ell),
        [900 * natural[0], 900 * natural[1], 0],
    )


def test_kappa_is_expected_to_follow_the_cosmology_that_it_is_told(kappa):
    fiducial = spectra.fiducial()
    theory = dataclasses.replace(fiducial, kappa=2 * fiducial.kappa)
    evaluation = judge_estimators(
        skies.batches(kappa),
        skies.oracle(kappa),
        SkyEnsemble(skies.CONFIG, theory),
        "test",
        np.random.default_rng(0),
    )
    np.testing.assert_allclose(evaluation.expected_cl, 2 * judged(kappa, kappa).expected_cl)
    (line,) = (
        line
        for line in figures.spectra(evaluation, skies.CONFIG).axes[0].lines
        if line.get_label() == "input spectrum"
    )
    ell, drawn = line.get_data()
    np.testing.assert_allclose(drawn, 2 * kappa_power(skies.CONFIG, spectra.fiducial(), ell))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_has_bands_with_power_in_each(version):
    config = VERSIONS[version]
    bands = SkyEnsemble.of(config).bands
    assert np.all(bands.num_modes >= 8)
    assert np.all(kappa_power(config, spectra.fiducial(), bands.ell) > 0)


def test_every_estimator_is_judged_on_the_same_examples_and_sees_no_truth(kappa):
    seen = []

    def look(batch):
        seen.append(set(batch))
        return 0.1 * batch["lensed"]

    (first,) = skies.oracle(0.5 * kappa)
    estimators = [first, Estimator("look", "a look", look), zero()]
    evaluation = judge_estimators(
        skies.batches(kappa), estimators, skies.ENSEMBLE, "test", np.random.default_rng(0)
    )
    alone = judged(kappa, 0.5 * kappa)
    np.testing.assert_array_equal(evaluation.skill.rho_ell, alone.skill.rho_ell)
    np.testing.assert_array_equal(evaluation.gallery.estimate, alone.gallery.estimate)
    np.testing.assert_array_equal(evaluation.histogram.counts, alone.histogram.counts)
    look, nothing = evaluation.others
    assert (look.estimator.name, nothing.estimator.name) == ("look", "zero")
    np.testing.assert_allclose(look.skill.transfer_ell.value, 100, rtol=1e-5)
    assert nothing.skill.mse.value == nothing.skill.zero_mse.value
    assert nothing.skill.map_correlation.value == 0
    assert all(names == {"lensed", "index"} for names in seen)
    # Resamples pair up: both are the truth but for a factor.
    assert difference(evaluation.skill, look.skill).error == pytest.approx(0, abs=1e-7)


def test_estimators_of_one_name_are_refused(kappa):
    same = [*skies.oracle(kappa), dataclasses.replace(zero(), name="network")]
    with pytest.raises(ValueError, match="must have different names, these have network, network"):
        judge_estimators(
            skies.batches(kappa), same, skies.ENSEMBLE, "test", np.random.default_rng(0)
        )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_estimate_that_is_not_finite_is_named(kappa, bad):
    estimate = kappa.copy()
    estimate[40, 3, 5] = bad
    with pytest.raises(LensingError, match="example 40 is not finite"):
        judged(kappa, estimate)


def test_estimates_of_another_shape_are_refused(kappa):
    with pytest.raises(LensingError, match=r"shape \(32, 8, 8, 1\), must be \(32, 16, 16, 1\)"):
        judged(kappa, kappa[:, ::2, ::2])
