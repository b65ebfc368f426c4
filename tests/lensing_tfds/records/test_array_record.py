"""ArrayRecord files are those of ArrayRecord's own writer, and are read whatever is damaged."""

import io
import os
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lensing_tfds import LensingConfig, LensingError, simulate
from lensing_tfds.records import array_record, example_records, shard_seals, storage
from lensing_tfds.records.highway_hash import hashes
from lensing_tfds.records.shard_plans import SplitPlan
from lensing_tfds.records.shards import read_shard, write_shard
from lensing_tfds.records.split_reader import SplitReader

# Indices of one byte and of two in both of two shards, several examples in a block of 64 KiB; and
# two examples that are larger than a block.
SMALL = LensingConfig(
    "small", npix=8, lx=5.0, num_examples={"train": 260, "validation": 2, "test": 3}
)
LARGE = LensingConfig(
    "large", npix=96, lx=5.0, num_examples={"train": 2, "validation": 1, "test": 1}
)
REMEDY = "mend it"


def written(folder: pathlib.Path, config: LensingConfig, split: str, shards: int = 1) -> SplitPlan:
    plan = SplitPlan(config, split, shards, f"{folder}/lensing-{split}.array_record")
    for spec in plan.shards():
        write_shard(spec)
    return plan


def by_the_library(path: str, records: list[bytes]) -> bytes:
    module = pytest.importorskip("array_record.python.array_record_module")
    writer = module.ArrayRecordWriter(path, "group_size:1,uncompressed,max_parallelism:1")
    for record in records:
        writer.write(record)
    writer.close()
    return pathlib.Path(path).read_bytes()


def by_us(monkeypatch, records: list[bytes]) -> bytes:
    monkeypatch.setattr(array_record, "serialized", lambda examples: iter(records))
    return b"".join(array_record.stretches([{}]))


def test_files_are_those_of_the_library_byte_for_byte(tmp_path, monkeypatch):
    random = np.random.default_rng(1)
    cases = [
        [random.bytes(int(size)) for size in random.integers(1, top, number)]
        for top, number in ((50, 3000), (3000, 40), (70_000, 9), (200_000, 3))
    ]
    # The examples end, and so their places begin, everywhere about the end of a block, where a
    # header of a chunk has room or has not.
    cases += [[bytes(2**16 - 64 - 40 - 8 + step)] for step in range(-260, 30, 3)]
    for records in cases:
        content = by_us(monkeypatch, records)
        assert content == by_the_library(f"{tmp_path}/file", records)
        assert list(array_record.records(io.BytesIO(content))) == records


@pytest.mark.parametrize("size", [0, 1, 3, 4, 15, 16, 19, 31, 32, 33, 100])
def test_a_flip_of_any_bit_changes_the_hash(size):
    """That the hashes are right is said by the library, which writes and checks the same."""
    rows = np.zeros((8 * size + 1, size), np.uint8)
    for bit in range(8 * size):
        rows[bit, bit // 8] = 1 << bit % 8
    assert len(set(hashes(rows).tolist())) == 8 * size + 1


@pytest.fixture(scope="module")
def train(tmp_path_factory) -> SplitPlan:
    return written(tmp_path_factory.mktemp("train"), SMALL, "train", 2)


@pytest.fixture(scope="module")
def expected():
    return simulate(SMALL, "train", range(260))


def test_the_library_reads_the_examples_of_tfrecord(train, tmp_path):
    """The records are the same bytes, so that all that decodes one decodes the other."""
    module = pytest.importorskip("array_record.python.array_record_module")
    for spec in train.shards():
        other = SplitPlan(SMALL, "train", 2, f"{tmp_path}/lensing-train.tfrecord")
        twin = other.shard(spec.start > 0)
        write_shard(twin)
        with storage.reading(twin.path) as file:
            assert module.ArrayRecordReader(spec.path).read_all() == list(
                twin.container.records(file)
            )


@given(st.lists(st.tuples(st.integers(0, 260), st.integers(0, 260)), max_size=5))
def test_any_ranges_are_read_in_their_order_bit_for_bit(train, expected, pairs):
    ranges = [range(min(pair), max(pair)) for pair in pairs]
    wanted = [index for part in ranges for index in part]
    examples = SplitReader(train, range(260), REMEDY).read(ranges)
    for name, values in expected.items():
        assert examples[name].dtype == values.dtype
        np.testing.assert_array_equal(examples[name], values[wanted])


def test_examples_larger_than_a_block_are_read(tmp_path):
    plan = written(tmp_path, LARGE, "train")
    expected = simulate(LARGE, "train", [1, 0])
    found = SplitReader(plan, range(2), REMEDY).read([range(1, 2), range(1)])
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_a_shard_is_as_large_as_is_known_before_and_sealed(train):
    for spec in train.shards():
        assert os.path.getsize(spec.path) == spec.usual_bytes
        assert shard_seals.damage(spec) is None
        assert write_shard(spec).reused


def test_a_flip_of_any_byte_of_an_example_is_found(tmp_path):
    plan = written(tmp_path, SMALL, "validation")
    shard = pathlib.Path(plan.shard(0).path)
    reader = SplitReader(plan, range(2), REMEDY)
    content = shard.read_bytes()
    begin, size = array_record.region({"lensed": 256, "unlensed": 256, "kappa": 256}, 0, range(2))
    assert 1500 < size < 2000
    with open(shard, "r+b", buffering=0) as file:
        for place in range(begin, begin + size):
            os.pwrite(file.fileno(), bytes([content[place] ^ 1 << place % 8]), place)
            with pytest.raises(LensingError, match=f"{shard} is truncated or corrupted .*mend it"):
                reader.read([range(2)])
            os.pwrite(file.fileno(), content[place : place + 1], place)
    assert len(reader.read([range(2)])["index"]) == 2


def test_a_flip_anywhere_in_the_file_is_found_when_it_is_read_whole_or_verified(tmp_path):
    spec = written(tmp_path, SMALL, "validation").shard(0)
    shard = pathlib.Path(spec.path)
    content = shard.read_bytes()
    places = [*range(24), *range(40, 2100, 7), 2**16 - 1, *range(2**16, 2**16 + 150, 7), -1]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1
        shard.write_bytes(damaged)
        assert "its checksum differs" in str(shard_seals.damage(spec))
        with pytest.raises(LensingError, match=f"{shard} is truncated or corrupted .*mend it"):
            list(read_shard(spec, REMEDY))


def test_a_cut_is_found_before_and_after_the_shard_is_opened(tmp_path):
    plan = written(tmp_path, SMALL, "validation")
    shard = plan.shard(0).path
    reader = SplitReader(plan, range(2), REMEDY)
    for length in [*range(2**17 - 1, 2000, -997), *range(1700, -1, -13)]:
        os.truncate(shard, length)
        with pytest.raises(LensingError, match=f"shard {shard} (has|is truncated) .*mend it"):
            SplitReader(plan, range(2), REMEDY)
        if length < 1700:  # within the second example
            with pytest.raises(LensingError, match=f"shard {shard} (has|is truncated) .*mend it"):
                reader.read([range(2)])


def test_what_stands_behind_the_end_is_found(tmp_path):
    spec = written(tmp_path, SMALL, "validation").shard(0)
    with open(spec.path, "ab") as file:
        file.write(b"\0")
    with pytest.raises(LensingError, match="truncated or corrupted .something behind its end"):
        list(read_shard(spec, REMEDY))


@pytest.mark.parametrize(
    ("options", "said"),
    [("group_size:1", "a record that is compressed"), ("group_size:2,uncompressed", "in groups")],
)
def test_other_options_of_the_library_are_refused(tmp_path, options, said):
    module = pytest.importorskip("array_record.python.array_record_module")
    plan = written(tmp_path, SMALL, "validation")
    spec = plan.shard(0)
    records = module.ArrayRecordReader(spec.path).read_all()
    writer = module.ArrayRecordWriter(spec.path, options)
    for record in records:
        writer.write(record)
    writer.close()
    with pytest.raises(LensingError, match=f"is truncated or corrupted .*{said}.*mend it"):
        SplitReader(plan, range(2), REMEDY).read([range(2)])


def test_the_same_examples_of_other_software_are_refused_by_name(tmp_path):
    """TFDS leaves the order of the features open, so that their places are not known."""
    module = pytest.importorskip("array_record.python.array_record_module")
    plan = written(tmp_path, SMALL, "validation")
    spec = plan.shard(0)
    records = module.ArrayRecordReader(spec.path).read_all()
    writer = module.ArrayRecordWriter(spec.path, "group_size:1,uncompressed,max_parallelism:1")
    for record in records:
        features = example_records._only_message(memoryview(record), 1, "features")
        entries = [bytes(x) for x in example_records._messages(features, 1, "feature")]
        turned = b"".join(example_records.field(1, len(x)) + x for x in reversed(entries))
        writer.write(example_records.field(1, len(turned)) + turned)
    writer.close()
    assert [index for index, _ in read_shard(spec, REMEDY)] == [0, 1]
    with pytest.raises(LensingError, match=f"{spec.path} is intact, but written by other .*mend"):
        SplitReader(plan, range(2), REMEDY).read([range(2)])
