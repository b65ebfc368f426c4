"""`python -m trainer.evaluate --predictions DIR --submission`: checked, scored, one JSON."""

import dataclasses
import functools
import json
import os
import pathlib
import re
import textwrap
import types

import numpy as np
import pytest

from estimators.benchmark.other_skies import folder_of, write_maps
from estimators.benchmark.protocol import protocol
from estimators.benchmark.submission_reading import read_submission
from estimators.ensemble import SkyEnsemble
from estimators.judge import judge
from estimators.predictions import Predictions
from estimators.uncertainty import measured_uncertainty
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.records.locks import alone_in
from lensing_tfds.task import Task
from tests.estimators.benchmark import estimates
from tests.trainer.tasks import statistics
from trainer.evaluate import main
from trainer.networks import families
from trainer.networks.scaling import Scaling
from trainer.runs.checkpoints import BEST, Record, save
from trainer.runs.history import COLUMNS, row_of
from trainer.runs.run import Run, load_run
from trainer.runs.run_config import RunConfig, write_config
from trainer.settings.config import resolve

DESCRIPTION = {
    "name": "theirs",
    "authors": "Doe",
    "paper": None,
    "code": "https://example.org/code",
    "training": "the training split",
}


def batches(split, number):
    assert split == "test" and number <= estimates.NUMBER
    yield {name: values[:number] for name, values in estimates.examples().items()}


@pytest.fixture(name="ensemble", scope="module")
def ensemble_fixture():
    return SkyEnsemble.of(estimates.CONFIG)


@pytest.fixture(autouse=True)
def _dataset_fixture(monkeypatch, ensemble):
    """The first examples of v11, simulated, in place of a built dataset."""
    dataset = types.SimpleNamespace(
        name="lensing/v11",
        config=estimates.CONFIG,
        data_dir="/data",
        ensemble=ensemble,
        num_examples=estimates.CONFIG.num_examples.get,
        batches=batches,
    )
    monkeypatch.setattr(Predictions, "dataset", dataset)


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "submission.json").write_text(json.dumps(DESCRIPTION))
    send(folder, estimates.wiener())
    return folder


def send(folder, kappa):
    folder.mkdir(exist_ok=True)
    np.save(folder / "kappa.npy", np.ascontiguousarray(kappa))
    np.save(folder / "index.npy", np.arange(len(kappa)))


def flags_of(folder, *flags):
    shared = ["--predictions", str(folder), "--dataset", "lensing/v11", "--submission"]
    return [*shared, "--max_examples", str(estimates.NUMBER), *flags]


def error_line(capsys, folder, *flags):
    with pytest.raises(SystemExit) as exit:
        main(flags_of(folder, *flags))
    assert exit.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ") and line.count("\n") == 1
    assert not [p for p in folder.iterdir() if p.name.startswith(("v11", "metrics", "report"))]
    return line


def test_a_folder_of_maps_is_scored_into_one_file(folder, capsys):
    before = {p.name for p in folder.iterdir()}
    main(flags_of(folder))
    assert {p.name for p in folder.iterdir()} - before == {"v11-theirs.json"}
    found = read_submission(folder / "v11-theirs.json")
    assert found.metrics.num_examples == estimates.NUMBER
    assert sorted(found.metrics.fingerprint) == ["index.npy", "kappa.npy"]
    assert found.other_skies is None and found.metrics.uncertainty is None
    assert [*found.named_bands] == [band.name for band in protocol().named_bands]
    rho = np.corrcoef(estimates.wiener().ravel(), estimates.kappa().ravel())[0, 1]
    assert float(found.metrics.measured["map_correlation"].value) == pytest.approx(rho, abs=1e-5)
    ell, modes = found.metrics.ell, found.metrics.num_modes
    large = ell < 200
    expected = np.average(found.metrics.measured["rho_ell"].value[large], weights=modes[large])
    assert float(found.named_bands["large"].value) == pytest.approx(expected)
    assert 0.05 < float(found.b_modes_left.residual.value) < 1
    out = capsys.readouterr().out
    assert "theirs, 16 examples, protocol 1" in out and "submission: " in out
    assert "a try: the leaderboard takes no line of fewer than 32 examples" in out


def test_errors_that_a_group_gives_are_judged(folder, capsys, monkeypatch):
    """They are written by the very lines of the benchmark's page."""
    page = (pathlib.Path(__file__).parents[2] / "docs" / "benchmark.md").read_text("utf-8")
    lines = re.search(r"( {8}import json.*?uncertainty.json[^\n]*\n)", page, re.DOTALL)[1]
    monkeypatch.chdir(folder.parent)
    exec(textwrap.dedent(lines), {"true_kappa": estimates.kappa(), "my_kappa": estimates.wiener()})
    assert (folder / "uncertainty.json").exists()
    main(flags_of(folder))
    found = read_submission(folder / "v11-theirs.json").metrics.uncertainty
    assert float(found["pixel_coverage_68"].value) == pytest.approx(0.68, abs=0.01)
    assert "pixels within 68 %   0.6" in capsys.readouterr().out


def test_bad_errors_are_refused(folder, capsys, ensemble):
    path = folder / "uncertainty.json"
    path.write_text("{}")
    assert f"{path}: not the errors of an estimator" in error_line(capsys, folder)
    errors = measured_uncertainty([(estimates.kappa(), estimates.wiener())], ensemble.bands)
    path.write_text(json.dumps(errors.to_json() | {"side": 0.5}))
    assert "128 pixels a side, 0.5 rad long: v11 has" in error_line(capsys, folder)
    path.write_text(json.dumps(errors.to_json() | {"npix": 10**9}))
    assert "1000000000 pixels a side" in error_line(capsys, folder)
    narrow = dataclasses.replace(errors, edges=errors.edges + 100)
    path.write_text(json.dumps(narrow.to_json()))
    assert "not of the bands of v11" in error_line(capsys, folder)
    path.write_text(json.dumps(errors.to_json() | {"units": "uK"}))
    assert f"{path}: not the errors of an estimator (unknown keys ['units']" in error_line(
        capsys, folder
    )


def test_other_skies_are_scored(folder, ensemble, monkeypatch):
    few = dataclasses.replace(protocol(), num_other_skies=8)
    monkeypatch.setattr("estimators.benchmark.scoring.protocol", lambda: few)
    for place in write_maps(few, ensemble, folder):
        assert np.load(place / "lensed.npy").shape == (8, 128, 128, 2)
        send(place, 1.01 * estimates.wiener()[:8])
    assert {p.name for p in folder.iterdir() if p.is_dir()} == {
        *("kappa-x-1.2", "noise-x-1.5", "n_s-minus-0.05")
    }
    main(flags_of(folder))
    # Read as text: eight examples are fewer than the protocol's.
    rows = json.loads((folder / "v11-theirs.json").read_text())["other_skies"]["rows"]
    assert [row["name"] for row in rows] == ["unchanged", *protocol().other_skies]
    # But for 1 % the estimates did not change with the sky; a correlation knows no factors.
    assert rows[1]["correlation_change"] == pytest.approx(0, abs=1e-6)
    assert rows[1]["response_change"] == pytest.approx((1.01 / 1.2 - 1) * rows[0]["response"])


def test_copies_of_the_unchanged_maps_are_no_estimates_of_other_skies(
    folder, ensemble, monkeypatch, capsys
):
    few = dataclasses.replace(protocol(), num_other_skies=8)
    monkeypatch.setattr("estimators.benchmark.scoring.protocol", lambda: few)
    for kind in protocol().other_skies:
        send(folder / folder_of(kind), estimates.wiener()[:8])
    line = error_line(capsys, folder)
    assert f"{folder}/kappa-x-1.2: the maps are those of the unchanged skies" in line


def test_a_mistake_in_other_skies_is_named_with_its_folder(folder, ensemble, monkeypatch, capsys):
    few = dataclasses.replace(protocol(), num_other_skies=8)
    monkeypatch.setattr("estimators.benchmark.scoring.protocol", lambda: few)
    for place in write_maps(few, ensemble, folder):
        turned = -1000 * estimates.wiener()[:8, ::-1] if "noise" in place.name else None
        send(place, 1.01 * estimates.wiener()[:8] if turned is None else turned)
    line = error_line(capsys, folder)
    assert f"{folder}/noise-x-1.5: the maps" in line and "they are −κ" in line


def test_errors_in_other_units_are_refused(folder, ensemble, capsys):
    pairs = [(1e6 * estimates.kappa(), 1e6 * estimates.wiener())]
    errors = measured_uncertainty(pairs, ensemble.bands).to_json()
    (folder / "uncertainty.json").write_text(json.dumps(errors))
    assert "errors are of κ, dimensionless" in error_line(capsys, folder)


def test_no_method_takes_anothers_file(folder, capsys):
    main(flags_of(folder))
    before = (folder / "v11-theirs.json").read_bytes()
    (folder / "submission.json").write_text(json.dumps(DESCRIPTION | {"name": "Theirs!"}))
    with pytest.raises(SystemExit):
        main(flags_of(folder))
    assert "is of 'theirs'" in capsys.readouterr().err
    assert (folder / "v11-theirs.json").read_bytes() == before


def test_two_judges_at_once_do_not_write_one_folder(folder, capsys):
    with alone_in(folder, "judging a submission", lock=".submission.lock"):
        line = error_line(capsys, folder)
    assert f"another process is judging a submission in {folder} (process {os.getpid()}" in line
    main(flags_of(folder))
    assert not list(folder.glob(".*"))


def test_maps_that_change_while_they_are_judged_are_not_scored(folder, capsys, monkeypatch):
    def judging(subject, *arguments, **options):
        evaluation = judge(subject, *arguments, **options)
        np.save(folder / "kappa.npy", estimates.unbiased())
        return evaluation

    monkeypatch.setattr("estimators.benchmark.scoring.judge", judging)
    assert f"{folder}: the maps changed while they were judged" in error_line(capsys, folder)


@pytest.fixture(name="run")
def run_fixture(tmp_path, monkeypatch):
    """A run on v11 of the least network, with its first weights."""
    workdir = tmp_path / "run"
    workdir.mkdir()
    task = Task(estimates.CONFIG, DATASET_VERSION)
    settings = resolve("lensing/v11", "/data", estimates.CONFIG, model="1x2-3", epochs=1)
    config = RunConfig(settings, estimates.CONFIG, DATASET_VERSION)
    write_config(workdir, config)
    scaling = Scaling((0.0, 0.0), (4.0, 4.0), (0.0,), (0.1,))
    model = families.build("1x2-3", task, statistics(task, scaling), seed=0)
    row = row_of(1, dict.fromkeys(COLUMNS, 0.5))
    save(model, workdir / BEST, Record(config.to_json(), (row,)))
    monkeypatch.setattr(Run, "dataset", Predictions.dataset)
    return workdir


def test_a_network_is_submitted_as_maps_are(run, folder, capsys):
    flags = ["--workdir", str(run), "--submission", "--max_examples", "8"]
    with pytest.raises(SystemExit):
        main(flags)
    assert f"{run} has no submission.json that says whose" in capsys.readouterr().err
    description = DESCRIPTION | {"name": "least network"}
    (run / "submission.json").write_text(json.dumps(description))
    main(flags)
    found = read_submission(run / "v11-least-network.json")
    assert sorted(found.metrics.fingerprint) == ["best.keras"]
    assert found.other_skies.num_examples == found.b_modes_left.num_examples == 8
    # The same numbers as of the same maps from files.
    estimate = load_run(run).predict(estimates.examples()["lensed"])[..., 0]
    rho = np.corrcoef(estimate[:8].ravel(), estimates.kappa()[:8].ravel())[0, 1]
    assert float(found.metrics.measured["map_correlation"].value) == pytest.approx(rho, abs=1e-5)


def test_maps_of_one_kind_of_other_skies_alone_are_refused(folder, capsys):
    send(folder / "kappa-x-1.2", estimates.wiener()[:4])
    assert "lacks 196 of the 200 examples" in error_line(capsys, folder)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (np.negative, "the maps have the other sign: they are −κ"),
        (lambda maps: maps[:, ::-1], "upside down"),
        (functools.partial(np.multiply, 1000), "too large by a factor of"),
        (lambda maps: maps[::-1], "in another order than their indices say"),
        (np.zeros_like, "every map is constant, zero for instance"),
        (
            lambda maps: np.r_[maps[:9], 3 * maps[9:10], maps[10:]],
            "times as large as the others (1 of 16 maps",
        ),
    ],
)
def test_a_mistake_is_named_in_one_line(folder, capsys, mistake, message):
    send(folder, mistake(estimates.wiener()))
    line = error_line(capsys, folder)
    assert message in line and str(folder) in line


def test_a_score_that_theory_leaves_to_nobody_is_said(folder, capsys):
    main(flags_of(folder))
    assert "above what theory forecasts" not in capsys.readouterr().out
    kappa = estimates.kappa()
    noise = 0.5 * kappa.std() * np.random.default_rng(0).standard_normal(kappa.shape)
    send(folder, (kappa + noise).astype(np.float32))
    main(flags_of(folder))
    assert "rho is 41% above what theory forecasts for lensing/v11" in capsys.readouterr().out


def test_other_data_are_refused(folder, capsys, monkeypatch):
    changed = {**estimates.examples(), "lensed": estimates.examples()["lensed"] * 1.001}
    monkeypatch.setattr(
        Predictions.dataset,
        "batches",
        lambda split, n: iter([{name: values[:n] for name, values in changed.items()}]),
    )
    line = error_line(capsys, folder)
    assert "'lensed' of the test split has SHA-256" in line and "build the dataset again" in line


def test_what_cannot_be_submitted_is_refused(folder, capsys):
    assert "--split is train: submissions are judged on test" in error_line(
        capsys, folder, "--split", "train"
    )
    assert "leave these flags out" in error_line(capsys, folder, "--figures")
    (folder / "submission.json").unlink()
    assert "has no submission.json" in error_line(capsys, folder)
