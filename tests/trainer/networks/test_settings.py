"""Keras's own settings, by keras.json, by the environment or set in a program, change nothing."""

import json
import os
import pathlib
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest

from lensing_tfds.records.datasets import find_config
from tests.trainer.tasks import statistics, task
from trainer.networks.families import build
from trainer.networks.settings import keras_settings
from trainer.runs.run import load_run
from trainer.settings.config import resolve
from trainer.train import train

ROOT = pathlib.Path(__file__).parents[3]
HALF = {"floatx": "float16", "image_data_format": "channels_first", "epsilon": 1e-3}

POLICY = "mixed_float16"

TRAIN = f"""
import keras, sys
keras.config.set_dtype_policy("{POLICY}")
from tests.trainer.networks.test_settings import trained
trained(*sys.argv[1:])
assert keras.config.dtype_policy().name == "{POLICY}"
"""


def trained(data_dir: str, workdir: str) -> None:
    """Trains, and keeps what the network estimates of some maps."""
    lensing = find_config("lensing/tiny", data_dir)
    settings = {"model": "hires-2x4-3", "batch_size": 16, "epochs": 2}
    run = train(resolve("lensing/tiny", data_dir, lensing, **settings), workdir, lambda line: None)
    lensed = 100 * np.random.default_rng(0).normal(size=(3, 16, 16, 1)).astype(np.float32)
    np.savez(f"{workdir}/result.npz", kappa=run.predict(lensed), lensed=lensed)


@pytest.fixture(name="plain", scope="module")
def plain_fixture(data_dir, tmp_path_factory):
    """The folder of a run in this process, where nobody has set anything."""
    workdir = tmp_path_factory.mktemp("plain")
    trained(data_dir, str(workdir))
    return workdir


def test_a_run_is_the_same_whatever_keras_json_the_environment_and_the_program_say(
    plain, data_dir, tmp_path
):
    (tmp_path / "keras.json").write_text(json.dumps(HALF))
    limits = {"KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "2"}
    workdir = tmp_path / "run"
    subprocess.run(
        [sys.executable, "-c", TRAIN, data_dir, str(workdir)],
        check=True,
        env=os.environ | {"KERAS_HOME": str(tmp_path)} | limits,
        cwd=ROOT,
    )
    run, expected = load_run(workdir), load_run(plain)
    for column in ("epoch", "loss", "val_loss", "map_correlation", "val_map_correlation"):
        np.testing.assert_allclose(run.history[column], expected.history[column], rtol=1e-5)
    for x, y in zip(run.model.get_weights(), expected.model.get_weights(), strict=True):
        assert x.dtype == y.dtype == np.float32
        np.testing.assert_allclose(x, y, atol=1e-6)
    there = np.load(workdir / "result.npz")
    assert there["kappa"].dtype == np.float32
    # Trained under some settings, loaded under others.
    np.testing.assert_allclose(run.predict(there["lensed"]), there["kappa"], atol=1e-6)


def test_a_file_is_the_same_network_wherever_it_is_loaded(plain, tmp_path):
    """By Keras alone, without this project's hold on the settings."""
    (tmp_path / "keras.json").write_text(json.dumps(HALF))
    script = (
        "import keras, numpy as np, sys, trainer.networks\n"
        "model = keras.saving.load_model(sys.argv[1] + '/best.keras')\n"
        "kappa = np.asarray(model(np.load(sys.argv[1] + '/result.npz')['lensed']))\n"
        "assert kappa.dtype == np.float32, kappa.dtype\n"
        "np.save('kappa.npy', kappa)\n"
    )
    environment = os.environ | {"KERAS_HOME": str(tmp_path)}
    command = [sys.executable, "-c", script, str(plain)]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    expected = np.load(plain / "result.npz")["kappa"]
    np.testing.assert_allclose(np.load(tmp_path / "kappa.npy"), expected, atol=1e-6)


@pytest.fixture
def foreign():
    """Somebody's own settings."""
    keras.config.set_floatx("float64")
    keras.config.set_image_data_format("channels_first")
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")


def current() -> tuple[str, str, str]:
    policy = keras.config.dtype_policy().name
    return keras.config.floatx(), keras.config.image_data_format(), policy


def test_settings_come_back_when_networks_are_left_alone_also_after_an_error(foreign):
    before = current()
    with pytest.raises(KeyError), keras_settings():
        assert current() == ("float32", "channels_last", "float32")
        raise KeyError
    assert current() == before == ("float64", "channels_first", "mixed_bfloat16")


def test_threads_that_overlap_do_not_give_the_settings_back_to_each_other(foreign):
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))
    seen = []

    def first():
        with keras_settings():
            first_is_in.set()
            second_is_in.wait(10)
        first_is_out.set()

    def second():
        first_is_in.wait(10)
        with keras_settings():
            second_is_in.set()
            first_is_out.wait(10)
            seen.append(current())

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [("float32", "channels_last", "float32")]
    assert current() == ("float64", "channels_first", "mixed_bfloat16")


def test_a_network_that_is_built_among_them_says_its_own(foreign):
    model = build("hires-2x4-3", task(16), statistics(task(16)), seed=0)
    inner = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    for layer in (*model.layers, *inner.layers):
        assert layer.dtype_policy.name == "float32", layer.name
        assert getattr(layer, "data_format", "channels_last") == "channels_last", layer.name
    assert model.count_params() == 4 * 10 + 4 * 37 + 37
