"""The predictions of a split are those of the run itself, whole, and written once."""

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest

import lensing_tfds
from lensing_tfds import LensingError
from lensing_tfds.records.datasets import open_built
from lensing_tfds.records.reading import evaluation_batches
from lensing_tfds.task import Task
from pipelines import predict_worker, predictor
from pipelines.predict import main
from pipelines.predictor import predict_split
from tests.trainer.kept_runs import keep
from tests.trainer.tasks import statistics
from trainer import evaluate
from trainer.networks.families import build
from trainer.networks.scaling import Scaling
from trainer.runs.run import load_run
from trainer.runs.run_config import RunConfig, write_config
from trainer.settings.config import resolve


def network(lensing, seed):
    """A network with its first weights."""
    scaling = Scaling((1.0,), (90.0,), (0.01,), (0.3,))
    task = Task(lensing, "1.0.0")
    return build("1x4-3", task, statistics(task, scaling), seed)


@pytest.fixture(name="trained", scope="module")
def trained_fixture(tiny, data_dir, tmp_path_factory):
    """A run as training leaves it, of a network with its first weights."""
    workdir = tmp_path_factory.mktemp("trained")
    settings = resolve("lensing/tiny", data_dir, tiny, model="1x4-3", epochs=1)
    write_config(workdir, RunConfig(settings, tiny, "1.0.0"))
    keep(network(tiny, 1), workdir)
    return workdir


@pytest.fixture(name="workdir")
def workdir_fixture(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture(name="predicted", scope="module")
def predicted_fixture(trained, tmp_path_factory):
    output = tmp_path_factory.mktemp("predicted") / "folder"
    main(["--workdir", str(trained), "--output", str(output)])
    return output


@pytest.fixture(name="output")
def output_fixture(predicted, tmp_path):
    """A copy of the predictions, to be spoilt."""
    return shutil.copytree(predicted, tmp_path / "predictions")


@pytest.fixture(name="stored", scope="module")
def builder_fixture(data_dir):
    return open_built("tiny", data_dir)


def read(folder):
    kappa = [np.load(path) for path in sorted(folder.glob("kappa-*.npy"))]
    index = [np.load(path) for path in sorted(folder.glob("index-*.npy"))]
    assert [len(part) for part in kappa] == [len(part) for part in index]
    return np.concatenate(kappa), np.concatenate(index)


def error_line(capsys, *flags):
    with pytest.raises(SystemExit) as exit:
        main(list(flags))
    assert exit.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ") and line.count("\n") == 1
    return line


def test_the_predictions_are_those_of_the_run(predicted, trained, stored):
    kappa, index = read(predicted)
    (batch,) = evaluation_batches(stored, "test", 100)
    np.testing.assert_array_equal(index, batch["index"])
    assert (kappa.dtype, index.dtype) == (np.float32, np.int64)
    expected = load_run(trained).predict(batch["lensed"])[..., 0]
    assert kappa.shape == expected.shape == (11, 16, 16)
    np.testing.assert_allclose(kappa, expected, rtol=0, atol=1e-6 * expected.std())


def test_there_is_a_pair_of_files_a_shard_and_what_they_are(predicted, trained, tiny):
    numbers = [f"-0000{number}-of-00003" for number in range(3)]
    expected = [f"kappa{number}.npy{end}" for number in numbers for end in ("", ".crc32c")]
    expected += [f"index{number}.npy" for number in numbers]
    expected += ["network", "predictions.json"]
    assert sorted(path.name for path in predicted.iterdir()) == sorted(expected)
    described = json.loads((predicted / "predictions.json").read_text())
    assert described["dataset"] == "lensing/tiny"
    assert described["config"] == tiny.to_json()
    assert described["lensing_tfds_version"] == lensing_tfds.__version__
    assert (described["split"], described["num_examples"]) == ("test", 11)
    assert described["workdir"] == str(trained)
    assert load_run(predicted / "network").model.count_params() > 0


def test_the_judge_takes_them_as_they_are(output, stored, capsys):
    evaluate.main(["--predictions", str(output), "--no-baselines"])
    assert "lensing/tiny test: 1x4-3, 11 examples" in capsys.readouterr().out
    (batch,) = evaluation_batches(stored, "test", 100)
    expected = np.mean((read(output)[0] - batch["kappa"][..., 0]) ** 2)
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["mse"] == pytest.approx(expected, rel=1e-4)


def test_what_is_intact_is_kept_and_the_rest_is_mended(output, trained, capsys):
    before, _ = read(output)
    kept, cut, lost, wrong = (
        output / f"{name}.npy"
        for name in (
            "kappa-00000-of-00003",
            "kappa-00001-of-00003",
            "kappa-00002-of-00003",
            "index-00002-of-00003",
        )
    )
    time = kept.stat().st_mtime_ns
    cut.write_bytes(cut.read_bytes()[:-1])
    lost.unlink()
    np.save(wrong, np.load(wrong)[::-1])
    (output / "predictions.json").unlink()
    main(["--workdir", str(trained), "--output", str(output)])
    assert "3 shards (1 reused)" in capsys.readouterr().out
    after, index = read(output)
    np.testing.assert_allclose(after, before, atol=1e-6)
    assert index.tolist() == list(range(11))
    assert kept.stat().st_mtime_ns == time
    assert (output / "predictions.json").exists()


def test_indices_of_other_examples_are_mended(output, trained, capsys):
    path = output / "index-00002-of-00003.npy"
    right = path.read_bytes()
    np.save(path, np.load(path)[::-1])
    main(["--workdir", str(trained), "--output", str(output)])
    assert "3 shards (2 reused)" in capsys.readouterr().out
    assert path.read_bytes() == right


def test_another_network_does_not_take_over_what_was_not_finished(tiny, workdir, output):
    """The seal of a file names the weights that made it."""
    (output / "predictions.json").unlink()
    before, _ = read(output)
    keep(network(tiny, 2), workdir)
    main(["--workdir", str(workdir), "--output", str(output)])
    after, _ = read(output)
    assert np.abs(after - before).max() > 1e-3


def test_other_predictions_are_left_alone(tiny, workdir, output, capsys):
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    folders = ("--workdir", str(workdir), "--output", str(output))
    line = error_line(capsys, *folders, "--split", "train")
    assert "holds other predictions: split: 'test' -> 'train'" in line
    keep(network(tiny, 2), workdir)
    assert "network_sha256" in error_line(capsys, *folders)
    (output / "predictions.json").write_text("{")
    assert "predictions.json: not valid JSON" in error_line(capsys, *folders)
    (output / "predictions.json").write_text("{}")
    assert "is not a description of predictions: 'config' is missing" in error_line(
        capsys, *folders
    )
    (output / "predictions.json").unlink()
    (output / "kappa-00000-of-00002.npy").touch()
    assert "kappa-00000-of-00002.npy is none of the 3 files" in error_line(capsys, *folders)
    del before[output / "predictions.json"]
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_runs_folder_takes_no_predictions(workdir, capsys):
    before = sorted(workdir.rglob("*"))
    line = error_line(capsys, "--workdir", str(workdir), "--output", str(workdir))
    assert f"{workdir} is a run's folder (it holds config.json)" in line
    assert sorted(workdir.rglob("*")) == before


def test_the_judge_refuses_what_the_kept_network_contradicts(tiny, output, capsys):
    path = output / "predictions.json"
    whole = path.read_text()

    def line():
        with pytest.raises(SystemExit):
            evaluate.main(["--predictions", str(output), "--no-baselines"])
        return capsys.readouterr().err

    path.write_text(whole.replace('"model": "1x4-3"', '"model": "2x64-3"'))
    assert "has model 2x64-3, but the network kept in" in line()
    path.write_text(whole)
    keep(network(tiny, 2), output / "network")
    assert "has network_sha256" in line()


def test_a_network_that_changes_under_a_worker_is_refused(workdir, stored, output):
    source = predict_worker.Source(str(stored.data_path), str(workdir), "0" * 64)
    with pytest.raises(LensingError, match="has become another network"):
        predict_worker._network(source)


def test_the_model_is_loaded_once(workdir, tmp_path, monkeypatch):
    loads = []

    def counted(folder):
        loads.append(folder)
        return load_run(folder)

    monkeypatch.setattr(predict_worker, "load_run", counted)
    predict_worker._load.cache_clear()
    main(["--workdir", str(workdir), "--output", str(tmp_path / "new"), "--split", "train"])
    assert len(read(tmp_path / "new")[1]) == 50
    assert len(loads) == 1
    assert not pathlib.Path(loads[0]).exists()


def test_a_network_that_gives_no_numbers_is_named(workdir, tmp_path, capsys):
    model = load_run(workdir).model
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    keep(model, workdir)
    output = tmp_path / "new"
    line = error_line(capsys, "--workdir", str(workdir), "--output", str(output))
    assert "example 0 is not finite" in line
    assert [path.name for path in output.iterdir()] == ["network"]


def test_bad_input_is_one_line(workdir, tmp_path, capsys):
    folders = ("--workdir", str(workdir), "--output", str(tmp_path / "new"))
    assert "has no split 'tset'; it has train" in error_line(capsys, *folders, "--split", "tset")
    assert "unknown dataset 'lense'" in error_line(capsys, *folders, "--dataset", "lense")
    assert "lensing/v8 is not in" in error_line(capsys, *folders, "--dataset", "lensing/v8")
    assert "knows the flag --num_shrads" in error_line(capsys, *folders, "--num_shrads", "3")
    assert "holds no run" in error_line(
        capsys, "--workdir", str(tmp_path), "--output", str(tmp_path / "new")
    )
    (workdir / "best.keras").unlink()
    assert "no finished epoch" in error_line(capsys, *folders)
    assert not (tmp_path / "new").exists()


def test_maps_that_the_network_cannot_see_are_refused(workdir, stored, tmp_path):
    run = load_run(workdir)
    other = dataclasses.replace(run.lensing, npix=32, stokes="QU")
    with pytest.raises(LensingError, match="npix: 32 -> 16; stokes: 'QU' -> 'T'"):
        predict_split(
            dataclasses.replace(run, lensing=other), stored, "test", str(tmp_path / "new")
        )
    assert not (tmp_path / "new").exists()


def test_a_fitted_network_takes_maps_of_its_own_sky_only(workdir, stored, tmp_path, monkeypatch):
    run = load_run(workdir)
    other = dataclasses.replace(run.lensing, noise_uK_arcmin=5.0)
    monkeypatch.setattr(predictor, "is_fitted", lambda model: True)
    with pytest.raises(LensingError, match="fitted to other maps .*: noise_uK_arcmin: 5.0 -> 0.0"):
        predict_split(
            dataclasses.replace(run, lensing=other), stored, "test", str(tmp_path / "new")
        )
    assert not (tmp_path / "new").exists()


def test_it_is_said_that_a_network_was_trained_on_another_sky(workdir, stored, tmp_path):
    run = load_run(workdir)
    other = dataclasses.replace(run.lensing, noise_uK_arcmin=5.0)
    with pytest.warns(UserWarning, match="trained on other maps .*: noise_uK_arcmin: 5.0 -> 0.0"):
        predict_split(
            dataclasses.replace(run, lensing=other), stored, "test", str(tmp_path / "new")
        )


@pytest.mark.parametrize(
    ("kept", "fault"),
    [(3.9, "is truncated or corrupted"), (3, "has 3 of its 4 ex"), (0, "has 0 of its 4 ex")],
)
def test_a_damaged_shard_of_the_dataset_is_named(workdir, data_dir, tmp_path, capsys, kept, fault):
    moved = shutil.copytree(data_dir, tmp_path / "data")
    (shard,) = moved.glob("lensing/tiny/*/*-test.tfrecord-00001-of-00003")
    content = shard.read_bytes()
    shard.write_bytes(content[: round(kept * len(content) / 4)])
    output = tmp_path / "new"
    folders = ("--workdir", str(workdir), "--output", str(output))
    assert f"shard {shard} {fault}" in error_line(capsys, *folders, "--data_dir", str(moved))
    assert not (output / "predictions.json").exists()
    assert not list(output.glob("*-00001-of-00003*"))  # no short file, no seal


def test_a_bucket_holds_the_same(workdir, stored, s3, predicted):
    s3.mkdir("predictions")
    summary = predict_split(load_run(workdir), stored, "test", "s3://predictions/v1")
    assert summary.total.shards == 3
    for path in predicted.glob("*-of-00003.npy"):
        with s3.open(f"predictions/v1/{path.name}") as file:
            np.testing.assert_allclose(np.load(file), np.load(path), atol=1e-6)
    again = predict_split(load_run(workdir), stored, "test", "s3://predictions/v1")
    assert again.total.reused == 3
