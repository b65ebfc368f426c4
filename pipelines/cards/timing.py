"""The speed at which a dataset is built, measured where its card is made.

Not when it was built: a time in a dataset's folder would make two builds of it differ.
"""

from __future__ import annotations

import tempfile

from lensing_tfds import cosmology
from lensing_tfds.records import storage
from lensing_tfds.records.shard_plans import ShardSpec
from lensing_tfds.records.shards import write_shard
from lensing_tfds.records.stored_dataset import StoredDataset

_PIXELS = 2**23  # of a map of each example: a shard as large as in a real dataset, 128 at 256²


def seconds_per_example(stored: StoredDataset) -> float:
    """Writes a shard of the dataset to a temporary folder, twice.

    Args:
      stored: the dataset, opened; only its config and its table of spectra are read.

    Returns:
      The second one's time, when all that is compiled is compiled, for one example and core.
    """
    config = stored.config
    count = max(1, min(_PIXELS // config.npix**2, config.num_examples["train"]))
    with tempfile.TemporaryDirectory() as folder:
        if config.cosmology is not None:
            source, copy = (f"{path}/{cosmology.FILE}" for path in (stored.data_path, folder))
            with storage.reading(source) as table, storage.writing(copy) as file:
                file.write(table.read())
        for name in ("first", "second"):
            result = write_shard(ShardSpec(config, "train", 0, count, f"{folder}/{name}"))
    return result.seconds / count
