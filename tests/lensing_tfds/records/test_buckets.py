"""A data_dir in a bucket, on a real S3 server: moto's, over HTTP on this machine."""

import dataclasses
import sys

import fsspec
import numpy as np
import pytest
import s3fs
import tensorflow_datasets as tfds

import lensing_tfds
from lensing_tfds import LensingError
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.records import shards, storage
from lensing_tfds.records.building import build as build_without_tfds
from lensing_tfds.records.datasets import open_built
from lensing_tfds.records.reading import evaluation_batches
from lensing_tfds.records.shard_plans import ShardSpec
from pipelines import verify

BUCKET = "s3://maps"


@pytest.fixture
def bucket(s3):
    s3.mkdir("maps")
    yield s3
    s3.rm("maps", recursive=True)


def build(config, data_dir=BUCKET):
    builder = Builder(config=config, data_dir=data_dir)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=3))
    return builder


def test_a_file_is_there_whole_or_not_at_all(bucket):
    path = f"{BUCKET}/folder/file"
    assert storage.size(path) is None
    with storage.writing(path) as file:
        file.write(b"first")
    assert storage.size(path) == 5
    with pytest.raises(ZeroDivisionError), storage.writing(path) as file:
        file.write(b"x" * 10_000_000)  # so much that a part is sent before the end
        raise ZeroDivisionError
    with storage.reading(path) as file:
        assert file.read() == b"first"
    with storage.writing(path) as file:
        file.write(b"second" * 4_000_000)
    assert storage.size(path) == 24_000_000
    storage.remove(path)
    assert storage.size(path) is None


def test_a_dataset_is_built_opened_and_streamed(bucket, tiny):
    build(tiny)
    names = {name.rpartition("/")[2] for name in bucket.find("maps")}
    assert "lensing-train.tfrecord-00002-of-00003.crc32c" in names
    assert not any("unfinished" in name for name in names)
    stored = open_built("tiny", BUCKET)
    assert stored.config.to_json() == tiny.to_json()
    for split, count in tiny.num_examples.items():
        expected = lensing_tfds.simulate(tiny, split, range(count))
        batches = list(evaluation_batches(stored, split, batch_size=7))
        for name in expected:
            examples = np.concatenate([batch[name] for batch in batches])
            np.testing.assert_array_equal(examples, expected[name])


def test_shards_of_array_record_are_written_verified_and_read_at_random(bucket, tiny):
    for _ in range(2):
        summary = build_without_tfds(tiny, BUCKET, 3, "array_record")
    assert (summary.total.shards, summary.total.reused) == (9, 9)
    source = lensing_tfds.StoredSource("tiny", data_dir=BUCKET)
    expected = lensing_tfds.simulate(tiny, "train", [30, 2])
    for row, example in enumerate(source.__getitems__([30, 2])):
        for name, values in expected.items():
            np.testing.assert_array_equal(example[name], values[row])


def test_a_build_goes_on_where_it_was(bucket, tiny):
    build(tiny)
    folder = f"maps/lensing/tiny/{lensing_tfds.configs.DATASET_VERSION}"
    before = {name: bucket.cat(name) for name in bucket.find(folder)}
    bucket.rm(f"{folder}/dataset_info.json")
    bucket.rm(f"{folder}/lensing-train.tfrecord-00001-of-00003")
    bucket.pipe(f"{folder}/lensing-test.tfrecord-00000-of-00003", b"damaged")
    assert build(tiny).summary.total.reused == 7
    assert {name: bucket.cat(name) for name in bucket.find(folder)} == before


def test_damage_is_found_and_named(bucket, tiny, capsys):
    build(tiny)
    (shard,) = bucket.glob("maps/lensing/tiny/*/*train.tfrecord-00000-of-00003")
    data = bytearray(bucket.cat(shard))
    data[500] ^= 1
    bucket.pipe(shard, bytes(data))
    with pytest.raises(SystemExit):
        verify.main(["--dataset", "lensing/tiny", "--data_dir", BUCKET])
    assert f"shard s3://{shard} does not have the bytes" in capsys.readouterr().out
    with pytest.raises(LensingError, match=rf"shard s3://{shard} .* --data_dir s3://maps$"):
        list(evaluation_batches(open_built("tiny", BUCKET), "train", batch_size=7))


def test_another_config_of_the_name_is_refused(bucket, tiny):
    build(tiny)
    with pytest.raises(LensingError, match="seed: 0 -> 7"):
        build(dataclasses.replace(tiny, seed=7))


def test_a_bucket_that_is_not_there_is_named_and_not_made(bucket, tiny):
    with pytest.raises(LensingError, match="cannot write s3://mpas/lensing/tiny/"):
        build(tiny, "s3://mpas")
    assert not bucket.exists("mpas")


def test_a_server_that_does_not_answer_is_named(bucket, tiny, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    spec = ShardSpec(tiny, "train", 0, 4, f"{BUCKET}/shard")
    with pytest.raises(LensingError, match="s3://maps/shard"):
        shards.write_shard(spec)


def test_a_protocol_without_its_library_is_named(monkeypatch):
    def no_library(protocol):
        raise ImportError("Install adlfs")

    monkeypatch.setattr(fsspec, "filesystem", no_library)
    with pytest.raises(LensingError, match=r"no way to reach az:// .*lensing-tfds\[buckets\]"):
        storage.size("az://bucket/file")


def test_without_what_reaches_buckets_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(LensingError, match=r"no way to reach s3:// .*lensing-tfds\[buckets\]"):
        storage.size("s3://bucket/file")
