"""Each extra, installed alone from the wheel into a fresh environment, runs its commands.

The folder's name has a space and letters that ASCII lacks, there is no compiler, and once installed
neither the environment nor HOME can be written.

Slow (a minute or two and up to 3 GB each, removed at the end), and not a part of `make test`:
`make test-installs`, or for one of them `make test-installs TEST_FLAGS='-k pipelines'`.
"""

import configparser
import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.distributions import ROOT, built
from tests.test_commands import COMMANDS

TINY = {"name": "tiny", "npix": 32, "lx": 5.0}
TINY["num_examples"] = {"train": 24, "validation": 8, "test": 8}
CONFIG = json.dumps(TINY)

BUILD = ["tfds", "build", "lensing", "--imports", "lensing_tfds", "--config", CONFIG]
BUILD += ["--data_dir", "data"]
BUILD_ALONE = ["python", "-m", "lensing_tfds.build", "--config", CONFIG, "--data_dir", "data"]
GENERATE = ["python", "-m", "pipelines.generate", "--config", CONFIG, "--data_dir", "data"]
DATASET = ["--dataset", "lensing/tiny", "--data_dir", "data"]
TRAIN = ["-m", "trainer", *DATASET, "--workdir", "run", "--model", "1x2-3", "--epochs", "1"]
JUDGE = ["python", "-m", "trainer.evaluate", "--workdir", "run"]
SIMULATE = "import lensing_tfds; print(lensing_tfds.simulate('v1', 'test', [0])['kappa'].shape)"
SAVE = f"""
import lensing_tfds, numpy
numpy.save("maps.npy", lensing_tfds.simulate({TINY!r}, "test", [0])["lensed"])
"""
MAPS = ["--maps", "maps.npy", "--output", "kappa.npz"]
OWN_COSMOLOGY = """
from lensing_tfds import LensingConfig, simulate
config = LensingConfig("own", npix=16, lx=20.0, cosmology={"H0": 70.0})
print(simulate(config, "test", [0])["kappa"].shape)
"""
WITHOUT_TENSORFLOW = [  # on a dataset that is built
    ["python", *TRAIN],
    ["python", *TRAIN, "--fresh", "--workdir", "fresh", "--simulators", "1"],
    JUDGE,
    [*JUDGE, "--split", "train", "--checks", "--figures"],  # eight are too few for the checks
    ["python", "-m", "trainer.compare", "run", "run"],
    ["python", "-c", SAVE],
    ["python", "-m", "trainer.reconstruct", "--model", "run", *MAPS],
]

EXTRAS = {
    "": [["python", "-c", SIMULATE]],
    "worker": [BUILD_ALONE],
    "tfds": [BUILD, ["python", "-m", "pipelines.verify", *DATASET]],
    "pipelines": [
        GENERATE,
        ["python", "-m", "pipelines.verify", *DATASET],
        ["python", "-m", "pipelines.validate", *DATASET],
        ["python", "-m", "pipelines.card", *DATASET, "--output", "cards"],
        [sys.executable, *TRAIN],  # here, where all is installed: a network from another machine
        ["python", "-m", "pipelines.predict", "--workdir", "run", "--output", "predictions"],
    ],
    "trainer": [
        BUILD,
        *WITHOUT_TENSORFLOW,
        ["python", "-m", "trainer.models", *DATASET],
        ["python", "-m", "trainer.export", "--workdir", "run", "--output", "served"],
    ],
    "tuning": [
        BUILD,
        ["python", "-m", "tuning", *DATASET, "--workdir", "search", "--tuner", "random"]
        + ["--max_trials", "1", "--max_epochs", "1"],
        ["python", "-m", "tuning.report", "--workdir", "search"],
    ],
    "buckets": [["python", "-c", "import gcsfs, lensing_tfds, s3fs"]],
    "fits": [["python", "-c", "import astropy.io.fits, lensing_tfds"]],
    "camb": [["python", "-c", OWN_COSMOLOGY]],
    "dask": [[*GENERATE, "--runner", "DaskRunner"]],
    "gcp": [["python", "-c", "import apache_beam.runners.dataflow.internal.apiclient"]],
    "jax": [BUILD_ALONE, *(["env", "KERAS_BACKEND=jax", *c] for c in WITHOUT_TENSORFLOW)],
    "all": [BUILD, ["python", "-m", "trainer.models", *DATASET]],
}
NOT_HERE = {
    "networks": "has no backend: `jax`, `torch` and `trainer` install it with one",
    "namaster": "needs a compiler: `make install` builds it",
    "torch": "5 GB: `make test-backends` installs it",
    "test": "for development: `make install` installs it",
    "dev": "for development: `make install` installs it",
    "docs": "for development too: `make docs` needs it",
}


def test_every_command_is_run_by_the_extra_that_it_asks_for():
    run = {extra: {c[2] for c in commands if c[1] == "-m"} for extra, commands in EXTRAS.items()}
    for module, (extra, _) in COMMANDS.items():
        assert module in run[extra]


def test_every_extra_is_here_or_it_is_said_why_not():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert EXTRAS.keys() | NOT_HERE.keys() == {"", *setup["options.extras_require"]}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built(tmp_path_factory.mktemp("built"))[0]


@pytest.fixture
def folder(tmp_path):
    """Holds an environment, a home, and a folder to work in; removed at the end."""
    folder = tmp_path / "Größe κ"
    for name in ("home", "work"):
        (folder / name).mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    shutil.rmtree(folder)


def heeding_modes(command):
    """A command that may not write what its mode says that it may not, even if root runs it."""
    if os.geteuid() != 0:
        return command
    rights = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", *command]


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_alone_runs_its_commands(extra, wheel, folder):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    variables = {name: value for name, value in kept.items() if name != "PYTHONPATH"}
    variables |= {"CC": "false", "CXX": "false", "LC_ALL": "C.UTF-8", "LENSING_TFDS_WORKERS": "1"}
    variables["PATH"] = f"{folder}/venv/bin:{variables['PATH']}"
    variables["PIP_CONSTRAINT"] = str(ROOT / "requirements.lock")

    def run(command):
        here = {"PYTHONPATH": str(ROOT)} if command[0] == sys.executable else {}
        ended = subprocess.run(
            command,
            cwd=folder / "work",
            env=variables | here,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"

    run(["pip", "install", "-q", f"{wheel}[{extra}]" if extra else str(wheel)])
    variables["HOME"] = f"{folder}/home"
    run(["chmod", "-R", "a-w", str(folder / "venv"), str(folder / "home")])
    for place in ("venv/lib", "home"):  # or this would show nothing
        with pytest.raises(AssertionError, match="Permission denied"):
            run(heeding_modes(["touch", str(folder / place / "file")]))
    for command in EXTRAS[extra]:
        run(heeding_modes(command))
