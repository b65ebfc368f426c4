"""Each extra, installed alone into a fresh environment, runs each of its commands.

Slow (a minute or two and up to 3 GB each, removed at the end), and not a part of `make test`:
`make test-installs`, or for one of them `make test-installs TEST_FLAGS='-k pipelines'`.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.test_commands import COMMANDS

ROOT = pathlib.Path(__file__).parents[2]

TINY = {"name": "tiny", "npix": 32, "lx": 5.0}
TINY["num_examples"] = {"train": 24, "validation": 8, "test": 8}
CONFIG = json.dumps(TINY)

BUILD = ["tfds", "build", "lensing", "--imports", "lensing_tfds", "--config", CONFIG]
BUILD += ["--data_dir", "data"]
DATASET = ["--dataset", "lensing/tiny", "--data_dir", "data"]
TRAIN = ["-m", "trainer", *DATASET, "--workdir", "run", "--model", "1x2-3", "--epochs", "1"]
JUDGE = ["python", "-m", "trainer.evaluate", "--workdir", "run"]
SIMULATE = "import lensing_tfds; print(lensing_tfds.simulate('v1', 'test', [0])['kappa'].shape)"
SAVE = f"""
import lensing_tfds, numpy
numpy.save("maps.npy", lensing_tfds.simulate({TINY!r}, "test", [0])["lensed"])
"""
MAPS = ["--maps", "maps.npy", "--output", "kappa.npz"]
WRITE = f"""
from lensing_tfds import LensingConfig
from lensing_tfds.records import shards
plan = shards.SplitPlan(LensingConfig.from_json({TINY!r}), "train", 1, "train")
assert shards.write_shard(plan.shard(0)).num_examples == 24 and shards.damage(plan.shard(0)) is None
"""

EXTRAS = {
    "": [["python", "-c", SIMULATE]],
    "worker": [["python", "-c", WRITE]],
    "tfds": [BUILD, ["python", "-m", "pipelines.verify", *DATASET]],
    "pipelines": [
        ["python", "-m", "pipelines.generate", "--config", CONFIG, "--data_dir", "data"],
        ["python", "-m", "pipelines.verify", *DATASET],
        ["python", "-m", "pipelines.validate", *DATASET],
        ["python", "-m", "pipelines.card", *DATASET, "--output", "cards"],
        [sys.executable, *TRAIN],  # here, where all is installed: a network from another machine
        ["python", "-m", "pipelines.predict", "--workdir", "run", "--output", "predictions"],
    ],
    "trainer": [
        BUILD,
        ["python", *TRAIN],
        JUDGE,
        [*JUDGE, "--split", "train", "--checks", "--figures"],  # eight are too few for the checks
        ["python", "-m", "trainer.compare", "run", "run"],
        ["python", "-m", "trainer.models", *DATASET],
        ["python", "-m", "trainer.export", "--workdir", "run", "--output", "served"],
        ["python", "-c", SAVE],
        ["python", "-m", "trainer.reconstruct", "--model", "run", *MAPS],
    ],
    "tuning": [
        BUILD,
        ["python", "-m", "tuning", *DATASET, "--workdir", "search", "--tuner", "random"]
        + ["--max_trials", "1", "--max_epochs", "1"],
        ["python", "-m", "tuning.report", "--workdir", "search"],
    ],
}


def test_every_command_is_run_by_the_extra_that_it_asks_for():
    run = {extra: {c[2] for c in commands if c[1] == "-m"} for extra, commands in EXTRAS.items()}
    for module, (extra, _) in COMMANDS.items():
        assert module in run[extra]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what is installed: a build leaves its own files beside."""
    folder = tmp_path_factory.mktemp("source")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for file in map(pathlib.Path, files.splitlines()):
        if (ROOT / file).is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, folder / file)
    return folder


@pytest.fixture
def environment(tmp_path):
    """A virtual environment, removed at the end."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_alone_runs_its_commands(extra, source, environment, tmp_path):
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables["PATH"] = f"{environment}/bin:{variables['PATH']}"
    variables["PIP_CONSTRAINT"] = str(ROOT / "requirements.lock")
    variables["LENSING_TFDS_WORKERS"] = "1"

    def run(command):
        here = {"PYTHONPATH": str(ROOT)} if command[0] == sys.executable else {}
        ended = subprocess.run(
            command, cwd=tmp_path, env=variables | here, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"

    run(["pip", "install", "-q", f"{source}[{extra}]" if extra else str(source)])
    for command in EXTRAS[extra]:
        run(command)
