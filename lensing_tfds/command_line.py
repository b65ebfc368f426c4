"""How the project's commands speak: one clear line for bad input, a traceback for a bug."""

import contextlib
import sys
from collections.abc import Iterator

from lensing_tfds.configs import LensingError


@contextlib.contextmanager
def one_line_errors(verbose: bool) -> Iterator[None]:
    """Turns a `LensingError` into the line `error: ...` and exit status 2.

    Args:
      verbose: let the traceback through instead.
    """
    try:
        yield
    except LensingError as error:
        if verbose:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
