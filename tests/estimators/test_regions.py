"""Regions of different noise share the map, and what is judged there is what is there."""

import dataclasses

import numpy as np
import pytest

from estimators.ensemble import SkyEnsemble
from estimators.filtering.masked_patch import relative_variance
from estimators.judge import judge_estimators
from estimators.metrics_json import Metrics
from estimators.regions import regions_of
from estimators.reports import regions_section
from estimators.skill import SkillMeter
from lensing_tfds.config_fields.hits import Hits
from lensing_tfds.config_fields.mask import Mask
from lensing_tfds.errors import LensingError
from tests.estimators import skies

UNEVEN = dataclasses.replace(
    skies.CONFIG, name="uneven", noise_uK_arcmin=6.0, hits=Hits(contrast=4.0)
)
MASKED = dataclasses.replace(UNEVEN, name="masked", mask=Mask(border=0.5, edge=0.5))


@pytest.fixture(name="kappa", scope="module")
def kappa_fixture():
    return skies.kappa_maps(40, np.random.default_rng(0))


def judged(kappa, estimate, config=UNEVEN):
    return judge_estimators(
        skies.batches(kappa),
        skies.oracle(estimate),
        SkyEnsemble.of(config),
        "test",
        np.random.default_rng(0),
    )


@pytest.mark.parametrize("config", [UNEVEN, MASKED], ids=lambda config: config.name)
def test_regions_share_the_map_from_deep_to_shallow(config):
    ensemble = SkyEnsemble.of(config)
    regions = regions_of(ensemble)
    whole = 1.0 if ensemble.window is None else ensemble.window**2
    np.testing.assert_allclose(
        sum(region.window**2 for region in regions),
        np.broadcast_to(whole, (UNEVEN.npix,) * 2),
        atol=1e-12,
    )
    shares = np.array([region.share for region in regions])
    # Means over all places of cos² of the first half, of sin², and of cos² of the last half.
    np.testing.assert_allclose(shares / shares.sum(), [1 / 4, 1 / 2, 1 / 4], atol=0.01)
    noise = [region.noise for region in regions]
    assert noise == sorted(noise)


@pytest.mark.parametrize("config", [UNEVEN, MASKED], ids=lambda config: config.name)
def test_hits_that_are_even_make_no_regions(config):
    even = dataclasses.replace(config, hits={"contrast": 1.0})
    assert regions_of(SkyEnsemble.of(even)) == ()


def test_noise_of_a_region_is_that_of_its_pixels():
    """Variances of contrast 4 and mean 1 are 0.5 in the middle, 1.25 at edges, 2 at corners."""
    deep, middle, shallow = (region.noise**2 for region in regions_of(SkyEnsemble.of(UNEVEN)))
    assert 0.5 < deep < 0.75 < middle < 1.25 < shallow < 2.0
    share = np.array([1, 2, 1]) / 4
    assert share @ [deep, middle, shallow] == pytest.approx(1, rel=1e-3)


def test_even_noise_has_no_regions(kappa):
    assert judged(kappa, kappa, skies.CONFIG).regions == ()
    assert judged(kappa, kappa, skies.CONFIG).judged[0].regions == ()


def test_what_is_wrong_in_the_corners_is_found_there(kappa):
    """Noise of variance that rises from the middle: each region has its own ρ and mean error."""
    variance = relative_variance(UNEVEN)
    noise = np.random.default_rng(1).standard_normal(kappa.shape)
    excess = np.where(variance > np.quantile(variance, 0.6), 3.0, 0.1) * kappa.std()
    found = judged(kappa, kappa + excess * noise)
    (first,) = found.judged
    deep, middle, shallow = first.regions
    assert deep.map_correlation.value > 0.98 > middle.map_correlation.value
    assert middle.map_correlation.value > shallow.map_correlation.value > 0.2
    for region, skill in zip(found.regions, first.regions, strict=True):
        expected = np.mean((excess * region.window) ** 2) / region.share
        # of some 3,000 pixels that count, 3 σ
        assert skill.mse.value == pytest.approx(expected, rel=0.08)
    # the squares of the windows add up, and so do squared errors
    parts = [r.share * s.mse.value for r, s in zip(found.regions, first.regions, strict=True)]
    assert sum(parts) == pytest.approx(first.skill.mse.value, rel=1e-6)
    lines = regions_section.sentences(found)
    assert [line.split(":")[0] for line in lines] == ["deep", "middle", "shallow"]


def test_noise_spectra_of_regions_are_theirs():
    """White noise of a known variance in each pixel: N_L is its mean over a region's window."""
    rng = np.random.default_rng(2)
    many = skies.kappa_maps(200, rng)
    ensemble = SkyEnsemble.of(UNEVEN)
    variance, sky = relative_variance(UNEVEN), UNEVEN.sky
    sigma = 0.3 * many.std()
    estimate = many + sigma * np.sqrt(variance) * rng.standard_normal(many.shape)
    for region in regions_of(ensemble):
        meter = SkillMeter(ensemble.bands, region.window)
        meter.add(many, estimate)
        noise = meter.result(np.random.default_rng(0)).noise_ell
        expected = (sigma * region.noise) ** 2 * sky.pixel**2
        np.testing.assert_allclose(noise.value, expected, rtol=0.1, atol=4 * noise.error.max())


def test_metrics_keep_regions(kappa):
    noise = np.random.default_rng(3).standard_normal(kappa.shape)
    metrics = Metrics.of("lensing/uneven", "one", judged(kappa, kappa + kappa.std() * noise))
    values = metrics.to_json()
    assert [region["name"] for region in values["regions"]] == ["deep", "middle", "shallow"]
    assert Metrics.from_json(values).to_json() == values
    del values["regions"]
    assert Metrics.from_json(values).regions == ()


def test_regions_that_nobody_measured_are_refused(kappa):
    values = Metrics.of("lensing/uneven", "one", judged(kappa, kappa)).to_json()
    deep, middle, shallow = values["regions"]
    network = deep["estimators"]["network"]
    for regions, message in (
        ([{}], "regions: 'noise' is missing"),
        ([deep, deep, shallow], "regions: deep, deep, shallow are not deep, middle, shallow"),
        ([deep, middle], "deep, middle are not"),
        ([{**deep, "estimators": {}}, middle, shallow], "'estimators' has no 'network'"),
        (
            [{**deep, "estimators": {"network": {**network, "mse": -1.0}}}, middle, shallow],
            "'mse' holds -1",
        ),
    ):
        with pytest.raises(LensingError, match=message):
            Metrics.from_json({**values, "regions": regions})
