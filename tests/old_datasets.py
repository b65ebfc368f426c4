"""Datasets as they were built before their files other than shards had checksums."""

import json
import pathlib

from lensing_tfds.records import seals


def make_old(folder: pathlib.Path) -> dict[str, bytes]:
    """Removes the checksums of a dataset's files, and the shards' seals' of themselves.

    Returns:
      The new content of the shards' seals, by name.
    """
    (folder / seals.FILE).unlink()
    for path in folder.glob(f"*{seals.SHARD_SEAL}"):
        path.write_text(json.dumps(seals.unsealed(path.read_bytes())))
    return {path.name: path.read_bytes() for path in folder.glob(f"*{seals.SHARD_SEAL}")}
