"""Right datasets of every kind pass; each way to be wrong is found, and named."""

import dataclasses

import numpy as np
import pytest

from lensing_tfds import LensingConfig, LensingError, simulate
from lensing_tfds.config_fields.kappa_distribution import KappaDistribution
from lensing_tfds.configs import SPLITS
from pipelines.validation import completeness
from pipelines.validation.statistics import ADDRESS, Statistics

from .conftest import CONFIGS, COUNTS


def words(verdict):
    return [test.message for test in verdict.failures]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_right_dataset_passes(name, simulated, judged):
    verdict = judged(CONFIGS[name], simulated(name))
    assert not words(verdict)
    tested = {test.name for test in verdict.tests}
    assert {"finite", "indices", "duplicates", "κκ"} <= tested
    if name in ("TQU", "padded"):
        for spectrum in ("TT", "EE", "BB", "TE", "TB", "EB", "T × κ", "E × κ", "B × κ"):
            assert f"lensed {spectrum}" in tested
        assert {"lensed QQ, Nyquist", "TT response to κ", "EB response to κ"} <= tested
    # Of one unlensed sky the mean over skies is not expected.
    assert ("lensed TT" in tested) == ("T" in CONFIGS[name].stokes and name != "one-sky")
    # Lensed on its own pixels: not CAMB's spectra, and said so.
    numbers = dict(verdict.numbers)
    not_cambs = ("own", "one-sky", "wide", "masked", "turned")
    assert ("lensed spectra" in numbers) == (name in not_cambs)
    if name == "own":
        assert "oversampling 1" in numbers["lensed spectra"]
        assert "from CAMB's, mean over bins" in numbers["lensed TT"]
        assert numbers["lensed T beyond T_lmax"].endswith("% of its power")


def test_deviations_are_small(simulated, judged):
    """Of the mean over bins and examples: what a bias would do, and chance does not."""
    verdict = judged(CONFIGS["TQU"], simulated("TQU"))
    curves = {curve.spectrum.name: curve for curve in verdict.curves}
    for name, bound in (("lensed TT", 0.01), ("lensed EE", 0.01), ("lensed BB", 0.01)):
        curve = curves[name]
        weights = 1 / curve.error**2 * curve.scale**2
        assert abs((curve.deviation * weights).sum() / weights.sum()) < bound


@pytest.mark.parametrize("feature", ["lensed", "unlensed", "kappa"])
def test_an_amplitude_two_per_cent_high(feature, altered, judged):
    verdict = judged(CONFIGS["T"], altered("T", feature, lambda maps: 1.02 * maps))
    name = {"kappa": "κκ"}.get(feature, f"{feature} TT")
    (found,) = [text for text in words(verdict) if text.startswith(f"{name}: ")]
    assert "above theory at l = " in found
    assert 3 < float(found.split(": ")[1].split("%")[0]) < 5


def test_a_polarization_two_per_cent_low(altered, judged):
    def q_and_u(maps):
        return maps * np.array([1, 0.98, 0.98])

    found = words(judged(CONFIGS["TQU"], altered("TQU", "lensed", q_and_u)))
    assert any(text.startswith("lensed EE: ") and "below theory" in text for text in found)
    assert not any("lensed TT" in text for text in found)


@pytest.mark.parametrize("name", ["T", "QU", "padded", "own"])
def test_a_flipped_deflection(name, altered, judged):
    found = words(judged(CONFIGS[name], altered(name, "kappa", lambda maps: -maps)))
    assert found
    for text in found:
        assert text.startswith("deflection sign: the response of the ")
        assert "quadratic estimate to κ is -" in text


def test_a_u_of_the_other_sign(altered, judged):
    """Mirrors E and B into each other: the lensed B mode becomes huge."""
    found = words(judged(CONFIGS["QU"], altered("QU", "lensed", lambda maps: maps * [1, -1])))
    assert any(text.startswith("lensed BB: ") and "times theory" in text for text in found)


def test_a_shifted_beam(judged):
    config = CONFIGS["T"]
    blurred = dataclasses.replace(config, beam_arcmin=4.4)
    examples = {split: simulate(blurred, split, range(COUNTS[split])) for split in SPLITS}
    found = words(judged(config, examples))
    assert any(text.startswith("lensed TT: ") and "below theory" in text for text in found)


@pytest.mark.parametrize("feature", ["lensed", "kappa"])
def test_nyquist_modes_of_half_power(feature, altered, judged):
    sky = CONFIGS["T"].sky

    def halve(maps):
        modes = sky.to_modes(maps[..., 0].astype(np.float64))
        modes[:, sky.npix // 2, :-1] *= 0.5**0.5
        modes[:, :, -1] *= 0.5**0.5
        return sky.to_map(modes)[..., None]

    found = words(judged(CONFIGS["T"], altered("T", feature, halve)))
    name = {"lensed": "lensed TT", "kappa": "κκ"}[feature]
    (text,) = [text for text in found if text.startswith(f"{name}, Nyquist: ")]
    assert "below theory on the Nyquist row and column" in text
    assert not any(text.startswith(f"{name}: ") for text in found)


def test_power_where_none_should_be(altered, judged):
    """B modes in the unlensed sky, a millionth of the E modes."""
    found = words(judged(CONFIGS["QU"], altered("QU", "unlensed", lambda maps: maps * [1, 1.002])))
    assert any(text.startswith("unlensed BB: there should be none") for text in found)


def test_a_field_that_is_not_gaussian(altered, judged):
    def skewed(maps):
        return maps + 0.5 * (maps**2 - (maps**2).mean())

    found = words(judged(CONFIGS["T"], altered("T", "kappa", skewed)))
    assert any(text.startswith("the skewness of κ is ") for text in found)


def test_foregrounds_three_per_cent_strong(altered, judged):
    found = words(
        judged(CONFIGS["foregrounds"], altered("foregrounds", "foregrounds", lambda f: 1.03 * f))
    )
    (text,) = [text for text in found if text.startswith("foregrounds TT: ")]
    assert "above theory" in text


def test_foregrounds_of_the_other_sign(altered, judged):
    """Their power is right, their correlation with κ and with the lensed map is not."""
    found = words(
        judged(CONFIGS["foregrounds"], altered("foregrounds", "foregrounds", lambda f: -f))
    )
    for name in ("foregrounds T × κ: ", "foregrounds T × lensed T: "):
        assert any(text.startswith(name) for text in found)
    assert not any(text.startswith("foregrounds TT") for text in found)


def test_foregrounds_that_are_gaussian(altered, judged):
    """Random phases: the power of each map stays."""
    sky, rng = CONFIGS["foregrounds"].sky, np.random.default_rng(6)

    def scrambled(maps):
        modes = sky.to_modes(maps[..., 0].astype(np.float64))
        white = sky.to_modes(rng.standard_normal(maps[..., 0].shape))
        return sky.to_map(np.abs(modes) * white / np.abs(white))[..., None]

    found = words(judged(CONFIGS["foregrounds"], altered("foregrounds", "foregrounds", scrambled)))
    assert any(text.startswith("the skewness of foregrounds T is ") for text in found)
    assert not any(text.startswith("foregrounds TT: ") for text in found)


def test_foregrounds_that_are_not_in_the_map(simulated, judged):
    """Those of an amplitude of 1, said to be: the map has none."""
    plain = dataclasses.replace(CONFIGS["foregrounds"], foregrounds=None)
    examples = {
        split: maps | {"lensed": simulate(plain, split, range(COUNTS[split]))["lensed"]}
        for split, maps in simulated("foregrounds").items()
    }
    found = words(judged(CONFIGS["foregrounds"], examples))
    assert any(text.startswith("foregrounds T × lensed T: ") for text in found)
    assert any(text.startswith("lensed TT: ") and "below theory" in text for text in found)


def test_a_kappa_that_is_gaussian_and_should_not_be(judged):
    config = CONFIGS["skewed"]
    gaussian = dataclasses.replace(config, kappa=KappaDistribution(correlated=True))
    examples = {split: simulate(gaussian, split, range(COUNTS[split])) for split in SPLITS}
    found = words(judged(config, examples))
    (text,) = found
    assert text.startswith("the skewness of κ is ") and "should be 0.4" in text


def test_a_skewed_kappa_of_other_power(altered, judged):
    found = words(judged(CONFIGS["skewed"], altered("skewed", "kappa", lambda maps: 1.03 * maps)))
    assert any(text.startswith("κκ: ") and "above theory" in text for text in found)


def test_a_correlation_with_kappa_of_the_other_sign(altered, judged):
    found = words(judged(CONFIGS["wide"], altered("wide", "unlensed", lambda maps: -maps)))
    assert any(text.startswith("unlensed T × κ: the correlation is -0.") for text in found)


def test_a_kappa_from_files_comes_again_and_has_any_power(tmp_path, judged):
    config = dataclasses.replace(CONFIGS["own"], name="files", T_lmax=None)
    paths = {}
    for number, split in enumerate(SPLITS):
        paths[split] = [f"{tmp_path}/{split}.npy"]
        drawn = simulate(CONFIGS["own"], split, range(3))["kappa"][..., 0]
        np.save(paths[split][0], 0.5 * np.roll(drawn, number, 1))
    config = LensingConfig.from_json(config.to_json() | {"kappa_files": paths})
    examples = {split: simulate(config, split, range(COUNTS[split])) for split in SPLITS}
    verdict = judged(config, examples)
    assert not words(verdict)
    tested = {test.name for test in verdict.tests}
    assert {"unlensed TT", "lensed T × κ", "TT response to κ", "duplicates"} <= tested
    assert not {"κκ", "lensed TT", "κ: variance"} & tested
    for name, maps in examples["train"].items():
        if name != "index":
            maps[7] = maps[2]
    (found,) = [text for text in words(judged(config, examples)) if "the same" in text]
    assert found.startswith("examples train 2 and train 7 are the same")


def test_the_same_example_twice_in_a_split_and_across_splits(simulated, judged):
    examples = {split: dict(maps) for split, maps in simulated("T").items()}
    for split, index in (("train", 7), ("test", 2)):
        for name in ("lensed", "unlensed", "kappa"):
            maps = examples[split][name].copy()
            maps[index] = examples["train"][name][3]
            examples[split][name] = maps
    (found,) = [text for text in words(judged(CONFIGS["T"], examples)) if "same" in text]
    assert found.startswith("examples train 3 and train 7 and test 2 are the same")


def test_a_shard_with_an_index_that_is_not_its_own_is_refused(simulated, judged):
    examples = {split: dict(maps) for split, maps in simulated("T").items()}
    examples["train"]["index"] = examples["train"]["index"].copy()
    examples["train"]["index"][5] = 8
    with pytest.raises(LensingError, match="has example 8 in place of 5"):
        judged(CONFIGS["T"], examples)


def test_examples_that_a_runner_lost_or_counted_twice():
    rows = [(0, index, index) for index in (0, 1, 1, 3, 4, 6)]
    statistics = Statistics(addresses=np.array(rows, ADDRESS))
    (found,) = [t for t in completeness.tests(statistics, {"train": 6}) if t.name == "indices"]
    assert not found.passed
    assert found.message == (
        "indices: train 1 more than once; train 2, 5 missing; train 6 not below 6"
    )


def test_not_a_number(altered, judged):
    def spoil(maps):
        maps = maps.copy()
        if len(maps) == COUNTS["train"]:
            maps[11, 3, 4] = np.nan
        else:
            maps[1, 0, 0] = -np.inf
        return maps

    found = words(judged(CONFIGS["T"], altered("T", "lensed", spoil)))
    (text,) = found
    assert text == "NaN or infinity in train 11 (lensed), validation 1 (lensed), test 1 (lensed)"


def test_maps_of_nothing_fail(altered, judged):
    found = words(judged(CONFIGS["T"], altered("T", "kappa", lambda maps: 0 * maps)))
    assert any(text.startswith("κκ: 100.0% below theory") for text in found)


def test_an_unlensed_sky_that_is_not_one(simulated, judged):
    found = words(judged(CONFIGS["one-sky"], simulated("own") | {}))
    assert "unlensed TT: the unlensed sky is not the same in all examples" in found
