"""Figures of several folders stand in one record, if they are of the same test examples."""

import dataclasses

import numpy as np
import pytest

from benchmarks.results.cells import Cell
from benchmarks.results.evidence import gather
from benchmarks.results.figures import ITERATED, QE, QE_ALL
from benchmarks.results.merging import SAME_RHO, merged
from estimators.ensemble import SkyEnsemble
from estimators.judge import judge_estimators
from estimators.references import quadratic_references
from lensing_tfds import VERSIONS, simulate
from tests.benchmarks.results import judged
from tests.benchmarks.results.judged import put

UNET, CLOSED = Cell("v11", "unet"), Cell("v11", "iterated")


@pytest.fixture(name="metrics", scope="module")
def metrics_fixture():
    return judged.some_metrics()


@pytest.fixture(name="kept")
def kept_fixture(tmp_path, metrics):
    """An iterated estimator of 0.6 and a U-Net 0.01 above it, on four examples of v11."""
    put(tmp_path / "kept", CLOSED, metrics, 0.6)
    put(tmp_path / "kept", UNET, metrics, 0.61, above=0.01)
    return gather(tmp_path / "kept")


def with_reference(versions, name, **values):
    """The same, one version, where a reference has other figures."""
    (version,) = versions
    other = dataclasses.replace(version.references[name], **values)
    return (dataclasses.replace(version, references={**version.references, name: other}),)


def rho_of(version):
    return {made.model: made.estimate.rho for made in version.made}


def test_found_cells_replace_those_of_their_name_and_the_others_are_kept(tmp_path, metrics, kept):
    put(tmp_path / "found", UNET, metrics, 0.62, above=0.02)
    put(tmp_path / "found", Cell("v11", "unrolled"), metrics, 0.63, above=0.03)
    put(tmp_path / "found", Cell("v10", "unet"), metrics, 0.7)
    found = gather(tmp_path / "found")
    both, dropped = merged(kept, found)
    assert [version.version for version in both] == ["v10", "v11"] and dropped == ()
    assert both[0] == found[0]
    assert list(rho_of(both[1]).items()) == [("iterated", 0.6), ("unrolled", 0.63), ("unet", 0.62)]
    assert both[1].made[0] == kept[0].made[0]
    forecast = dataclasses.replace(kept[0].references[QE], rho=0.65)
    told = (dataclasses.replace(kept[0], forecast=forecast),)
    assert [merged(*pair)[0][-1].forecast for pair in ((told, found), (found, told))] == (
        [forecast] * 2
    )
    assert merged(both, ()) == (both, ())
    assert merged((), both) == (both, ())


def test_the_same_figures_again_change_nothing(kept):
    assert merged(kept, kept) == (kept, ())


def test_cells_of_fewer_examples_than_the_kept_fail_and_replace_none(tmp_path, kept):
    fewer = judged.some_metrics(3)
    put(tmp_path / "found", UNET, fewer, 0.9)
    put(tmp_path / "found", Cell("v11", "unrolled"), fewer, 0.9)
    ((version,), dropped) = merged(kept, gather(tmp_path / "found"))
    assert rho_of(version) == {"iterated": 0.6, "unet": 0.61} and dropped == ()
    assert (version.num_examples, version.references) == (4, kept[0].references)
    assert [one.model for one in version.failed] == ["unrolled", "unet"]
    assert version.failed[0].line == (
        "it was judged on 3 examples, not 4: only scores on the same examples compare"
    )
    assert version.failed[0].command.endswith("--max_examples 3")


def test_kept_cells_of_fewer_examples_are_dropped_with_a_line(tmp_path, kept):
    put(tmp_path / "found", UNET, judged.some_metrics(5), 0.5, above=0.4)
    found = gather(tmp_path / "found")
    both, dropped = merged(kept, found)
    assert both == found
    assert dropped == ("v11 iterated is dropped: it was judged on 4 examples, not 5",)


@pytest.mark.parametrize("part", ["rho", "rho_ell"])
@pytest.mark.parametrize(("apart", "why"), [(0.5, None), (2.0, "its ρ or ρ_L is 0.0002 off")])
def test_a_quadratic_estimator_tells_other_maps_from_rounding(kept, part, apart, why):
    reference = kept[0].references[QE]
    values = {"rho": reference.rho + apart * SAME_RHO}
    if part == "rho_ell":
        first, *others = reference.rho_ell
        values = {"rho_ell": (first - apart * SAME_RHO, *others)}
    (version,) = with_reference(kept, QE, **values)
    found = (dataclasses.replace(version, made=version.made[1:]),)
    both, dropped = merged(kept, found)
    assert both[0].references[QE] == version.references[QE]
    if why is None:
        assert both[0].made == kept[0].made and dropped == ()
    else:
        assert both == found
        line = "v11 iterated is dropped: it was judged on other examples, or beside another QE: "
        assert dropped == (line + why,)


def test_rounding_moves_quadratic_estimators_by_less():
    """Of v4, whose modes that lensing alone filled are a thousand times weaker than the largest."""
    config, generator = VERSIONS["v4"], np.random.default_rng(0)
    train, test = simulate("v4", "train", range(100)), simulate("v4", "test", range(50))
    ensemble = SkyEnsemble.of(config)

    def rho(rounding):
        def batch(maps):
            noise = generator.standard_normal(maps["lensed"].shape)
            lensed = maps["lensed"] + rounding * maps["lensed"].std() * noise
            return {**maps, "lensed": lensed.astype(np.float32)}

        estimators = quadratic_references(ensemble, lambda: [batch(train)], "training examples")
        estimators = [one for one in estimators if one.name.endswith("_wiener")]
        evaluation = judge_estimators([batch(test)], estimators, ensemble, "test", generator)
        skills = [one.skill for one in evaluation.judged]
        return np.array([[one.map_correlation.value, *one.rho_ell.value] for one in skills])

    assert np.abs(rho(1e-5) - rho(0.0)).max() < SAME_RHO


def test_other_bands_and_other_estimators_beside_are_not_compared(kept):
    (version,) = kept
    edges = (*version.ell_edges[:-1], version.ell_edges[-1] + 1)
    without = {name: one for name, one in version.references.items() if name != QE}
    more = {**version.references, QE_ALL: version.references[QE]}
    for changed, why in (
        ({"ell_edges": edges}, "in other bands of L"),
        ({"references": without}, "beside other quadratic estimators"),
        ({"references": more}, "beside other quadratic estimators"),
    ):
        found = (dataclasses.replace(version, made=version.made[:1], **changed),)
        both, dropped = merged(kept, found)
        assert both == found
        assert dropped == (f"v11 unet is dropped: it was judged {why}",)


def test_a_difference_from_an_iterated_estimator_that_has_changed_is_not_shown(kept):
    (version,) = with_reference(kept, ITERATED, rho=0.605)
    found = (dataclasses.replace(version, made=(), references=version.references),)
    assert merged(kept, found)[0][0].references == kept[0].references  # it has no cell to go by
    found = (dataclasses.replace(version, made=version.made[:1]),)  # the iterated estimator's
    ((both,), lines) = merged(kept, found)
    assert both.made[1] == dataclasses.replace(version.made[1], above_iterated=None)
    assert lines == (
        "v11 unet is kept without its difference from the iterated estimator, which had ρ = 0.6000 "
        "when it was judged and has 0.6050 now",
    )


def test_failures_are_kept_until_the_cell_is_made_or_fails_otherwise(tmp_path, metrics, kept):
    unrolled = Cell("v11", "unrolled")
    (tmp_path / "found" / unrolled.name).mkdir(parents=True)
    (tmp_path / "found" / UNET.name).mkdir()
    unrolled.fail(tmp_path / "found", "it diverged", 3.0)
    UNET.fail(tmp_path / "found", "no memory", 60.0)
    ((failed,), _) = merged(kept, gather(tmp_path / "found"))
    assert failed.made == kept[0].made and failed.references == kept[0].references
    assert [one.line for one in failed.failed] == ["it diverged", "no memory"]
    unrolled.fail(tmp_path / "found", "it diverged again", 3.0)
    put(tmp_path / "found", UNET, metrics, 0.62)
    ((again,), _) = merged((failed,), gather(tmp_path / "found"))
    assert [one.line for one in again.failed] == ["it diverged again"]
    assert rho_of(again) == {"iterated": 0.6, "unet": 0.62}
