"""Maps of every kind of version on its card: all are shown, and the words fit them."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from lensing_tfds import VERSIONS, realism, simulate
from lensing_tfds.config_fields.foregrounds import Foregrounds
from lensing_tfds.config_fields.kappa_distribution import KappaDistribution
from lensing_tfds.config_fields.mask import Mask
from pipelines.cards import example, facts, page, prose

MASK = Mask(border=0.1, edge=0.1, multiplies="signal")
FIELDS: dict[str, dict[str, Any]] = {
    "v10": {},
    "v13": {"mask": MASK},
    "v14": {"taper": 0.2},
    "v15": {
        "mask": dataclasses.replace(MASK, multiplies="observed", holes=1, hole_radius_arcmin=5.0)
    },
    "v16": {},
    "v17": {},
}
SMALL = {
    name: dataclasses.replace(VERSIONS[name], name="small", npix=32, lx=32 * 2 / 60, **fields)
    for name, fields in FIELDS.items()
}
EXTRAS = {
    "v10": [],
    "v13": ["mask"],
    "v14": ["rotation", "tau"],
    "v15": ["mask", "noise variance"],
    "v16": ["foregrounds"],
    "v17": [],
}


@pytest.fixture(name="maps", scope="module")
def maps_fixture():
    return {
        name: {n: v[0] for n, v in simulate(config, "test", [0]).items()}
        for name, config in SMALL.items()
    }


@pytest.mark.parametrize("name", SMALL)
def test_every_map_has_one_panel(maps, name):
    shown = example.panels(maps[name], SMALL[name])
    drawn = example.figure.__wrapped__(maps[name], SMALL[name])
    titles = [axes.get_title() for axes in drawn.axes if axes.images]
    assert sorted(titles) == sorted(shown)
    config = SMALL[name]
    usual = 2 * len(config.channels) + 3 + config.unlensed_E  # with E, B and κ
    assert set(EXTRAS[name]) <= set(titles) and len(titles) == usual + len(EXTRAS[name])
    for axes in drawn.axes:
        if axes.get_title() in EXTRAS[name]:
            field = axes.get_title().replace(" ", "_")
            np.testing.assert_array_equal(axes.images[0].get_array(), maps[name][field][..., 0])


def test_units_are_those_of_the_features(maps):
    drawn = example.figure.__wrapped__(maps["v15"], SMALL["v15"])
    units = {
        axes.get_title(): bar.get_title(loc="left")
        for axes in drawn.axes
        for bar in axes.child_axes
    }
    assert [units[n] for n in ("κ", "mask", "noise variance", "Q lensed")] == ["", "", "µK²", "µK"]


def test_what_a_mask_hides_is_not_what_lensing_did(maps):
    """Behind the mask are noise on v13, whose signal is masked, and nothing on v15."""
    for name, depth in (("v13", 2**0.5), ("v15", 0.0)):
        hidden = maps[name]["mask"][..., 0] == 0
        shown = example.panels(maps[name], SMALL[name])["Q lensed − unlensed"]
        assert hidden.any()
        rms = np.sqrt(np.mean(shown[hidden] ** 2))
        # Of pixels of 2', with noise of l_knee 100 besides.
        assert rms == pytest.approx(depth / 2, rel=0.2)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("v10", "`lensed − unlensed` is what lensing did, plus the noise."),
        ("v13", "`lensed − unlensed` (of unlensed behind the mask) is what lensing did, plus the"),
        ("v14", "(of unlensed behind the taper) is what rotation, optical depth and lensing did, "),
        ("v16", "is what lensing did, plus the foregrounds and the noise."),
    ],
)
def test_captions_say_what_the_difference_is(name, words):
    assert words in prose.caption(SMALL[name])


def test_facts_name_foregrounds_and_what_kappa_is():
    found = {name: dict(facts.specification(config)) for name, config in SMALL.items()}
    assert found["v16"]["foregrounds"] == "at 150 GHz, in T: radio, dusty, cib, tsz, ksz"
    assert found["v17"]["κ"] == "lognormal, skewness 0.046 behind 10′ FWHM; correlated with T and E"
    assert not {"foregrounds", "κ"} & set(found["v10"])
    fewer = dataclasses.replace(
        SMALL["v16"], foregrounds=Foregrounds(tsz=2.0, ksz=0.0),
        kappa=KappaDistribution(correlated=True),
    )  # fmt: skip
    told = dict(facts.specification(fewer))
    assert told["foregrounds"] == "at 150 GHz, in T: radio, dusty, cib, tsz times 2"
    assert told["κ"] == "Gaussian; correlated with T and E"


def test_purposes_and_labels_name_what_is_there():
    assert "through a beam, with foregrounds and with noise." in prose.purpose(SMALL["v16"])
    assert "the lensed sky, through a beam and with noise." in prose.purpose(SMALL["v10"])
    text = page.index([VERSIONS[name] for name in SMALL])
    for name, labels in (
        ("v10", "κ, unlensed E"), ("v13", "κ, mask, r"), ("v15", "κ, noise variance, mask"),
        ("v16", "κ, unlensed E, foregrounds"), ("v17", "κ, unlensed E"),
    ):  # fmt: skip
        (row,) = (line for line in text.splitlines() if line.startswith(f"| [{name}]"))
        assert f"| {labels} |" in row


def test_a_patch_with_edges_is_not_said_to_have_none():
    for name, config in SMALL.items():
        (said,) = (i.text for i in realism.idealisations(config) if i.topic == "Large scales")
        assert ("a real survey has edges" in said) == realism.is_periodic(config), name
