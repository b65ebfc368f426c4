"""The workers' image has the versions that start the job; no Docker is needed to see that."""

import configparser
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
DOCKERFILE = (ROOT / "pipelines" / "Dockerfile").read_text()


def test_the_image_has_the_locked_beam():
    (image,) = re.findall(r"^ARG BEAM=(.+)$", DOCKERFILE, re.MULTILINE)
    lock = (ROOT / "requirements.lock").read_text()
    assert re.findall(r"^apache-beam==([^\s;]+)", lock, re.MULTILINE) == [image]


def extras_named():
    found = [names.split(",") for names in re.findall(r"EXTRAS=([\w,]+)", DOCKERFILE)]
    assert len(found) == 2
    return found


def test_the_image_installs_extras_that_exist():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for extras in extras_named():
        assert set(extras) <= set(setup["options.extras_require"])
    assert "/tmp/lensing-tfds[${EXTRAS}]" in DOCKERFILE


def without(libraries, modules):
    """Imports modules where libraries are not installed."""
    code = "import sys\nfor name in sys.argv[1].split(): sys.modules[name] = None\n"
    code += f"import {', '.join(modules)}"
    subprocess.run([sys.executable, "-c", code, libraries], check=True, cwd=ROOT)


ALL_WORKERS_LACK = "pymaster keras_tuner sklearn camb dask distributed pixell"


def test_what_workers_run_is_installed_in_the_image():
    worker, everything = sorted(extras_named(), key=lambda extras: "pipelines" in extras)
    assert "worker" in worker and "pipelines" in everything
    modules = ["lensing_tfds.records.beam_executor", "pipelines.validation.transform"]
    small = f"{ALL_WORKERS_LACK} tensorflow tensorflow_datasets keras matplotlib etils loky wrapt"
    without(small, modules)
    without(ALL_WORKERS_LACK, [*modules, "pipelines.predict_worker"])


def test_what_the_package_is_made_of_is_sent_to_docker():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in ignored if line.startswith("!")}
    assert all((ROOT / name).exists() for name in sent)
    assert {"pyproject.toml", "requirements.lock", "setup.cfg"} <= sent
    # What the modules of workers and of the trainer's image import.
    assert {"lensing_tfds", "estimators", "pipelines", "trainer", "tuning"} <= sent
