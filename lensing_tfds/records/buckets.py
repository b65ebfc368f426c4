"""Objects in buckets: `s3://...`, `gs://...`, reached through fsspec."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from lensing_tfds.errors import LensingError

BLOCK_BYTES = 2**23
"""Bytes of an object that are sent or fetched at a time."""

_BUCKETS = ("s3", "gs", "az")


@contextlib.contextmanager
def writing_object(path: str) -> Iterator[BinaryIO]:
    """Yields an object to write to, which appears when the block ends without an error.

    It needs no temporary name, and no renaming.
    """
    file = file_system(path).open(path, "wb", block_size=BLOCK_BYTES)
    try:
        yield file
    except BaseException:
        with contextlib.suppress(Exception):
            file.discard()
        file.closed = True  # closing it, as its destructor does, would send what there is
        raise
    file.close()


def file_system(path: str) -> Any:
    """Returns the fsspec file system of a path; epath's own: each sees what the other did.

    Raises:
      LensingError: the kind of bucket is not known, or needs a package.
    """
    protocol = path.partition("://")[0]
    if protocol not in _BUCKETS:
        known = ", ".join(f"{known}://" for known in _BUCKETS)
        raise LensingError(f"{path}: {protocol}:// is no bucket that is known ({known})")
    try:
        import fsspec

        bucket = fsspec.filesystem(protocol)
    except (ImportError, ValueError) as error:
        raise LensingError(
            f"{path}: no way to reach {protocol}:// ({error}); pip install 'lensing-tfds[buckets]'"
        ) from error
    bucket.invalidate_cache()  # of listings: other machines write there too
    return bucket
