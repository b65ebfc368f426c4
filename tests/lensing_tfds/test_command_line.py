"""Commands report bad input in one line, and bugs with their traceback."""

import io
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

from lensing_tfds.command_line import CommandParser, Suspended, build_command, command
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.versions import VERSIONS, get_config


def test_bad_input_is_one_line_and_exit_status_2(capsys):
    with pytest.raises(SystemExit) as exit, command(verbose=False):
        raise LensingError("npix is 0")
    assert exit.value.code == 2
    assert capsys.readouterr().err == "error: npix is 0\n"


def test_an_interruption_is_one_line_and_exit_status_130(capsys):
    with pytest.raises(SystemExit) as exit, command(verbose=False):
        raise KeyboardInterrupt
    assert exit.value.code == 130
    assert capsys.readouterr().err == "\nstopped; what was finished is kept\n"


class Interrupted:
    """An object in whose destructor a signal comes."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_within_a_destructor_ends_the_command_all_the_same(number, status, capsys):
    before = signal.signal(signal.SIGINT, signal.default_int_handler), sys.unraisablehook
    try:
        with pytest.raises(SystemExit) as exit, command(verbose=False):
            Interrupted(number)
            time.sleep(5)
            pytest.fail("the command went on")
    finally:
        signal.signal(signal.SIGINT, before[0])
    assert exit.value.code == status
    assert capsys.readouterr().err == "\nstopped; what was finished is kept\n"
    assert sys.unraisablehook is before[1]


@pytest.mark.parametrize("backend", ["nonsense", "jax"])
def test_a_keras_backend_that_is_not_there_is_one_line_with_a_remedy(backend, tmp_path):
    script = (
        "import sys\n"
        "sys.modules['jax'] = None\n"
        "from lensing_tfds.command_line import command\n"
        "with command(verbose=False, extra='trainer'):\n    import keras\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "KERAS_BACKEND": backend, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    line = ended.stderr.strip().splitlines()[-1]
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert line.startswith("error: ") and backend in line
    assert "set KERAS_BACKEND=tensorflow" in line
    assert ("pip install 'lensing-tfds[jax]'" in line) == (backend == "jax")


def test_the_build_command_is_one_that_a_shell_and_the_config_read_back():
    config = LensingConfig("wide", npix=16, lx=5.0, kappa_lmax=2000)
    words = shlex.split(build_command(config, "/a folder"))
    assert words[:4] == ["tfds", "build", "lensing", "--imports"]
    assert get_config(words[words.index("--config") + 1]) == config
    assert words[-1] == "/a folder"
    assert "--config v7 " in build_command(VERSIONS["v7"], "/data")


def test_the_build_command_is_one_that_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert build_command("v7", "/data").startswith("python -m lensing_tfds.build --config v7 ")


def test_verbose_and_bugs_keep_their_traceback():
    with pytest.raises(LensingError), command(verbose=True):
        raise LensingError("npix is 0")
    with pytest.raises(ZeroDivisionError), command(verbose=False):
        raise ZeroDivisionError


@pytest.mark.parametrize("verbose", [False, True])
def test_sigterm_is_no_failure_of_work_that_goes_on_and_its_line_is_shown(capsys, verbose):
    with pytest.raises(SystemExit) as exit, command(verbose=verbose):
        raise Suspended("stopped by SIGTERM; the same command goes on")
    assert exit.value.code == 0
    assert capsys.readouterr().err == "\nstopped by SIGTERM; the same command goes on\n"


def test_sigterm_ends_a_command_in_an_orderly_way_with_status_143(capsys):
    before = signal.getsignal(signal.SIGTERM)
    cleaned_up = False
    with pytest.raises(SystemExit) as exit, command(verbose=False):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            cleaned_up = True
    assert exit.value.code == 143 and cleaned_up
    assert capsys.readouterr().err == "\nstopped; what was finished is kept\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_missing_library_is_one_line_that_names_the_extra(capsys):
    with pytest.raises(SystemExit) as exit, command(verbose=False, extra="tuning"):
        import no_such_library.part  # noqa: F401
    assert exit.value.code == 2
    assert capsys.readouterr().err == (
        "error: no_such_library is not installed, which this needs: "
        "pip install 'lensing-tfds[tuning]'\n"
    )


def test_a_missing_module_of_our_own_is_a_bug():
    with pytest.raises(ModuleNotFoundError), command(verbose=False, extra="tuning"):
        import lensing_tfds.no_such_module  # noqa: F401


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_stream_that_lacks_a_letter_has_it_spelled(monkeypatch, encoding):
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding=encoding))
    CommandParser("trainer", "Train a network.")
    print("κ = −½∇²φ, χ² 0.1 ± 0.2 µK′, café, \udcff 猫")
    sys.stdout.flush()
    text = buffer.getvalue().decode(encoding)
    assert text.startswith("kappa = -")
    assert "phi, chi" in text and text.endswith("? ?\n")
    if encoding == "ascii":
        assert text == "kappa = -1/2grad ^2phi, chi^2 0.1 +/- 0.2 uK', cafe, ? ?\n"


def test_flags_that_name_files_expand_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    parser = CommandParser("trainer", "Train a network.")
    for flag in ("--data_dir", "--workdir", "--output"):
        parser.add_shared(flag)
    arguments = parser.parse_args(["--data_dir=~/ds", "--workdir=~/run", "--output=s3://b/~/c"])
    assert arguments.data_dir == "/home/somebody/ds" and arguments.workdir == "/home/somebody/run"
    assert arguments.output == "s3://b/~/c"


def test_help_says_in_brackets_what_holds_otherwise():
    parser = CommandParser("trainer", "Train a network.")
    parser.add_shared("--dataset", default="lensing/v8")
    parser.add_shared("--workdir", otherwise="the newest")
    parser.add_argument("--epochs", type=int, default=3, help="passes")
    parser.add_argument("--rows", type=int, help="print so many")
    text = parser.format_help()
    for line in ("lensing/<config> [lensing/v8]", "the run's folder [the newest]", "passes [3]"):
        assert f"{line}\n" in text
    assert "print so many\n" in text
