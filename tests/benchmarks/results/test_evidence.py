"""Figures are gathered as the cells' files have them, and read from their own file as written."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from benchmarks.results import record
from benchmarks.results.cells import IMPORTANT, MODELS, STACK, Cell, cells, in_folder
from benchmarks.results.evidence import gather
from benchmarks.results.figures import ITERATED, QE
from estimators.resampling import Measured
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.errors import LensingError
from lensing_tfds.versions import VERSIONS
from tests.benchmarks.results import judged
from tests.benchmarks.results.judged import put
from trainer.networks import families
from trainer.runs.history import COLUMNS, HISTORY, write_history
from trainer.runs.plan import Plan
from trainer.runs.run_config import RunConfig, write_config
from trainer.settings.recipes import RECIPES

UNET, CLOSED = Cell("v11", "unet"), Cell("v11", "iterated")


@pytest.fixture(name="metrics", scope="module")
def metrics_fixture():
    return judged.some_metrics()


def test_the_cells_are_every_family_on_every_version():
    found = cells(IMPORTANT, MODELS)
    assert set(IMPORTANT) == set(VERSIONS)
    assert {families.family_of(cell.model) for cell in found} == set(families.FAMILIES)
    assert len(found) == len(VERSIONS) * len(families.FAMILIES)
    stacks = {cell.version: cell.model for cell in found if cell.column == STACK}
    for version, model in stacks.items():
        studied = [r.model for r in RECIPES[version] if families.family_of(r.model) == STACK]
        assert model == studied[0]


def test_unknown_versions_and_models_are_refused():
    with pytest.raises(LensingError, match="unknown version 'v99': expected v1, v2"):
        cells(["v99"], ["unet"])
    with pytest.raises(LensingError, match="unknown model 'unett'"):
        cells(["v1"], ["unett"])


def test_a_cells_settings_are_the_recipes_with_its_minutes():
    assert UNET.config("/data", 3.0).minutes == 3.0
    assert UNET.config("/data", 3.0).schedule == RECIPES["v11"][1].schedule
    assert UNET.config("/data", 3.0).uncertainty and CLOSED.config("/data", 3.0).uncertainty
    assert "minutes" not in CLOSED.config("/data", 3.0).taken
    assert (
        UNET.command(3.0) == "python -m benchmarks.results --versions v11 --models unet --minutes 3"
    )


def test_what_is_gathered_is_what_the_files_say(tmp_path, metrics):
    put(tmp_path, UNET, metrics, 0.5, above=-0.1, error=0.002)
    put(tmp_path, CLOSED, metrics, 0.6)
    (tmp_path / "v11").mkdir()
    (tmp_path / "something-else").mkdir()
    assert list(in_folder(tmp_path)) == [CLOSED, UNET]
    (version,) = gather(tmp_path)
    assert (version.version, version.num_examples) == ("v11", 4)
    closed, unet = version.made
    assert (unet.estimate.rho, unet.estimate.rho_error) == (0.5, 0.001)
    assert unet.above_iterated == (-0.1, 0.002) and closed.above_iterated == (0, 0)
    assert (unet.steps, unet.examples) == (100, 100 * UNET.config("/d", 1.0).batch_size)
    assert (closed.steps, closed.examples) == (None, CLOSED.config("/d", 1.0).max_examples)
    assert (unet.minutes, closed.minutes, unet.parameters) == (10.0, None, 12_345)
    assert version.references[ITERATED].rho == pytest.approx(0.6)
    assert version.references[QE].rho == pytest.approx(
        float(metrics.estimators[judged.QUADRATIC].measured["map_correlation"].value), rel=1e-5
    )
    assert unet.estimate.rho_ell == pytest.approx(metrics.measured["rho_ell"].value, rel=1e-5)


def test_bands_are_counted_by_the_errors_of_pairs(tmp_path, metrics):
    bands = np.zeros(len(metrics.ell))
    bands[0], bands[1] = 0.04, -0.04
    other = metrics.estimators[judged.QUADRATIC]
    for error, counted in ((0.01, (1, (1,))), (0.02, (0, ()))):
        difference = Measured(bands, np.full_like(bands, error))
        others = {
            **metrics.estimators,
            judged.QUADRATIC: dataclasses.replace(other, difference_ell=difference),
        }
        put(tmp_path, UNET, dataclasses.replace(metrics, estimators=others), 0.5)
        (made,) = gather(tmp_path)[0].made
        assert (made.above_quadratic, made.below_quadratic) == counted


def test_what_cannot_be_read_or_compared_is_a_failed_cell_and_the_others_are_shown(
    tmp_path, metrics
):
    put(tmp_path, UNET, metrics, 0.5)
    put(tmp_path, CLOSED, judged.some_metrics(5), 0.6)
    damaged, diverged = Cell("v11", "6x64-9"), Cell("v12", "unet")
    put(tmp_path, damaged, metrics, 0.4)
    (tmp_path / damaged.name / "metrics.json").write_text("{")
    (tmp_path / diverged.name).mkdir()
    diverged.fail(tmp_path, "loss became nan", 3.0)
    found = {version.version: version for version in gather(tmp_path)}
    assert [made.model for made in found["v11"].made] == ["iterated"]
    lines = {one.model: one.line for one in found["v11"].failed}
    assert "only scores on the same examples compare" in lines["unet"]
    assert "not valid JSON" in lines["6x64-9"]
    assert found["v12"].failed[0].line == "loss became nan"
    assert found["v12"].failed[0].command.endswith("--models unet --minutes 3")
    diverged.succeed(tmp_path)
    assert [version.version for version in gather(tmp_path)] == ["v11"]


def test_a_cell_is_as_asked_with_the_same_settings_and_examples_only(tmp_path, metrics):
    put(tmp_path, UNET, metrics, 0.5)
    asked = UNET.config("/elsewhere", 10.0)
    assert UNET.is_as_asked(tmp_path, asked, 4)
    assert not UNET.is_as_asked(tmp_path, asked, None)
    assert not UNET.is_as_asked(tmp_path, UNET.config("/data", 9.0), 4)
    assert not CLOSED.is_as_asked(tmp_path, asked, 4)
    (tmp_path / UNET.name / "metrics.json").write_text("{")
    assert not UNET.is_as_asked(tmp_path, asked, 4)


def test_a_judged_cell_that_was_stopped_in_more_minutes_is_not_made_and_not_shown(
    tmp_path, metrics
):
    put(tmp_path, UNET, metrics, 0.5)
    longer = RunConfig(UNET.config("/data", 20.0), VERSIONS["v11"], DATASET_VERSION, Plan(8, 25))
    write_config(tmp_path / UNET.name, longer)  # of 8 epochs there are 4
    assert not UNET.is_as_asked(tmp_path, longer.trainer, 4)
    (version,) = gather(tmp_path)
    assert version.made == ()
    assert "stopped in training for longer" in version.failed[0].line


@pytest.mark.parametrize("correlations", [(0.5,), (0.5, 0.6)])
def test_an_iterated_cell_that_may_have_another_stage_is_not_made(tmp_path, metrics, correlations):
    put(tmp_path, CLOSED, metrics, 0.6)
    rows = [
        dict.fromkeys(COLUMNS, rho) | {"epoch": float(epoch)}
        for epoch, rho in enumerate(correlations, 1)
    ]
    write_history(tmp_path / CLOSED.name / HISTORY, rows)
    assert not CLOSED.is_as_asked(tmp_path, CLOSED.config("/data", 10.0), 4)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cost.json", "{"),
        ("cost.json", '{"training": [], "judging": null}'),
        ("cost.json", '{"training": [], "judging": null, "parameters": "many"}'),
        ("cost.json", '{"training": 3, "judging": null, "parameters": 1}'),
    ],
)
def test_a_damaged_file_of_a_cell_fails_that_cell_and_no_other(tmp_path, metrics, name, content):
    put(tmp_path, UNET, metrics, 0.5)
    put(tmp_path, CLOSED, metrics, 0.6)
    (tmp_path / UNET.name / name).write_text(content)
    (version,) = gather(tmp_path)
    assert [made.model for made in version.made] == ["iterated"]
    assert f"{name} is damaged" in version.failed[0].line


def test_a_damaged_failure_is_told_and_the_others_are_shown(tmp_path, metrics):
    put(tmp_path, CLOSED, metrics, 0.6)
    (tmp_path / UNET.name).mkdir()
    (tmp_path / UNET.name / "failure.json").write_text("{")
    (version,) = gather(tmp_path)
    assert [made.model for made in version.made] == ["iterated"]
    assert "failure.json: not valid JSON" in version.failed[0].line


def test_a_command_makes_the_cell_that_is_shown(tmp_path, metrics):
    put(tmp_path, UNET, metrics, 0.5)
    (made,) = gather(tmp_path)[0].made
    assert made.command.endswith("--models unet --minutes 10 --max_examples 4")
    assert UNET.command(3.0, 500).endswith("--minutes 3")  # the whole split


def test_a_folder_of_another_network_is_not_the_cells(tmp_path, metrics):
    put(tmp_path, UNET, metrics, 0.5)
    (tmp_path / UNET.name).rename(tmp_path / "v12-unet")
    with pytest.raises(LensingError, match="v12-unet holds unet on lensing/v11, not v12-unet"):
        Cell("v12", "unet").judged(tmp_path)


def test_figures_are_read_as_they_were_written_and_refused_when_edited(tmp_path, metrics):
    put(tmp_path, UNET, metrics, 0.5)
    put(tmp_path, CLOSED, metrics, 0.6)
    path, found = tmp_path / "results.json", gather(tmp_path)
    record.write(found, path)
    assert record.read(path) == found
    values = json.loads(path.read_text())
    values["versions"]["v11"]["made"][1]["estimate"]["rho"] = 0.7
    path.write_text(json.dumps(values))
    with pytest.raises(LensingError, match="is not as it was measured: restore it, or remove it"):
        record.read(path)


def test_figures_of_an_earlier_release_are_read(tmp_path, metrics):
    put(tmp_path, UNET, metrics, 0.5)
    path, found = tmp_path / "results.json", gather(tmp_path)
    record.write(found, path)
    versions = json.loads(path.read_text())["versions"]
    (made,) = versions["v11"]["made"]
    assert (made["judging"]["date"], made["judging"]["release"]) == ("2026-11-27", "0.1.0")
    del made["fingerprint"], made["judging"]["date"], made["judging"]["release"]
    seal = hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({"versions": versions, "sha256": seal}))
    ((read,),) = (version.made for version in record.read(path))
    assert (read.judging.date, read.fingerprint) == (None, None)
    assert read.estimate == found[0].made[0].estimate
