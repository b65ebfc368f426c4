"""JSON that a person may have written or edited, read without guessing.

Python's own reader takes the last of two equal keys, and numbers that JSON does not have.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage

BYTE_ORDER_MARK = "\ufeff"
"""The mark that some editors begin a file with."""


def parse(text: str | bytes, source: str) -> dict[str, Any]:
    """Reads a JSON object.

    Args:
      text: the JSON; bytes are UTF-8.
      source: where it is from, as an error's first words: a path, "--config".

    Raises:
      LensingError: not JSON, a key that an object has twice, NaN or an infinite number, or
        something else than an object. The message is one line and begins with the source.
    """
    try:
        text = text if isinstance(text, str) else text.decode()
    except UnicodeDecodeError as error:
        raise LensingError(f"{source}: not valid JSON (not UTF-8: {error.reason})") from error
    text = text.removeprefix(BYTE_ORDER_MARK)
    try:
        value = json.loads(
            text, object_pairs_hook=_no_key_twice, parse_constant=_refused, parse_float=_finite
        )
    except RecursionError as error:
        raise LensingError(f"{source}: not valid JSON (nested too deeply)") from error
    except json.JSONDecodeError as error:
        raise LensingError(f"{source}: not valid JSON ({error}){_shown(text)}") from error
    except ValueError as error:  # our own below, and Python's of an integer of 4,301 digits
        raise LensingError(f"{source}: {error}") from error
    if not isinstance(value, dict):
        raise LensingError(f"{source}: not a JSON object: {{...}} is expected{_shown(text)}")
    return value


def read(path: str) -> dict[str, Any]:
    """Reads a file, on a disk or in a bucket, that holds a JSON object.

    Raises:
      LensingError: it cannot be read, or `parse` refuses it; the message begins with the path.
    """
    with storage.reading(path) as file:
        content = file.read()
    return parse(content, path)


def digest(values: Any) -> str:
    """Returns the SHA-256 of JSON values, in whatever order their keys are."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _no_key_twice(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"the key {key!r} is there twice: {values[key]!r} and {value!r}")
        values[key] = value
    return values


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not a number in JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits} is too large")
    return value


def _shown(text: str) -> str:
    """The text itself, if it is of a length that somebody typed."""
    return f": {text}" if 0 < len(text) <= 200 and "\n" not in text else ""
