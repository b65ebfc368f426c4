"""Each extra, installed alone from the wheel into a fresh environment, runs its commands.

The folder's name has a space and letters that ASCII lacks, there is no compiler, and once installed
neither the environment nor HOME can be written. The other Pythons that are supported, where they
are on the PATH, simulate, build, train and judge.

Slow (a minute or two and up to 3 GB each, removed at the end), and not a part of `make test`:
`make test-installs`, or for one of them `make test-installs TEST_FLAGS='-k pipelines'`.
"""

import os
import shutil
import subprocess
import sys

import pytest

from tests.distributions import ROOT, built
from tests.installs.extras import BUILD, EXTRAS, JUDGE, SIMULATE, TRAIN

PYTHONS = ("3.11", "3.12", "3.13")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built(tmp_path_factory.mktemp("built"))[0]


@pytest.fixture
def folder(tmp_path):
    """Holds a home, a folder to work in and, once it is made, an environment; then removed."""
    folder = tmp_path / "Größe κ"
    for name in ("home", "work"):
        (folder / name).mkdir(parents=True)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    shutil.rmtree(folder)


def heeding_modes(command):
    """A command that may not write what its mode says that it may not, even if root runs it."""
    if os.geteuid() != 0:
        return command
    rights = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", *command]


def installed(wheel, extra, folder, python=sys.executable):
    """Makes the environment, read-only; returns a function that runs commands there."""
    subprocess.run([python, "-m", "venv", folder / "venv"], check=True)
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
    return lambda command: run(heeding_modes(command))


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_alone_runs_its_commands(extra, wheel, folder):
    run = installed(wheel, extra, folder)
    for command in EXTRAS[extra]:
        run(command)


@pytest.mark.parametrize("version", PYTHONS)
def test_each_python_that_is_supported_runs_the_whole_path(version, wheel, folder):
    if sys.version.startswith(f"{version}."):
        pytest.skip("the extra trainer, above, runs the same")
    python = shutil.which(f"python{version}")
    if (
        not python
        or subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode
    ):
        pytest.skip(f"no python{version} on the PATH")
    run = installed(wheel, "trainer", folder, python)
    run(["python", "-c", f"import sys; assert sys.version.startswith('{version}.')"])
    for command in (["python", "-c", SIMULATE], BUILD, ["python", *TRAIN], JUDGE):
        run(command)
