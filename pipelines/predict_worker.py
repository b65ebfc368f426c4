"""A shard of a dataset -> the shard of a network's estimates: what a worker of `predict` does.

Like the dataset's own shards, one of estimates is there whole or not at all, with a seal beside it,
and is kept when it is found intact. The network is loaded once a worker process, and no example
leaves it: the files are read, estimated and written batch by batch.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from estimators.estimator import TRAIN_AGAIN, refuse_not_finite
from estimators.sealed_predictions import PredictionShard
from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage
from lensing_tfds.records.reading import evaluation_batches
from lensing_tfds.records.shard_plans import ShardSpec
from lensing_tfds.records.shard_seals import damage, write_seal
from lensing_tfds.records.shard_summary import ShardResult
from lensing_tfds.records.stored_dataset import StoredDataset, read_dataset
from trainer.runs.checkpoints import BEST
from trainer.runs.run import Run, load_run
from trainer.runs.run_config import CONFIG

NETWORK_FILES = (CONFIG, BEST)
"""Those of a run's folder that a worker needs."""

_BATCH_SIZE = 32

_loading = threading.Lock()  # runners may have several threads a process


@dataclasses.dataclass(frozen=True)
class Source:
    """The source of the estimates; picklable, with paths that every worker sees.

    Attributes:
      dataset: the folder of the built dataset.
      network: the folder that holds `NETWORK_FILES`.
      digest: of those files, see `digest_of`.
    """

    dataset: str
    network: str
    digest: str


def digest_of(network: str) -> str:
    """Returns a hash of a network: of its file, which holds the scaling too.

    Raises:
      LensingError: it cannot be read.
    """
    with storage.reading(f"{network}/{BEST}") as file:
        return hashlib.sha256(file.read()).hexdigest()


def predict_shard(
    source: Source, spec: ShardSpec, on_examples: Callable[[int], object] | None = None
) -> ShardResult:
    """Estimates κ for the examples of a shard and writes it, or finds it written and intact.

    Args:
      source: the dataset and the network.
      spec: the shard; see `PredictionShard`.
      on_examples: called with the number of examples just estimated.

    Returns:
      Its size and time.

    Raises:
      LensingError: the dataset is damaged, the network is gone, an estimate is not finite, or a
        file cannot be written.
    """
    began = time.monotonic()
    shard = PredictionShard(spec, source.digest)

    def result(reused: bool) -> ShardResult:
        num_bytes, seconds = storage.size(shard.path) or 0, time.monotonic() - began
        return ShardResult(spec.split, shard.path, spec.num_examples, num_bytes, seconds, reused)

    if _is_intact(shard):
        if on_examples is not None:
            on_examples(spec.num_examples)
        return result(reused=True)
    network = _network(source)
    crc, num_bytes, indices = 0, 0, []
    with storage.writing(shard.path) as file:

        def put(piece: bytes) -> None:
            nonlocal crc, num_bytes
            file.write(piece)
            crc = google_crc32c.extend(crc, piece)
            num_bytes += len(piece)

        put(_npy_header((spec.num_examples, spec.config.npix, spec.config.npix)))
        examples = f"{spec.split}[{spec.start}:{spec.stop}]"
        for batch in evaluation_batches(_dataset(source.dataset), examples, _BATCH_SIZE):
            kappa = network.predict(batch[network.task.inputs.name], _BATCH_SIZE)
            refuse_not_finite(kappa, batch["index"], "the network's estimate", TRAIN_AGAIN)
            put(kappa.astype("<f4").tobytes())
            indices.append(batch["index"])
            if on_examples is not None:
                on_examples(len(kappa))
        if not np.array_equal(np.concatenate(indices), np.arange(spec.start, spec.stop)):
            raise LensingError(f"{source.dataset}: {examples} gave other examples than those")
    with storage.writing(shard.index_path) as file:
        file.write(_npy(np.concatenate(indices)))
    write_seal(shard, crc, num_bytes)
    return result(reused=False)


def _is_intact(shard: PredictionShard) -> bool:
    if damage(shard) is not None or storage.size(shard.index_path) is None:
        return False
    with storage.reading(shard.index_path) as file:
        return file.read() == _npy(np.arange(shard.spec.start, shard.spec.stop))


def _npy(indices: NDArray[np.int64]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, indices.astype("<i8"))
    return buffer.getvalue()


def _npy_header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return buffer.getvalue()


def _network(source: Source) -> Run:
    with _loading:
        return _load(source)


@functools.lru_cache(maxsize=1)  # loading takes seconds, and a worker gets many shards
def _load(source: Source) -> Run:
    """Fetches the network, which may be in a bucket, and loads it."""
    if digest_of(source.network) != source.digest:
        raise LensingError(
            f"{source.network} has become another network: is another prediction writing there?"
        )
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORK_FILES:
            with (
                storage.reading(f"{source.network}/{name}") as there,
                storage.writing(f"{folder}/{name}") as here,
            ):
                here.write(there.read())
        run = load_run(Path(folder))
        _ = run.model  # read while the file is there
    return run


@functools.lru_cache(maxsize=1)
def _dataset(folder: str) -> StoredDataset:
    return read_dataset(folder)
