"""Maps that are like simulated ones pass; of others it is said where, and by how much."""

import dataclasses
import re

import numpy as np
import pytest

from estimators.own_maps import likeness
from estimators.own_maps.likeness import ESTIMATE, Likeness, Statistics, refuse_unusable
from estimators.own_maps.sky_frame import SkyFrame
from estimators.power_spectra import choose_bands
from lensing_tfds import LensingConfig, simulate
from lensing_tfds.errors import LensingError

CONFIG = LensingConfig(
    "small", npix=32, lx=1.25, stokes="QU", oversampling=2, beam_arcmin=1.0, noise_uK_arcmin=4.0
)
BANDS = choose_bands(CONFIG.sky)


def statistics(maps, kappa):
    return Statistics.of(maps, kappa[..., 0], CONFIG.channels, BANDS)


@pytest.fixture(name="known", scope="module")
def known_fixture():
    skies = simulate(CONFIG, "validation", range(64))
    return statistics(skies["lensed"], skies["kappa"])


@pytest.fixture(name="skies", scope="module")
def skies_fixture():
    return simulate(CONFIG, "test", range(400))


def beside(known, maps, kappa):
    return Likeness(CONFIG, statistics(maps, kappa), known, BANDS)


def test_simulated_maps_are_like_simulated_ones(known, skies):
    """One by one, and together: 0.4 warnings are due of 400, and more than 3 by chance in 0.1 %."""
    maps, kappa = skies["lensed"], skies["kappa"]
    warned = [beside(known, maps[[i]], kappa[[i]]).warnings for i in range(400)]
    assert sum(map(bool, warned)) <= 3
    assert beside(known, maps, kappa).warnings == []


def test_the_sigmas_are_those_of_student(known, skies):
    """Of single skies, over all bands: their scatter is that of Student's t of 63 degrees."""
    values = np.stack(
        [
            np.concatenate(
                [*beside(known, skies["lensed"][[i]], skies["kappa"][[i]]).sigmas.values()]
            )
            for i in range(200)
        ]
    )
    # 64 skies give the scatter of each number to 9 %, and 200 its mean square to 10 %; numbers are
    # many, and their errors average out.
    assert np.mean(values**2) == pytest.approx(63 / 61, rel=0.1)
    assert np.mean(values) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("number", [1, 20])
def test_more_noise_is_seen_where_there_is_more(known, skies, number):
    """White noise of twice the rms: small scales have four times the power, large ones the same."""
    some = slice(0, number)
    maps = skies["lensed"][some]
    rms = np.sqrt(3) * CONFIG.noise_uK_arcmin * np.sqrt(2) / CONFIG.pixel_arcmin
    rng = np.random.default_rng(0)
    noisy = maps + np.float32(rms) * rng.standard_normal(maps.shape, np.float32)
    found = beside(known, noisy, skies["kappa"][some])
    (line,) = (line for line in found.warnings if line.startswith("the power of B "))
    assert line.startswith("the power of B is not that of skies of lensing/small: ")
    times = re.findall(r"([\d.]+) times at (\d+) < l < (\d+) \(\+([\d.]+) σ\)", line)
    assert 1 <= len(times) <= 3 and all(3 < float(ratio) < 5 for ratio, *_ in times)
    edges = {round(edge) for edge in BANDS.edges}
    assert all({int(low), int(high)} <= edges for _, low, high, _ in times)
    assert ESTIMATE not in " ".join(found.warnings)


def test_u_of_the_other_sign_is_suspected(known, skies):
    quiet = dataclasses.replace(CONFIG, noise_uK_arcmin=0.1)
    few = range(64)
    of_quiet = simulate(quiet, "validation", few)
    found = Likeness(
        quiet,
        statistics(of_quiet["lensed"][:1] * np.float32([1, -1]), of_quiet["kappa"][:1]),
        statistics(of_quiet["lensed"], of_quiet["kappa"]),
        BANDS,
    )
    assert any(
        line.startswith("the power of B ")
        and line.endswith("; E is mixed into it, by edges or by U of the other sign (COSMO, IAU)")
        for line in found.warnings
    )


def test_a_patch_cut_out_of_a_larger_sky_jumps_at_its_edges(known):
    larger = dataclasses.replace(CONFIG, name="cut", padding=2.0)
    skies = simulate(larger, "test", range(8))
    lines = beside(known, skies["lensed"], skies["kappa"]).warnings
    assert any(
        re.match(
            r"[QU] jumps at the patch's edges, [\d.]+ times as much as skies of lensing/small", l
        )
        for l in lines
    )


def test_an_estimate_with_heavy_tails_is_measured_by_those_of_simulated_skies(known, skies):
    """One sky of each has a hundred times the power, as where an estimate diverges."""
    own = statistics(skies["lensed"][:50], skies["kappa"][:50])
    heavy = dataclasses.replace(known, power=dict(known.power))
    for of in (own, heavy):
        times = np.where(np.arange(of.number) == 5, 100.0, 1.0)
        of.power[ESTIMATE] = of.power[ESTIMATE] * times[:, None]
    found = Likeness(CONFIG, own, heavy, BANDS)
    assert found.warnings == [] and found.estimate_limit > 2 * found.limit
    # Where simulated skies have no such tails, it is found out.
    (line,) = Likeness(CONFIG, own, known, BANDS).warnings
    assert line.startswith(f"the power of {ESTIMATE} is not that of skies")


def test_one_patch_of_many_is_found(known, skies):
    maps = skies["lensed"][:100].copy()
    maps[37] *= 1.5
    assert beside(known, skies["lensed"][:100], skies["kappa"][:100]).warnings == []
    (line,) = beside(known, maps, skies["kappa"][:100]).warnings
    assert line.startswith("1 of 100 patches (37) are not like skies of lensing/small, patch 37 ")


def test_a_band_that_is_empty_in_both_says_nothing(known, skies):
    none = {name: np.zeros_like(values) for name, values in known.power.items()}
    nothing = dataclasses.replace(known, power=none)
    assert Likeness(CONFIG, nothing, nothing, BANDS).warnings == []
    full = Likeness(CONFIG, known, nothing, BANDS)
    assert len(full.warnings) == len(none)


@pytest.fixture(name="expected", scope="module")
def expected_fixture(skies):
    return skies["lensed"].std(axis=(0, 1, 2), dtype=np.float64)


def test_simulated_maps_are_usable(skies, expected):
    refuse_unusable(skies["lensed"], expected, CONFIG, "maps.npy")


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda m: m * 0, r"U of patch 2 of 3 in maps.npy is 0 everywhere"),
        (lambda m: m * 0 + 7, "is 7 everywhere: there is nothing to estimate"),
        (lambda m: m * 1e-6, r"rms of .*e-06, expected is .* µK: they look like K: convert them"),
        (lambda m: m * 1e-3, "they look like mK: convert them"),
        (lambda m: m * 1e3, "is this another sky, or another unit"),
        (lambda m: m + 2.7255e6, r"has a mean of 2.\d+e\+06 µK: take the monopole off"),
    ],
)
def test_maps_that_nothing_comes_of_are_named(spoil, line, skies, expected):
    maps = skies["lensed"][:3].copy()
    maps[2, ..., 1] = spoil(maps[2, ..., 1])
    with pytest.raises(LensingError, match=line):
        refuse_unusable(maps, expected, CONFIG, "maps.npy")


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_pixels_that_are_not_finite_are_counted_and_their_place_in_the_file_is_named(
    bad, skies, expected
):
    maps = skies["lensed"][:2].copy()
    maps[1, 3:5, 7, 0] = bad
    counted = "^Q of patch 1 of 2 in maps.npy has 2 of 1,024 pixels that are not finite .*"
    with pytest.raises(LensingError, match=f"{counted}, in rows 3 to 4 and column 7: give --mask"):
        refuse_unusable(maps, expected, CONFIG, "maps.npy")
    upside_down = SkyFrame(True, False, np.zeros((32, 32)), None)
    with pytest.raises(LensingError, match=f"{counted}, in rows 27 to 28 and column 7: "):
        refuse_unusable(maps, expected, CONFIG, "maps.npy", upside_down)


def test_the_chance_of_a_false_alarm_is_shared_among_all_numbers(known, skies):
    one, ten = (beside(known, skies["lensed"][:n], skies["kappa"][:n]) for n in (1, 10))
    assert 4 < one.limit < ten.limit < 8
    assert likeness.FALSE_ALARMS == 1e-3
