"""The networks that come with the package score what they are said to, on skies simulated here."""

import dataclasses
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import trainer
from estimators import estimator, references
from estimators.ensemble import SkyEnsemble, bands_of
from estimators.iterated.iterated_estimator import StagedEstimator
from estimators.judge import judge_estimators
from estimators.quadratic.fields import fields_of
from estimators.uncertainty import measured_uncertainty
from lensing_tfds.errors import LensingError
from lensing_tfds.records.seals import sealed, unsealed
from lensing_tfds.simulation import simulate
from trainer import pretrained_models
from trainer.networks.physical import task_of

EXAMPLES = dict.fromkeys([f"v{i}" for i in range(1, 9)], 24)
EXAMPLES |= {"v9": 12, "v10": 8, "v11": 100, "v12": 12, "v13": 12, "v14": 48, "v15": 8}
EXAMPLES |= {"v16": 8, "v17": 8}
"""The first of the test split, that each is judged on: of 256 x 256 pixels as many as are quick."""

_SIGMAS = 4.5  # of the difference of some twenty bands' scores, of which one in 10,000 is beyond


def judged(name, model, number=None, uncertainty=None):
    """Judges a network, with these errors, on the first test examples."""
    config, number = pretrained_models.VERSIONS[name], number or EXAMPLES[name]
    size = 2**19 // config.npix**2  # eager layers are twice as slow a map in batches of four

    def batches():
        for start in range(0, number, size):
            yield simulate(config, "test", range(start, min(start + size, number)))

    judge = dataclasses.replace(
        estimator.network(lambda maps: np.asarray(model(maps))), uncertainty=uncertainty
    )
    drawn = np.random.default_rng(0)
    return judge_estimators(batches(), [judge], SkyEnsemble.of(config), "test", drawn)


def sigmas(skill, marks):
    """How far off its marks a network is, in errors of these few examples, at most."""
    off = [
        np.abs(measured.value - mark.value) / np.hypot(measured.error, mark.error)
        for measured, mark in (
            (skill.map_correlation, marks.map_correlation),
            (skill.mse, marks.mse),
            (skill.rho_ell, marks.rho_ell),
        )
    ]
    return max(float(np.max(values)) for values in off)


def names():
    return sorted(path.stem for path in pretrained_models.FOLDER.glob("*.json"))


@pytest.mark.parametrize("name", names())
def test_it_scores_its_marks(name):
    found = trainer.pretrained(f"lensing/{name}")
    assert task_of(found.model) == found.task
    evaluation = judged(name, found.model, uncertainty=found.uncertainty)
    assert sigmas(evaluation.skill, found.marks) < _SIGMAS
    for of in evaluation.coverage or ():  # of errors that were measured on more examples than here
        off = np.abs(of.modes.value - of.level) / of.modes.error
        assert off.max() < np.sqrt(2) * _SIGMAS


def test_damaged_gains_do_not_score_them():
    """Of v11, whose hundred examples know its marks best."""
    found = trainer.pretrained("lensing/v11")
    *first, last = found.stages
    for spoilt in (last.gains * 1.5, np.roll(last.gains, 3, axis=1), last.gains[::-1]):
        stages = (*first, dataclasses.replace(last, gains=spoilt))
        model = dataclasses.replace(found, stages=stages).model
        assert sigmas(judged("v11", model, 16).skill, found.marks) > 2 * _SIGMAS


@pytest.mark.parametrize(
    ("name", "field", "spoil"),
    [
        ("v5", "gains", lambda gains: gains[1:]),
        ("v5", "gains", lambda gains: np.concatenate([gains, gains[:1]])),
        ("v5", "gains", lambda gains: gains[:, 1:]),
        ("v5", "gains", lambda gains: np.where(gains == gains.max(), np.nan, gains)),
        ("v5", "power", lambda power: power[1:]),
        ("v11", "residual_b", lambda power: power[1:]),
        ("v11", "residual_b", lambda power: power[:0]),
        ("v1", "mean_field", lambda mean: mean[1:]),
        ("v11", "mean_field", lambda mean: np.zeros((128, 65), complex)),
        ("v14", "mean_field", lambda mean: np.zeros((), complex)),
        ("v14", "mean_field", lambda mean: np.where(mean == mean.max(), np.nan, mean)),
    ],
)
def test_numbers_that_are_missing_are_named(name, field, spoil):
    """Layers would take some of these, and estimate something else."""
    found = trainer.pretrained(f"lensing/{name}")
    *first, last = found.stages
    spoilt = dataclasses.replace(last, **{field: spoil(getattr(last, field))})
    line = f"{field} of stage {len(first)} of iterated on lensing/{name} have shape .*: must be"
    with pytest.raises(LensingError, match=line):
        _ = dataclasses.replace(found, stages=(*first, spoilt)).model
    with pytest.raises(LensingError, match="iterated has no stages"):
        _ = dataclasses.replace(found, stages=()).model


@pytest.mark.parametrize("name", ["v8", "v11"])
def test_it_is_the_estimator_in_numpy_at_full_size(name):
    found = trainer.pretrained(f"lensing/{name}")
    config = found.task.lensing
    maps = simulate(config, "test", range(2))["lensed"]
    fields = fields_of(maps, config.channels, config.sky)
    expected = config.sky.to_map(found.staged.kappa(fields))
    error = np.asarray(found.model(maps))[..., 0] - expected
    assert np.sqrt(np.mean(error**2)) < 1e-4 * expected.std()


def test_its_card_says_what_it_is_for_and_scored():
    card = trainer.pretrained("lensing/v11").card
    assert (
        "iterated, " in card and "on the first 128 training examples of lensing/v11 2.0.0" in card
    )
    assert "Q, U, µK, 128 x 128 pixels of 2.34', beam 1', noise 1 µK'" in card
    assert "map-level correlation 0.6" in card and "on the 500 test examples" in card
    assert "test examples, spectra measured with NaMaster\n" in card  # the file does not say
    assert "not for skies that are not like its own:\n" in card
    assert "  No dust, no point sources, no SZ effect" in card


@pytest.fixture(name="run", scope="module")
def run_fixture():
    """The run that the network of v8 was kept from, as far as `keep` looks at it."""
    found = trainer.pretrained("lensing/v8")
    examples = simulate("v8", "test", range(24))
    estimate = np.asarray(found.model(examples["lensed"]))[..., 0]
    marks = {name: getattr(found.marks, name) for name in ("map_correlation", "mse", "rho_ell")}
    return SimpleNamespace(
        lensing=found.task.lensing,
        config=SimpleNamespace(model="iterated", max_examples=found.max_examples),
        task=found.task,
        model=found.model,
        uncertainty=measured_uncertainty(
            [(examples["kappa"][..., 0], estimate)], bands_of(found.task.lensing)
        ),
        metrics=SimpleNamespace(
            num_examples=found.marks.num_examples,
            ell_edges=found.marks.ell_edges,
            measured=marks,
            spectra_measured_with=found.marks.spectra_measured_with,
        ),
        maps=examples["lensed"][:2],
    )


def kept(monkeypatch, run):
    monkeypatch.setattr(pretrained_models, "load_run", lambda workdir: run)
    monkeypatch.setattr(pretrained_models, "judged_metrics", lambda workdir: run.metrics)
    pretrained_models.keep("run")
    return trainer.pretrained("lensing/v8")


def test_the_errors_of_a_run_are_kept_with_it(folder, monkeypatch, run):
    found = kept(monkeypatch, run)
    assert found.uncertainty.to_json() == run.uncertainty.to_json()
    estimate = run.model.predict(run.maps, verbose=0)
    low, high = found.intervals(run.maps, 0.95)
    assert low.dtype == np.float32 and low.shape == (2, 50, 50, 1)
    half_width = run.uncertainty.pixel_half_width(0.95)
    # Gains are kept with six digits.
    np.testing.assert_allclose(low, estimate - half_width, atol=1e-4 * half_width)
    np.testing.assert_allclose(high - low, 2 * half_width, rtol=1e-5)
    assert f"95% of pixels within ± {half_width:.3g}" in found.card
    with pytest.raises(LensingError, match="level is 0.5: must be 0.68 or 0.95"):
        found.intervals(run.maps, 0.5)


def test_a_run_that_few_examples_judged_is_not_kept(folder, monkeypatch, run):
    before = (folder / "v8.json").read_bytes()
    few = SimpleNamespace(**{**vars(run.metrics), "num_examples": 99})
    with pytest.raises(LensingError, match="judged on 99 test examples: judge it on 100 at least"):
        kept(monkeypatch, SimpleNamespace(**{**vars(run), "metrics": few}))
    assert (folder / "v8.json").read_bytes() == before


def test_a_network_without_errors_says_so_in_a_line(folder, monkeypatch, run):
    found = kept(monkeypatch, SimpleNamespace(**{**vars(run), "uncertainty": None}))
    assert found.uncertainty is None and "of pixels within" not in found.card
    with pytest.raises(LensingError, match="lensing/v8 that comes with the package has no errors"):
        found.intervals(run.maps)


def test_errors_are_measured_of_a_network_that_came_without_and_stays_as_it_is(folder, monkeypatch):
    path = folder / "v8.json"
    fields = unsealed(path.read_bytes())
    known = trainer.pretrained("lensing/v8").uncertainty  # of a run, on the whole split
    path.write_bytes(sealed(fields | {"uncertainty": None}))
    monkeypatch.setattr("trainer.loop.errors._MOST_PIXELS", 100 * 50**2)
    pretrained_models.keep_errors("lensing/v8")
    found = unsealed(path.read_bytes())
    assert found | {"uncertainty": None} == fields | {"uncertainty": None}
    measured = trainer.pretrained("lensing/v8").uncertainty
    for level in (0.68, 0.95):
        width, expected = (errors.pixel_half_width(level) for errors in (measured, known))
        assert width == pytest.approx(expected, rel=0.05)  # a hundred skies, a tenth of them


def test_files_of_an_earlier_release_have_no_errors(folder):
    path = folder / "v8.json"
    fields = unsealed(path.read_bytes())
    fields.pop("uncertainty", None)
    path.write_bytes(sealed(fields))
    assert trainer.pretrained("lensing/v8").uncertainty is None
    path.write_bytes(sealed({**fields, "uncertainty": {"npix": 50}}))
    with pytest.raises(LensingError, match=r"v8\.json is damaged"):
        trainer.pretrained("lensing/v8")


def test_stages_are_damped_as_their_file_says_and_those_of_an_earlier_release_are_not(folder):
    path, sky = folder / "v5.json", pretrained_models.VERSIONS["v5"].sky
    maps = fields_of(simulate("v5", "test", range(4))["lensed"], ("T",), sky)
    fields = unsealed(path.read_bytes())
    first = [{k: v for k, v in stage.items() if k != "damped"} for stage in fields["stages"]][:4]
    estimates = []
    for said in ({}, {"damped": False}, {"damped": True}):
        path.write_bytes(sealed({**fields, "stages": [stage | said for stage in first]}))
        found = trainer.pretrained("lensing/v5")
        assert [stage.damped for stage in found.stages] == [said.get("damped", False)] * 4
        again = [pretrained_models._stage_to_json(stage) for stage in found.stages]
        assert [stage["damped"] for stage in again] == [said.get("damped", False)] * 4
        estimates.append(found.staged.kappa(maps, 1))
    earlier, undamped, damped = estimates
    np.testing.assert_array_equal(earlier, undamped)
    assert np.abs(damped - undamped).max() > 0.01 * np.abs(undamped).max()


@pytest.mark.parametrize("name", ["v1", "v14"])
def test_half_precision_of_a_mean_field_changes_an_estimate_by_less_than_a_ten_thousandth(name):
    """Of its rms. Means are as large as they are in the files, with digits that these have not."""
    found = trainer.pretrained(f"lensing/{name}")
    config, drawn = found.task.lensing, np.random.default_rng(0)
    stages = [
        dataclasses.replace(
            s, mean_field=s.mean_field * (1 + 1e-3 * drawn.random(s.mean_field.shape))
        )
        for s in found.stages
    ]
    kept = [
        pretrained_models._stage_from_json(pretrained_models._stage_to_json(stage))
        for stage in stages
    ]
    rounded = [
        dataclasses.replace(stage, mean_field=other.mean_field)
        for stage, other in zip(stages, kept, strict=True)
    ]
    maps = simulate(config, "test", range(4))
    exact, estimate = (
        references.iterated(config, StagedEstimator(found.method, of), "").predict(maps)
        for of in (stages, rounded)
    )
    change = np.std(estimate - exact) / np.std(exact)
    assert 0 < change < 1e-4


def test_the_files_are_small():
    """A file of two megabytes is a burden to who installs the package."""
    sizes = {path.stem: path.stat().st_size for path in pretrained_models.FOLDER.glob("*.json")}
    assert max(sizes.values()) < 2**20, sizes


def test_a_name_that_does_not_exist_is_told_those_that_do(folder):
    (folder / "v10.json").unlink()
    others = sorted({*names()} - {"v10"}, key=lambda name: int(name[1:]))
    there = ", ".join(f"lensing/{name}" for name in others)
    with pytest.raises(
        LensingError, match=f"no pretrained model for lensing/v10: there are {there}$"
    ):
        trainer.pretrained("lensing/v10")
    with pytest.raises(LensingError, match="unknown dataset 'mnist'"):
        trainer.pretrained("mnist")


@pytest.fixture(name="folder")
def folder_fixture(tmp_path, monkeypatch):
    folder = tmp_path / "gains"
    shutil.copytree(pretrained_models.FOLDER, folder)
    monkeypatch.setattr(pretrained_models, "FOLDER", folder)
    return folder


def test_a_damaged_file_is_refused(folder):
    path = folder / "v11.json"
    text = path.read_text(encoding="utf-8")
    place = text.index("gains") + 60
    digit = next(i for i in range(place, len(text)) if text[i] in "12345678")
    path.write_text(text[:digit] + "9" + text[digit + 1 :], encoding="utf-8")
    with pytest.raises(LensingError, match=r"v11\.json is damaged: install the package again"):
        trainer.pretrained("lensing/v11")


def test_gains_of_another_sky_are_refused(folder, monkeypatch):
    other = dataclasses.replace(pretrained_models.VERSIONS["v11"], noise_uK_arcmin=2.0)
    monkeypatch.setitem(pretrained_models.VERSIONS, "v11", other)
    with pytest.raises(LensingError, match="another sky .*: noise_uK_arcmin: 1.0 -> 2.0"):
        trainer.pretrained("lensing/v11")
