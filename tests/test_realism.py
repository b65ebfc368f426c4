"""What a config's maps are is said once: report, card, validation and references never disagree.

Validation's part is in tests/pipelines/validation/test_combinations.py.
"""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimators import references
from estimators.ensemble import SkyEnsemble
from estimators.reports import run_page
from lensing_tfds import LensingConfig, realism
from lensing_tfds.errors import LensingError
from lensing_tfds.versions import VERSIONS
from pipelines.cards import prose

V12 = dataclasses.replace(VERSIONS["v12"], name="like-v12")


@st.composite
def configs(draw):
    """Configs of all kinds, small enough for their quadratic estimators to be set up."""
    npix = draw(st.sampled_from([16, 24, 33]))
    pixel = draw(st.sampled_from([0.8, 2.0, 4.7, 27.0]))  # arcmin
    try:
        return LensingConfig(
            "any",
            npix=npix,
            lx=npix * pixel / 60,
            T_lmax=draw(st.sampled_from([None, None, 1_500, 4_000, 9_000, 16_000])),
            kappa_lmax=draw(st.sampled_from([None, None, 1_200, 16_000])),
            kappa_exaggeration_factor=draw(st.sampled_from([1.0, 1.0, 10.0])),
            noise_uK_arcmin=draw(st.sampled_from([0.0, 1.0])),
            beam_arcmin=draw(st.sampled_from([0.0, 2.0])),
            fixed_unlensed=draw(st.booleans()),
            stokes=draw(st.sampled_from(["T", "QU"])),
            oversampling=draw(st.sampled_from([1, 2, 4])),
            padding=draw(st.sampled_from([1.0, 1.0, 2.0])),
            taper=draw(st.sampled_from([0.0, 0.0, 0.1])),
        )
    except LensingError:  # a cut below the patch's longest wave
        return draw(configs())


@settings(max_examples=60, deadline=None)
@given(configs())
def test_pages_and_tests_never_disagree(config):
    report = " ".join(run_page.caveats(config))
    card = " ".join([prose.purpose(config), *prose.not_for(config)])
    for departure in realism.departures(config):
        assert departure.text in report and departure.text in card
    # Each says it in its own place, and all say the same.
    is_sky = "those of the lensed sky" in card
    assert is_sky == realism.follows_camb(config)
    for phrase in ("comes back aliased", "by lensing alone", "κ has no power above", "exaggerated"):
        assert (phrase in report) == (phrase in card)
        assert not (phrase in report and is_sky)
    assert ("comes back aliased" in report) == realism.is_aliased(config)


@settings(max_examples=25, deadline=None)
@given(configs())
def test_references_are_from_theory_only_where_validation_compares_with_it(config):
    """They ask for examples, to measure their weights on, if and only if theory does not hold."""

    class Asked(Exception):
        pass

    def held_out():
        raise Asked

    try:
        found = references.references(SkyEnsemble.of(config), held_out, "some")
    except Asked:
        found = []
    assert bool(found) == realism.estimator_theory_holds(config)
    if found:
        assert realism.follows_camb(config) and realism.is_periodic(config)
        assert not any("modes" in estimator.name for estimator in found)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, ""),
        ({"lx": 40.0}, "lensed on 4.69′ pixels"),
        ({"oversampling": 1}, "own pixels"),
        ({"kappa_lmax": 1000}, "kappa_lmax 1000"),
        ({"T_lmax": 2000}, "T_lmax 2000"),
        ({"T_lmax": 15_000}, "T_lmax 15000"),
        ({"T_lmax": 16_000}, ""),  # the table's own end
        ({"kappa_exaggeration_factor": 3.0}, "3 times"),
        ({"fixed_unlensed": True}, "one unlensed sky"),
        ({"noise_uK_arcmin": 0.0, "taper": 1.0, "padding": 1.5}, ""),
    ],
)
def test_why_maps_do_not_follow_camb(fields, reason):
    found = realism.why_not_camb(dataclasses.replace(V12, **fields))
    assert (reason in found) and bool(found) == bool(reason)
