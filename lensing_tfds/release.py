"""The release that writes a file, named in the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__version__ = "0.1.0"

RELEASE = "lensing_tfds_version"
"""The field of JSON files that names the release; those of earlier releases have none."""


def stamped(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns fields with this release's name before them, in place of any other's."""
    return {RELEASE: __version__, **unstamped(fields)}


def unstamped(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns fields without the name of a release: it decides nothing of what they mean."""
    return {name: value for name, value in fields.items() if name != RELEASE}
