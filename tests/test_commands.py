"""Every command answers `--help` at once, says what is not installed, and prints on any stream."""

import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

COMMANDS = {
    "trainer": ("trainer", []),
    "trainer.evaluate": ("trainer", ["--workdir", "run"]),
    "trainer.compare": ("trainer", ["run", "another"]),
    "trainer.models": ("trainer", []),
    "trainer.export": ("trainer", ["--workdir", "run", "--output", "out"]),
    "trainer.reconstruct": ("trainer", ["--model", "run", "--maps", "a.npy", "--output", "b.npz"]),
    "trainer.bandpowers": (
        "sacc",
        ["--estimator", "qe", "--dataset", "lensing/v11", "--output", "out"],
    ),
    "trainer.delens": (
        "trainer",
        ["--estimator", "qe", "--dataset", "lensing/v11", "--output", "out"],
    ),
    "tuning": ("tuning", []),
    "tuning.report": ("tuning", ["--workdir", "search"]),
    "lensing_tfds.build": ("worker", ["--config", "v7"]),
    "pipelines.generate": ("pipelines", ["--config", "v7"]),
    "pipelines.verify": ("tfds", ["--dataset", "lensing/v7"]),
    "pipelines.validate": ("pipelines", ["--dataset", "lensing/v7"]),
    "pipelines.predict": ("pipelines", ["--workdir", "run", "--output", "out"]),
    "pipelines.croissant": ("pipelines", ["--dataset", "lensing/v7"]),
    "pipelines.export": (
        "pipelines",
        ["--dataset", "lensing/v7", "--format", "npz", "--output", "out"],
    ),
    "pipelines.protocol": ("pipelines", ["--dataset", "lensing/v11"]),
    "pipelines.card": ("pipelines", ["--dataset", "lensing/v7"]),
}
"""The extra that installs what a command needs, and the least that it must be told."""

PACKAGES = ("lensing_tfds", "estimators", "trainer", "tuning", "pipelines")
CORE = ("numpy", "scipy", "ducc0", "numba", "llvmlite")  # what setup.cfg installs without an extra


def sources():
    return [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]


# Each makes a packaged table again.
TABLES = {
    f"lensing_tfds.sky.{table}" for table in ("kappa_correlations", "spectra", "tensor_spectra")
}


def test_every_command_is_listed_here_and_reads_its_flags_as_all_do():
    found = set()
    for file in sources():
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        if re.search(r"\bArgumentParser\(", file.read_text("utf-8")):
            # Physics knows of no command line but its own, and the builder reads a flag of `tfds`.
            assert module in (
                "lensing_tfds.command_line",
                "lensing_tfds.lensing_tfds_dataset_builder",
                "lensing_tfds.sky.tables",
            )
        if 'if __name__ == "__main__"' in file.read_text("utf-8"):
            found.add(module.removesuffix(".__main__"))
    assert found == {*COMMANDS, *TABLES}


HELP = """
import runpy, sys
module = sys.argv[1]
sys.argv[1:] = ["--help"]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code
packages = {name.partition(".")[0] for name in sys.modules}
print("IMPORTED", *sorted(packages - set(sys.stdlib_module_names)))
"""


@pytest.mark.parametrize("module", COMMANDS)
def test_help_waits_for_no_library(module):
    ended = subprocess.run(
        [sys.executable, "-c", HELP, module], capture_output=True, text=True, check=True, cwd=ROOT
    )
    text, _, imported = ended.stdout.partition("IMPORTED ")
    assert text.startswith(f"usage: python -m {module} ") and "--verbose" in text
    # What the interpreter's start-up files import is not the command's.
    heavy = {"tensorflow", "tensorflow_datasets", "keras", "keras_tuner", "apache_beam", "numpy"}
    heavy |= {"scipy", "numba", "matplotlib", "pymaster", "etils"}
    assert not heavy & set(imported.split())
    assert ended.stderr == ""


@pytest.mark.parametrize("module", COMMANDS)
def test_help_says_defaults_in_brackets(module):
    command = [sys.executable, "-m", module, "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert "(default" not in text and "None]" not in text


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    """A folder with the libraries of `pip install lensing-tfds`, and no other."""
    folder = tmp_path_factory.mktemp("core")
    for name in CORE:
        files = importlib.metadata.files(name)
        for part in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            (folder / part).symlink_to(files[0].locate().parents[len(files[0].parts) - 1] / part)
    return folder


def with_core(core, *arguments):
    """Runs Python where nothing but the core's libraries can be imported."""
    return subprocess.run(
        [sys.executable, "-S", *arguments],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{core}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_core_simulates(core):
    code = "import lensing_tfds; print(lensing_tfds.simulate('v1', 'test', [0])['kappa'].shape)"
    ended = with_core(core, "-c", code)
    assert ended.stdout == "(1, 50, 50, 1)\n", ended.stderr


@pytest.mark.parametrize("module", COMMANDS)
def test_a_command_that_is_not_installed_says_in_one_line_what_to_install(core, module):
    extra, arguments = COMMANDS[module]
    ended = with_core(core, "-m", module, *arguments)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.endswith(
        f" is not installed, which this needs: pip install 'lensing-tfds[{extra}]'\n"
    )


@pytest.mark.parametrize("module", COMMANDS)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_help_is_printed_on_streams_of_any_encoding(module, encoding):
    ended = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
        cwd=ROOT,
    )
    assert ended.returncode == 0 and not ended.stderr
    assert ended.stdout.decode(encoding).startswith("usage: ")


INTERRUPTED = """
import os, signal, sys, threading
from trainer import __main__
threading.Timer(float(sys.argv[1]), os.kill, (os.getpid(), signal.SIGINT)).start()
__main__.main(["--dataset", "lensing/v9", "--data_dir", sys.argv[2], "--workdir", sys.argv[2]])
"""


@pytest.mark.parametrize("seconds", [0.05, 0.4, 1.5])
def test_ctrl_c_ends_a_command_in_one_line_while_libraries_are_imported_too(seconds, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(seconds), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=120,
    )
    assert ended.returncode == 130
    assert ended.stderr.endswith("\nstopped; what was finished is kept\n")
    assert "Traceback" not in ended.stderr
