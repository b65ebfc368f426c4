import dataclasses
import importlib.util
import json
import shutil
import zipfile

import keras
import numpy as np
import pytest

import lensing_tfds
from estimators.judge import judge
from estimators.results import write
from lensing_tfds.errors import LensingError
from lensing_tfds.records import unfinished
from lensing_tfds.records.locks import alone_in
from lensing_tfds.records.reading import evaluation_batches
from lensing_tfds.task import Task
from tests.trainer.tasks import statistics, task
from trainer.loop.callbacks import Checkpoints
from trainer.loop.compiling import compile_network
from trainer.networks import families
from trainer.networks.physical import scaling_of
from trainer.runs.checkpoints import BEST, LAST, load, read_record, save
from trainer.runs.run import load_run
from trainer.serving import export
from trainer.settings.config import BEFORE
from trainer.train import train


def quiet(line: str) -> None:
    """A report that nobody reads."""


def weights(workdir, name: str = "last.keras") -> list[np.ndarray]:
    return keras.saving.load_model(workdir / name).get_weights()


def assert_same_run(a, b) -> None:
    for name in ("last.keras", "best.keras"):
        for x, y in zip(weights(a, name), weights(b, name), strict=True):
            np.testing.assert_allclose(x, y, atol=1e-6)
    first, second = load_run(a).history, load_run(b).history
    for column in ("epoch", "loss", "val_loss", "map_correlation", "val_map_correlation"):
        np.testing.assert_allclose(first[column], second[column], atol=1e-5)


@pytest.fixture(scope="session")
def finished(config, tmp_path_factory):
    """An uninterrupted run of three epochs: its config and folder."""
    config = dataclasses.replace(config, epochs=3)
    workdir = tmp_path_factory.mktemp("runs") / "finished"
    train(config, workdir, quiet)
    return config, workdir


def test_a_run_writes_its_config_history_models_and_tensorboard_events(finished):
    config, workdir = finished
    values = json.loads((workdir / "config.json").read_text())
    assert values["model"] == "1x4-3" and values["lensing"]["npix"] == 16
    assert "scaling" not in values
    assert values["lensing_tfds_version"] == lensing_tfds.__version__
    with zipfile.ZipFile(workdir / "best.keras") as archive:
        record = json.loads(archive.read("run.json"))
    assert record["lensing_tfds_version"] == lensing_tfds.__version__
    run = load_run(workdir)
    assert run.config == config
    assert list(run.history["epoch"]) == [1, 2, 3]
    assert run.history["loss"][-1] < run.history["loss"][0]
    for split in ("train", "validation") if importlib.util.find_spec("tensorflow") else ():
        assert list((workdir / "tensorboard" / split).glob("events*"))
    assert not list(workdir.glob(".*"))  # no temporary file is left


def test_a_run_resumed_for_more_epochs_equals_an_uninterrupted_one(finished, changed, tmp_path):
    workdir = tmp_path / "run"
    for epochs in (1, 2, 3):
        train(changed(epochs=epochs), workdir, quiet)
    assert_same_run(workdir, finished[1])


@pytest.mark.parametrize("name", ["best.keras", "last.keras"])
def test_a_run_killed_while_writing_a_checkpoint_resumes_to_the_same(
    finished, tmp_path, monkeypatch, name
):
    config, uninterrupted = finished
    workdir = tmp_path / "run"
    save = Checkpoints._save

    def killed(self, written: str) -> None:
        if written == name and len(self.history) >= 1 and (workdir / "last.keras").exists():
            machine = unfinished.machine()  # which went down: its writer is dead
            (workdir / f".unfinished-{machine}-0123456789ab-{name}").write_bytes(b"half a file")
            raise KeyboardInterrupt
        save(self, written)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "_save", killed)
        train(config, workdir, quiet)
    train(config, workdir, quiet)
    assert_same_run(workdir, uninterrupted)


def test_a_finished_run_says_so_and_is_left_alone(finished):
    config, workdir = finished
    before = {p.name: p.stat().st_mtime_ns for p in workdir.glob("*.keras")}
    lines: list[str] = []
    train(config, workdir, lines.append)
    assert lines == ["already finished: 3 epochs (more: --epochs)"]
    assert {p.name: p.stat().st_mtime_ns for p in workdir.glob("*.keras")} == before


def test_a_run_of_before_there_were_schedules_goes_on_as_it_was(finished, tmp_path):
    config, workdir = finished[0], shutil.copytree(finished[1], tmp_path / "run")
    for name in (BEST, LAST):
        record = read_record(workdir / name)
        for new in (*BEFORE, "plan"):
            del record.config[new]
        save(load(workdir / name), workdir / name, record)
    (workdir / "config.json").write_text(json.dumps(record.config))
    assert load_run(workdir).config == config
    lines: list[str] = []
    train(config, workdir, lines.append)
    assert lines == ["already finished: 3 epochs (more: --epochs)"]
    train(dataclasses.replace(config, epochs=4), workdir, quiet)
    assert len(load_run(workdir).history["epoch"]) == 4


def test_a_run_of_before_the_order_was_defined_anew_is_read_but_not_gone_on_with(
    finished, tmp_path
):
    config, workdir = finished[0], shutil.copytree(finished[1], tmp_path / "run")
    for name in (BEST, LAST):
        record = read_record(workdir / name)
        del record.config["stream"]
        save(load(workdir / name), workdir / name, record)
    (workdir / "config.json").write_text(json.dumps(record.config))
    lines: list[str] = []
    train(config, workdir, lines.append)
    assert lines == ["already finished: 3 epochs (more: --epochs)"]
    with pytest.raises(LensingError, match=f"the run in {workdir} was begun by another release"):
        train(dataclasses.replace(config, epochs=4), workdir, quiet)
    assert json.loads((workdir / "config.json").read_text())["stream"] == 1


def test_fewer_epochs_than_a_run_has_do_not_shorten_it(finished, changed, tmp_path):
    workdir = shutil.copytree(finished[1], tmp_path / "run")
    train(changed(epochs=1), workdir, quiet)
    assert load_run(workdir).config.epochs == 3


def test_the_best_epoch_is_remembered_across_sessions(finished, changed, tmp_path):
    workdir = shutil.copytree(finished[1], tmp_path / "run")
    number = len(read_record(workdir / BEST).history)
    for name in (BEST, LAST):
        record = read_record(workdir / name)
        history = list(record.history)
        history[number - 1] |= {"val_loss": 0.0}  # no later epoch can be better
        save(
            load(workdir / name),
            workdir / name,
            dataclasses.replace(record, history=tuple(history)),
        )
    best = (workdir / BEST).read_bytes()
    train(changed(epochs=4), workdir, quiet)
    assert (workdir / BEST).read_bytes() == best
    assert len(load_run(workdir).history["epoch"]) == 4


def test_the_best_model_is_that_of_the_lowest_validation_loss(finished):
    _, workdir = finished
    run = load_run(workdir)
    batches = [(b["kappa"], run.predict(b["lensed"])) for b in _evaluation(run, "validation")]
    truth, estimate = (np.concatenate(maps) for maps in zip(*batches, strict=True))
    (std,) = scaling_of(run.model).label_std
    mse = np.mean((truth - estimate) ** 2) / std**2
    np.testing.assert_allclose(mse, run.history["val_loss"].min(), rtol=1e-4)


def _evaluation(run, split: str):
    return evaluation_batches(run.dataset.stored, split, batch_size=4)


def test_predictions_are_kappa_for_any_batch_size(finished):
    run = load_run(finished[1])
    lensed = np.concatenate([b["lensed"] for b in _evaluation(run, "test")])
    estimate = run.predict(lensed)
    assert estimate.shape == (11, 16, 16, 1) and estimate.dtype == np.float32
    np.testing.assert_allclose(run.predict(lensed, batch_size=3), estimate, atol=1e-6)


def test_a_folder_of_another_run_is_refused_naming_each_field_with_both_values(finished, changed):
    _, workdir = finished
    with pytest.raises(LensingError) as error:
        train(changed(model="1x5-3", batch_size=8, epochs=3), workdir, quiet)
    assert "model: '1x4-3' -> '1x5-3'" in str(error.value)
    assert "batch_size: 16 -> 8" in str(error.value)
    assert "epochs" not in str(error.value) and "seed" not in str(error.value)
    assert load_run(workdir).config.model == "1x4-3"


def test_a_folder_without_a_finished_epoch_takes_other_settings(finished, changed, tmp_path):
    shutil.copy(finished[1] / "config.json", tmp_path)
    run = train(changed(batch_size=8, epochs=1), tmp_path, quiet)
    assert (run.config.batch_size, len(run.history["epoch"])) == (8, 1)


def test_a_folder_of_a_run_on_other_data_is_refused(finished, tmp_path):
    config, workdir = finished
    workdir = shutil.copytree(workdir, tmp_path / "run")
    for name in (BEST, LAST):
        record = read_record(workdir / name)
        record.config["lensing"]["seed"] = 99
        save(load(workdir / name), workdir / name, record)
    with pytest.raises(LensingError, match="seed: 99 -> 3"):
        train(config, workdir, quiet)


def test_the_data_may_move(finished, changed, data_dir, tmp_path):
    workdir = shutil.copytree(finished[1], tmp_path / "run")
    moved = shutil.copytree(data_dir, tmp_path / "moved")
    train(changed(data_dir=str(moved), epochs=3), workdir, quiet)
    assert load_run(workdir).config.data_dir == str(moved)
    assert str(load_run(workdir).dataset.stored.data_path).startswith(str(moved))


def test_a_diverged_run_stops_with_one_line_and_keeps_what_it_had(finished, changed, tmp_path):
    with pytest.raises(LensingError, match=r"loss became (nan|inf) in epoch 1.*--learning_rate"):
        train(changed(learning_rate=1e30, clipnorm=None), tmp_path / "run", quiet)
    assert not (tmp_path / "run" / "last.keras").exists()


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize(("kept", "fault"), [(-100, "is truncated"), (0, "has 0 of its")])
def test_a_truncated_shard_is_named_with_the_command_that_builds_it_again(
    changed, data_dir, tmp_path, split, kept, fault
):
    broken = shutil.copytree(data_dir, tmp_path / "data")
    shard = next(broken.glob(f"lensing/tiny/*/*{split}*00001-of-00003"))
    shard.write_bytes(shard.read_bytes()[:kept])
    with pytest.raises(LensingError, match=f"shard {shard} {fault}") as error:
        train(changed(data_dir=str(broken)), tmp_path / "run", quiet)
    assert not (tmp_path / "run" / "last.keras").exists()
    assert '"npix": 16' in str(error.value) and f"--data_dir {broken}" in str(error.value)


def test_a_network_is_trained_on_t_q_and_u_judged_and_served(polarized, changed, tmp_path):
    """From the built dataset to the report, and to a model that takes µK."""
    config = changed(dataset="lensing/polarized", epochs=1)
    run = train(config, tmp_path / "run", quiet)
    assert run.model.input_shape == (None, 16, 16, 3)
    measured = scaling_of(run.model)
    t, q, u = measured.input_std
    assert q == u and t > 5 * q
    assert measured.input_mean[1:] == (0, 0)

    evaluation = judge(run)
    assert evaluation.skill.num_examples == 11
    (batch,) = evaluation_batches(polarized, "test", 11)
    np.testing.assert_array_equal(evaluation.gallery.lensed, batch["lensed"][:4, ..., 0])
    assert "The input is T, Q, U; shown is T." in write(run, evaluation).read_text()

    tf = pytest.importorskip("tensorflow")
    expected = run.predict(batch["lensed"])
    export(run, tmp_path / "serving")
    serving = tf.saved_model.load(str(tmp_path / "serving"))
    served = serving.serve(batch["lensed"]).numpy()
    np.testing.assert_allclose(served, expected, atol=1e-5 * expected.std())


def test_a_run_whose_scaling_is_beside_its_network_is_refused_in_one_line(finished, tmp_path):
    workdir = shutil.copytree(finished[1], tmp_path / "run")
    values = json.loads((workdir / "config.json").read_text())
    values["scaling"] = {"lensed_mean": [0.5], "lensed_std": [90.0]}  # as runs had it
    (workdir / "config.json").write_text(json.dumps(values))
    with pytest.raises(
        LensingError, match="before networks took µK.*train again in another folder$"
    ):
        load_run(workdir)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda maps: maps[..., 0], r"shape \(11, 16, 16\): the network takes \(n, 16, 16, 1\)"),
        (lambda maps: maps[:, :, :8], r"shape \(11, 16, 8, 1\)"),
        (lambda maps: np.repeat(maps, 3, axis=-1), r"takes \(n, 16, 16, 1\), of T"),
        (lambda maps: np.where(np.arange(11) == 4, np.nan, maps.T).T, "map 4 of 11 is not finite"),
        (lambda maps: np.where(np.arange(11) == 4, np.inf, maps.T).T, "map 4 of 11 is not finite"),
        (lambda maps: maps.astype(str), "maps are of type <U32"),
        (lambda maps: maps + 1j, "maps are of type complex64"),
        (lambda maps: np.ma.masked_greater(maps, 50.0), "maps are a masked array"),
    ],
)
def test_maps_that_no_estimate_can_be_made_from_are_refused(finished, change, message):
    run = load_run(finished[1])
    lensed = np.concatenate([b["lensed"] for b in _evaluation(run, "test")])
    with pytest.raises(LensingError, match=message):
        run.predict(change(lensed))


@pytest.mark.parametrize(
    "change",
    [
        lambda maps: maps * 1e-6,
        lambda maps: maps / maps.std(),
        lambda maps: maps * 1e3,
        np.zeros_like,
    ],
    ids=["kelvin", "standardised", "nK", "zero"],
)
def test_maps_in_other_units_are_estimated_with_one_warning(finished, change):
    run = load_run(finished[1])
    lensed = np.concatenate([b["lensed"] for b in _evaluation(run, "test")])
    maps = change(lensed)
    rms = np.sqrt(np.mean(maps[0] ** 2))
    with pytest.warns(UserWarning, match="and the network was trained on maps of") as warned:
        run.predict(maps)
        run.predict(maps)  # a judge asks batch by batch
    (warning,) = warned
    assert f"map 0 of 11 has an rms of {rms:.3g} in T" in str(warning.message)
    assert warning.filename == __file__


def test_a_map_out_of_scale_is_noticed_among_others_and_a_noisy_or_tilted_one_is_not(finished):
    run = load_run(finished[1])
    lensed = np.concatenate([b["lensed"] for b in _evaluation(run, "test")])
    run.predict(3 * lensed)  # warnings are errors here
    run.predict(lensed / 3)
    lensed[4] = 0
    with pytest.warns(UserWarning, match="map 4 of 11 has an rms of 0 in T"):
        run.predict(lensed)


def test_a_searchs_folder_is_no_runs(changed, tmp_path):
    (tmp_path / "search.json").write_text("{}")
    with pytest.raises(LensingError, match=f"{tmp_path} holds a search"):
        train(changed(), tmp_path, quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["search.json"]


def test_a_kernel_wider_than_twice_the_map_is_refused(changed, tmp_path):
    with pytest.raises(LensingError, match="1x4-33 has a kernel 33 pixels wide.*at most 31"):
        train(changed(model="1x4-33"), tmp_path / "run", quiet)
    assert not (tmp_path / "run").exists()


def test_maps_of_double_precision_and_none_at_all_are_estimated(finished):
    run = load_run(finished[1])
    lensed = np.concatenate([b["lensed"] for b in _evaluation(run, "test")])
    np.testing.assert_array_equal(run.predict(lensed.astype(float)), run.predict(lensed))
    assert run.predict(lensed[:0]).shape == (0, 16, 16, 1)


def test_a_network_of_another_dataset_than_its_run_is_refused(finished, tmp_path):
    """The seal is right, and so is the record beside the network: the network itself says it."""
    workdir = shutil.copytree(finished[1], tmp_path / "run")
    run = load_run(workdir)
    other = dataclasses.replace(run.lensing, noise_uK_arcmin=3.0)
    of = Task(other, run.dataset_version)
    save(
        families.build("1x4-3", of, statistics(of), 0), workdir / BEST, read_record(workdir / BEST)
    )
    with pytest.raises(LensingError, match="not of the dataset .*noise_uK_arcmin: 0.0 -> 3.0"):
        load_run(workdir).predict(np.zeros((1, 16, 16, 1)))


def test_the_loss_is_the_mean_squared_error_of_standardised_kappa(changed):
    of = task(16)
    model = families.build("1x4-3", of, statistics(of), 0)
    compile_network(model, changed(), 1)
    x, y = np.random.default_rng(1).standard_normal((2, 4, 16, 16, 1), np.float32)
    x, y = 50 * x + 10, 0.2 * y - 0.1
    expected = np.mean((model.predict(x, verbose=0) - y) ** 2) / 0.2**2
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0)[0], expected, rtol=1e-5)


def test_a_second_trainer_in_a_folder_is_refused_with_the_same_settings_and_with_others(
    changed, tmp_path
):
    for config in (changed(), changed(learning_rate=0.5)):
        with (
            alone_in(tmp_path, "training"),
            pytest.raises(
                LensingError, match=f"another process is training in {tmp_path} .process"
            ),
        ):
            train(config, tmp_path, quiet)
    assert not list(tmp_path.iterdir())
