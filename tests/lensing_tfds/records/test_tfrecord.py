"""The bytes of shards: what TensorFlow and protobuf would write, without either."""

import io

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.example import example_pb2

from lensing_tfds import simulate
from lensing_tfds.records import tfrecord


def encoded(examples):
    return b"".join(tfrecord.encode(examples))


INDICES = [0, 1, 127, 128, 16_383, 16_384, 2**62, 5]  # varints of 1, 2, 3 and 9 bytes


def by_protobuf(examples, row):
    record = example_pb2.Example()
    feature = record.features.feature
    for name in examples.keys() - {"index"}:
        feature[name].bytes_list.value.append(examples[name][row].tobytes())
    feature["index"].int64_list.value.append(int(examples["index"][row]))
    return record.SerializeToString(deterministic=True)


def test_records_are_protobufs_own_bytes(tiny):
    examples = simulate(tiny, "train", INDICES)
    records = list(tfrecord.records(io.BytesIO(encoded(examples))))
    assert records == [by_protobuf(examples, row) for row in range(len(INDICES))]


def test_files_are_tensorflows_own_bytes(tmp_path, tiny):
    examples = simulate(tiny, "train", INDICES)
    with tf.io.TFRecordWriter(str(tmp_path / "tensorflow")) as writer:
        for row in range(len(INDICES)):
            writer.write(by_protobuf(examples, row))
    assert encoded(examples) == (tmp_path / "tensorflow").read_bytes()


def test_a_stretch_of_a_block_can_be_a_view(tiny):
    examples = simulate(tiny, "train", range(8))
    views = {name: values[::2] for name, values in examples.items()}
    copies = {name: values.copy() for name, values in views.items()}
    assert encoded(views) == encoded(copies)


@pytest.mark.parametrize("place", [3, 9, 100, -2])
def test_a_flipped_bit_is_found(tiny, place):
    data = bytearray(encoded(simulate(tiny, "train", range(2))))
    data[place] ^= 0x10
    with pytest.raises(ValueError, match="damaged"):
        list(tfrecord.records(io.BytesIO(data)))


@pytest.mark.parametrize("lost", [1, 5, 3000])
def test_a_truncated_file_is_found(tiny, lost):
    data = encoded(simulate(tiny, "train", range(2)))
    with pytest.raises(ValueError, match="damaged"):
        list(tfrecord.records(io.BytesIO(data[:-lost])))


def test_maps_are_little_endian_float32(tiny):
    (record,) = tfrecord.records(io.BytesIO(encoded(simulate(tiny, "train", [3]))))
    parsed = example_pb2.Example.FromString(record).features.feature
    (kappa,) = parsed["kappa"].bytes_list.value
    expected = simulate(tiny, "train", [3])["kappa"].ravel()
    np.testing.assert_array_equal(np.frombuffer(kappa, "<f4"), expected)
