"""`python -m trainer.evaluate --predictions` judges files as it judges the run that made them."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from lensing_tfds.records.building import build
from lensing_tfds.records.reading import evaluation_batches
from tests.estimators.prediction_files import write_predictions
from tests.estimators.reports.test_run_page import Page
from trainer import compare
from trainer.evaluate import main
from trainer.runs.run import load_run
from trainer.train import train


@pytest.fixture(name="trained", scope="module")
def trained_fixture(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("trained") / "run"
    train(dataclasses.replace(config, epochs=1), workdir)
    return workdir


@pytest.fixture(name="kappa", scope="module")
def kappa_fixture(trained, stored):
    (batch,) = evaluation_batches(stored, "test", 100)
    return load_run(trained).predict(batch["lensed"])


@pytest.fixture(name="theirs")
def theirs_fixture(kappa, tmp_path):
    """What another group would send: two files, and nothing that says what they are."""
    folder = tmp_path / "theirs & co"
    folder.mkdir()
    for name, order in (("", [10, 3, 0, 7]), ("_2", [1, 2, 4, 5, 6, 8, 9])):
        np.save(folder / f"kappa{name}.npy", kappa[order])
        np.save(folder / f"index{name}.npy", order)
    return folder


@pytest.fixture(name="ours")
def ours_fixture(kappa, tiny, data_dir, tmp_path):
    """What `pipelines.predict` writes."""
    folder = tmp_path / "ours"
    folder.mkdir()
    write_predictions(folder, kappa[..., 0], tiny, data_dir)
    return folder


def described(folder):
    return json.loads((folder / "predictions.json").read_text())


def edited(folder, **fields):
    (folder / "predictions.json").write_text(json.dumps(described(folder) | fields))


def judged(folder, *flags):
    main(["--predictions", str(folder), "--no-baselines", *flags])
    return json.loads((folder / "metrics.json").read_text())


def error_line(folder, capsys, *flags):
    with pytest.raises(SystemExit) as exit:
        main(["--predictions", str(folder), "--no-baselines", *flags])
    assert exit.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ") and line.count("\n") == 1
    written = ("metrics", "report", "maps")
    assert not folder.exists() or not [p for p in folder.iterdir() if p.name.startswith(written)]
    return line


def test_predictions_get_the_scores_of_their_run(trained, ours, theirs, data_dir, tmp_path, capsys):
    workdir = shutil.copytree(trained, tmp_path / "run")
    main(["--workdir", str(workdir), "--no-baselines"])
    of_run = json.loads((workdir / "metrics.json").read_text())
    capsys.readouterr()
    assert list(of_run.pop("fingerprint")) == ["best.keras"]
    of_ours = judged(ours)
    assert sorted(of_ours.pop("fingerprint")) == sorted(path.name for path in ours.glob("*-*.npy"))
    assert of_ours == of_run
    assert "Nothing in their folder" not in capsys.readouterr().out
    of_theirs = judged(theirs, "--dataset", "lensing/tiny", "--data_dir", data_dir)
    assert of_theirs.pop("model") == "theirs & co"
    assert len(of_theirs.pop("fingerprint")) == 4
    del of_run["model"]
    assert of_theirs == of_run


def test_the_report_has_no_training(theirs, data_dir, capsys):
    judged(theirs, "--dataset", "lensing/tiny", "--data_dir", data_dir)
    out = capsys.readouterr().out
    assert "lensing/tiny test: theirs & co, 11 examples" in out
    caution = "Nothing in their folder says what they were estimated from"
    assert caution in out
    html = (theirs / "report.html").read_text()
    assert "Training" not in html and "parameters of" not in html
    assert "theirs &amp; co on lensing/tiny" in html
    assert f"--predictions &#x27;{str(theirs).replace('&', '&amp;')}&#x27; --dataset" in html
    assert caution in html
    assert len(Page(html).images) == 7
    assert (theirs / "maps.png").read_bytes().startswith(b"\x89PNG")


def test_quadratic_estimators_stand_beside_predictions(ours):
    main(["--predictions", str(ours)])
    metrics = json.loads((ours / "metrics.json").read_text())
    assert "zero" in metrics["estimators"]
    assert metrics["estimators"]["zero"]["difference"] == metrics["map_correlation"]


def test_the_first_examples_are_enough_if_no_more_are_judged(theirs, kappa, data_dir, capsys):
    (theirs / "kappa_2.npy").unlink()
    (theirs / "index_2.npy").unlink()
    np.save(theirs / "kappa.npy", kappa[:4])
    np.save(theirs / "index.npy", np.arange(4))
    flags = ("--dataset", "lensing/tiny", "--data_dir", data_dir)
    line = error_line(theirs, capsys, *flags)
    assert "lacks 7 of the 11 examples of lensing/tiny test, the first is 4" in line
    assert judged(theirs, *flags, "--max_examples", "4")["num_examples"] == 4


def test_predictions_of_another_split_are_refused(ours, theirs, data_dir, capsys):
    line = error_line(ours, capsys, "--split", "validation")
    assert "holds predictions of test, not of validation" in line
    flags = ("--dataset", "lensing/tiny", "--data_dir", data_dir, "--split", "validation")
    assert "has example 10, lensing/tiny validation has 0 to 9" in error_line(
        theirs, capsys, *flags
    )


def test_predictions_of_another_dataset_are_refused(ours, data_dir, capsys):
    assert "predictions of lensing/tiny, not of lensing/v8" in error_line(
        ours, capsys, "--dataset", "lensing/v8"
    )
    edited(ours, config=described(ours)["config"] | {"seed": 99})
    line = error_line(ours, capsys)
    assert "kappa-00000-of-00002.npy holds other examples: predictions.json says that" in line


def test_a_description_edited_to_another_dataset_is_refused(ours, capsys):
    """A version of the same size: all that was tied to the maps once were their shapes."""
    twin = described(ours)["config"] | {"name": "twin", "seed": 4}
    edited(ours, dataset="lensing/twin", config=twin)
    assert "examples 0 to 4 of lensing/twin test" in error_line(ours, capsys)


def test_predictions_of_a_dataset_that_changed_are_refused(ours, data_dir, tmp_path, capsys, tiny):
    """The folder holds another config under the same name."""
    elsewhere = str(tmp_path / "data")
    other = dataclasses.replace(tiny, seed=99)
    build(other, elsewhere)
    capsys.readouterr()  # the progress of the build
    line = error_line(ours, capsys, "--data_dir", elsewhere)
    assert "not what the predictions were made from: seed: 3 -> 99" in line


def test_maps_that_nobody_can_judge_are_named(theirs, kappa, data_dir, capsys, tmp_path):
    flags = ("--dataset", "lensing/tiny", "--data_dir", data_dir)
    assert "give --dataset" in error_line(theirs, capsys)
    assert "holds no predictions" in error_line(tmp_path / "nothing", capsys, *flags)
    maps = np.load(theirs / "kappa.npy")
    maps[1, 2, 3] = np.nan
    np.save(theirs / "kappa.npy", maps)
    assert "kappa.npy: κ for example 3 is not finite" in error_line(theirs, capsys, *flags)
    np.save(theirs / "kappa.npy", maps[:, :8])
    assert "has maps of 8 x 16 pixels" in error_line(theirs, capsys, *flags)
    np.save(theirs / "kappa.npy", maps)
    np.save(theirs / "index.npy", [10, 3, 1, 7])
    assert "example 1 more than once: in kappa.npy and kappa_2.npy" in error_line(
        theirs, capsys, *flags
    )


@pytest.mark.parametrize("file", ["kappa-00001-of-00002.npy", "index-00000-of-00002.npy"])
def test_predictions_that_changed_since_are_not_compared(ours, tmp_path, capsys, file):
    judged(ours)
    flags = [str(ours), "--output", str(tmp_path / "page.html")]
    compare.main(flags)
    (ours / file).write_bytes((ours / file).read_bytes()[:-1] + b"!")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        compare.main(flags)
    line = capsys.readouterr().err
    assert f"holds the scores of another {file} than is there now; judge again, with" in line
    assert f"python -m trainer.evaluate --predictions {ours}" in line


def test_a_description_that_the_kept_network_contradicts_is_refused(ours, trained, capsys):
    """The model's name is in no seal, and another run's network may lie beside the predictions."""
    shutil.copytree(trained, ours / "network")
    line = error_line(ours, capsys)
    assert "predictions.json has network_sha256 0123456789ab" in line and "predict again" in line


def test_predictions_come_with_the_errors_of_the_network_kept_beside_them(
    trained, kappa, tiny, data_dir, tmp_path
):
    run = shutil.copytree(trained, tmp_path / "run")
    asked = dataclasses.replace(load_run(run).config, uncertainty=True)
    (sha256,) = train(asked, run).fingerprint.values()  # nothing is left to train
    main(["--workdir", str(run), "--no-baselines"])
    of_run = json.loads((run / "metrics.json").read_text())["uncertainty"]
    assert of_run is not None
    folder = tmp_path / "predictions"
    shutil.copytree(run, folder / "network")
    write_predictions(folder, kappa[..., 0], tiny, data_dir, network=sha256)
    assert judged(folder)["uncertainty"] == of_run


def test_a_run_has_its_own_dataset(trained, capsys):
    with pytest.raises(SystemExit):
        main(["--workdir", str(trained), "--dataset", "lensing/v8"])
    assert "--dataset is for --predictions" in capsys.readouterr().err


def test_a_bucket_is_not_taken_for_a_folder(capsys):
    with pytest.raises(SystemExit):
        main(["--predictions", "s3://theirs/maps", "--dataset", "lensing/v8"])
    assert "s3://theirs/maps: predictions are read from a disk" in capsys.readouterr().err


def test_checks_are_for_runs(theirs, data_dir, capsys):
    flags = ("--dataset", "lensing/tiny", "--data_dir", data_dir)
    line = error_line(theirs, capsys, "--checks", *flags)
    assert "--checks needs a run" in line
