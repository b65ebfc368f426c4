"""Commands report bad input in one line, and bugs with their traceback."""

import pytest

from lensing_tfds.command_line import one_line_errors
from lensing_tfds.configs import LensingError


def test_bad_input_is_one_line_and_exit_status_2(capsys):
    with pytest.raises(SystemExit) as exit, one_line_errors(verbose=False):
        raise LensingError("npix is 0")
    assert exit.value.code == 2
    assert capsys.readouterr().err == "error: npix is 0\n"


def test_verbose_and_bugs_keep_their_traceback():
    with pytest.raises(LensingError), one_line_errors(verbose=True):
        raise LensingError("npix is 0")
    with pytest.raises(ZeroDivisionError), one_line_errors(verbose=False):
        raise ZeroDivisionError
