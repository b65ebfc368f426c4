"""Commands report bad input in one line, and bugs with their traceback."""

import shlex

import pytest

from lensing_tfds.command_line import build_command, one_line_errors
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.versions import VERSIONS, get_config


def test_bad_input_is_one_line_and_exit_status_2(capsys):
    with pytest.raises(SystemExit) as exit, one_line_errors(verbose=False):
        raise LensingError("npix is 0")
    assert exit.value.code == 2
    assert capsys.readouterr().err == "error: npix is 0\n"


def test_an_interruption_is_one_line_and_exit_status_130(capsys):
    with pytest.raises(SystemExit) as exit, one_line_errors(verbose=False):
        raise KeyboardInterrupt
    assert exit.value.code == 130
    assert capsys.readouterr().err == "\nstopped; what was finished is kept\n"


def test_the_build_command_is_one_that_a_shell_and_the_config_read_back():
    config = LensingConfig("wide", npix=16, lx=5.0, kappa_lmax=2000)
    words = shlex.split(build_command(config, "/a folder"))
    assert words[:4] == ["tfds", "build", "lensing", "--imports"]
    assert get_config(words[words.index("--config") + 1]) == config
    assert words[-1] == "/a folder"
    assert "--config v7 " in build_command(VERSIONS["v7"], "/data")


def test_verbose_and_bugs_keep_their_traceback():
    with pytest.raises(LensingError), one_line_errors(verbose=True):
        raise LensingError("npix is 0")
    with pytest.raises(ZeroDivisionError), one_line_errors(verbose=False):
        raise ZeroDivisionError
