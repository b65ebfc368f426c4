"""Flags, messages and endings of the project's commands: one clear line for bad input.

A command is a `main` of this form, so that `--help` and a mistyped flag are answered at once:

    parser = CommandParser("trainer", "Train a network ...")
    parser.add_shared("--dataset", otherwise="lensing/v8")
    arguments = parser.parse_args(argv)
    with command(arguments.verbose, extra="trainer"):
        from trainer.train import train  # what takes long to import
        ...
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import importlib.util
import io
import json
import os
import re
import shlex
import signal
import sys
import threading
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import expanded

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from lensing_tfds.configs import LensingConfig

_AGAIN_SECONDS = 0.05
_UNKNOWN_BACKEND = "Unable to import backend"  # Keras's words, as it is imported
_BACKENDS = ("jax", "torch")  # of Keras's, beside TensorFlow; each an extra of its name

_BUILD = "lensing_tfds.build"

_OURS = ("lensing_tfds", "estimators", "trainer", "tuning", "pipelines")


_SHARED: dict[str, dict[str, Any]] = {
    "--dataset": {"help": "lensing/<config>"},
    "--data_dir": {
        "type": expanded,
        "help": "where datasets are",
        "otherwise": "$TFDS_DATA_DIR, or ~/tensorflow_datasets",
    },
    "--workdir": {"type": expanded, "help": "the run's folder"},
    "--output": {"type": expanded, "help": "where to write to"},
    "--split": {"help": "test, validation or train"},
    "--max_examples": {"type": int, "help": "use only the first so many examples"},
    "--num_shards": {"type": int, "help": "files a split", "otherwise": "by their size"},
    "--file_format": {
        "help": "tfrecord, or array_record, which tfds.data_source reads",
        "otherwise": "that of a build that was begun, or tfrecord",
    },
    "--verbose": {"action": "store_true", "help": "show tracebacks of errors"},
}
"""Flags that several commands have, in the same words."""


class CommandParser(argparse.ArgumentParser):
    """The command line of `python -m <module>`; every command has `--verbose`.

    Help says in brackets what holds where a flag is not given.

    Args:
      module: the command's.
      description: the command in one or two sentences.
      epilog: what help ends with.
    """

    def __init__(self, module: str, description: str, epilog: str | None = None):
        let_any_stream_take_text()
        super().__init__(
            prog=f"python -m {module}",
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=_DefaultsInBrackets,
        )
        self.add_shared("--verbose")

    def add_shared(self, flag: str, otherwise: str | None = None, **changes: Any) -> None:
        """Adds a flag that several commands have.

        Args:
          flag: its name.
          otherwise: what holds where it is not given, if that is not a plain default.
          **changes: what `add_argument` takes, in place of what is usual.
        """
        settings = _SHARED[flag] | changes
        usual = settings.pop("otherwise", None)
        if otherwise is None and "default" not in settings and not settings.get("required"):
            otherwise = usual
        if otherwise is not None:
            settings["help"] += f" [{otherwise}]"
        self.add_argument(flag, **settings)


class _DefaultsInBrackets(argparse.HelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        is_said = text.endswith("]") or action.default in (None, False, argparse.SUPPRESS)
        return text if is_said else f"{text} [%(default)s]"


@contextlib.contextmanager
def command(verbose: bool, extra: str | None = None) -> Iterator[None]:
    """Runs a command's work, imports included, and ends with one line where it cannot be done.

    A `LensingError` becomes `error: ...` and exit status 2, and so does a library that is not
    installed; an interruption from the keyboard exit status 130, and SIGTERM, by which batch
    systems end a job, 143, or 0 where nothing was lost (`Suspended`).

    Args:
      verbose: let tracebacks through instead.
      extra: the package's extra that installs what the command needs; None if it needs none.
    """
    try:
        with _terminations_raised(), _dropped_interruptions_repeated():
            yield
    except (ValueError, KeyboardInterrupt, ModuleNotFoundError) as error:
        if not isinstance(error, Suspended) and (verbose or not _is_expected(error)):
            raise
        print(_line(error, extra), file=sys.stderr)
        sys.exit(_status(error))


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command just as Ctrl-C does."""


class Suspended(Terminated):
    """SIGTERM, heeded by work that goes on where it stopped when the command is run again."""


@contextlib.contextmanager
def _terminations_raised() -> Iterator[None]:
    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


@contextlib.contextmanager
def _dropped_interruptions_repeated() -> Iterator[None]:
    """Sends a signal again whose exception arose in a destructor, where Python drops it."""
    before = sys.unraisablehook

    def hook(dropped: sys.UnraisableHookArgs) -> None:
        if not isinstance(dropped.exc_value, KeyboardInterrupt):
            before(dropped)
            return
        number = signal.SIGTERM if isinstance(dropped.exc_value, Terminated) else signal.SIGINT
        # Later, from outside: here it would be dropped again.
        again = threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _is_expected(error: BaseException) -> bool:
    """Says whether an error is the user's to mend, and none of the project's own."""
    if isinstance(error, ModuleNotFoundError):
        return _is_of_others(error)
    is_bug = isinstance(error, ValueError) and not isinstance(error, LensingError)
    return not is_bug or str(error).startswith(_UNKNOWN_BACKEND)


def _is_of_others(error: ModuleNotFoundError) -> bool:
    return error.name is not None and error.name.partition(".")[0] not in _OURS


def _line(error: BaseException, extra: str | None) -> str:
    if isinstance(error, KeyboardInterrupt):
        return f"\n{error}" if error.args else "\nstopped; what was finished is kept"
    if str(error).startswith(_UNKNOWN_BACKEND):
        return f'error: {error}: set KERAS_BACKEND=tensorflow (or "backend" in Keras\'s keras.json)'
    if isinstance(error, ModuleNotFoundError) and error.name in _BACKENDS:
        return (
            f"error: {error.name} is not installed, which Keras is set to use: pip install "
            f"'lensing-tfds[{error.name}]', or set KERAS_BACKEND=tensorflow"
        )
    if isinstance(error, ModuleNotFoundError):
        package = "lensing-tfds" if extra is None else f"lensing-tfds[{extra}]"
        return f"error: {error.name} is not installed, which this needs: pip install '{package}'"
    return f"error: {error}"


def _status(error: BaseException) -> int:
    if isinstance(error, Suspended):
        return 0
    if isinstance(error, Terminated):
        return 128 + signal.SIGTERM
    return 130 if isinstance(error, KeyboardInterrupt) else 2


def speak_for_tfds() -> None:
    """Makes the command `tfds`, which is not ours, speak as the project's own commands do."""
    let_any_stream_take_text()

    def hook(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        if isinstance(error, json.JSONDecodeError):  # TFDS reads a config that is JSON itself
            error = LensingError(f"--config is not valid JSON: {error}")
        elif isinstance(error, ValueError) and _raised_in(traceback) == _TFDS_COMMAND:
            error = LensingError(str(error))  # of its arguments
        if isinstance(error, LensingError | KeyboardInterrupt):
            print(_line(error, None), file=sys.stderr)
        else:
            sys.__excepthook__(kind, error, traceback)

    sys.excepthook = hook


_TFDS_COMMAND = "tensorflow_datasets.scripts.cli.build"


def _raised_in(traceback: TracebackType) -> str | None:
    """Returns the name of the module that an exception came from."""
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    name = traceback.tb_frame.f_globals.get("__name__")
    return name if isinstance(name, str) else None


def let_any_stream_take_text() -> None:
    """Spells out, on standard output and error, what their encoding lacks: `+/-`, `kappa`.

    A letter is no reason for a command to die, which it would where the encoding is ASCII.
    """
    codecs.register_error("lensing_tfds.spelled", _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="lensing_tfds.spelled")


_SPELLED = {"±": "+/-", "−": "-", "–": "-", "—": "-", "′": "'", "″": '"', "°": " deg", "×": "x"}
_SPELLED |= {"µ": "u", "≤": "<=", "≥": ">=", "≈": "~", "√": "sqrt", "→": "->", "∇": "grad "}
_SPELLED |= {"\N{FRACTION SLASH}": "/"}


def _spelled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_in_ascii, text)), error.end


def _in_ascii(letter: str) -> str:
    if letter in _SPELLED:
        return _SPELLED[letter]
    if greek := re.fullmatch(r"GREEK SMALL LETTER (\w+)", unicodedata.name(letter, "")):
        return greek[1].lower()
    parts = unicodedata.normalize("NFKD", letter)
    plain = "".join(part if part.isascii() else _SPELLED.get(part, "") for part in parts)
    raised = unicodedata.decomposition(letter).startswith("<super>")
    return f"^{plain}" if raised else plain or "?"


def printable(path: object) -> str:
    r"""Returns a path as standard output can show it: what its encoding lacks as `\u03ba`.

    Spelled out like other text it would be the name of a file that is not there.
    """
    encoding = sys.stdout.encoding or "utf-8"
    return str(path).encode(encoding, "backslashreplace").decode(encoding)


def build_command(config: LensingConfig | str, data_dir: str) -> str:
    """Returns the shell command that builds a dataset, from whichever folder it is called.

    It is that of TFDS where this is installed.

    Args:
      config: the dataset's own, or what is to stand for one that is not known.
      data_dir: the folder that holds the folder `lensing`.
    """
    from lensing_tfds.versions import VERSIONS  # NumPy, for which `--help` does not wait

    if not isinstance(config, str):
        config = config.name if config.name in VERSIONS else json.dumps(config.to_json())
    is_tfds_here = importlib.util.find_spec("tensorflow_datasets") is not None
    builder = "tfds build lensing --imports lensing_tfds" if is_tfds_here else f"python -m {_BUILD}"
    return f"{builder} --config {shlex.quote(config)} --data_dir {shlex.quote(data_dir)}"
