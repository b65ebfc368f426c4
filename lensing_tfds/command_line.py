"""How the project's commands speak: one clear line for bad input, a traceback for a bug."""

import contextlib
import json
import shlex
import sys
from collections.abc import Iterator

from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.versions import VERSIONS


@contextlib.contextmanager
def one_line_errors(verbose: bool) -> Iterator[None]:
    """Turns a `LensingError` into the line `error: ...` and exit status 2.

    An interruption from the keyboard ends the command with status 130 and one line too.

    Args:
      verbose: let tracebacks through instead.
    """
    try:
        yield
    except (LensingError, KeyboardInterrupt) as error:
        if verbose:
            raise
        if isinstance(error, KeyboardInterrupt):
            print("\nstopped; what was finished is kept", file=sys.stderr)
            sys.exit(130)
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def build_command(config: LensingConfig | str, data_dir: str) -> str:
    """Returns the shell command that builds a dataset, from whichever folder it is called.

    Args:
      config: the dataset's own, or what is to stand for one that is not known.
      data_dir: the folder that holds the folder `lensing`.
    """
    if isinstance(config, LensingConfig):
        config = config.name if config.name in VERSIONS else json.dumps(config.to_json())
    return (
        f"tfds build lensing --imports lensing_tfds --config {shlex.quote(config)} "
        f"--data_dir {shlex.quote(data_dir)}"
    )
