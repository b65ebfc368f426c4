"""The bytes of shards: what TensorFlow and protobuf would write, without either."""

import io
import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.example import example_pb2

from lensing_tfds import simulate
from lensing_tfds.records import example_records, tfrecord


def encoded(examples):
    return b"".join(map(bytes, tfrecord.stretches([examples])))


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


def test_blocks_of_any_sizes_and_indices_are_the_file_of_their_examples(tiny):
    """Memory is used again: where a block is smaller, or an index longer, nothing stays behind."""
    indices = [*range(121, 131), 5, 2**62, 16_383, 6, 7]
    examples = simulate(tiny, "train", indices)
    cuts = [0, 5, 6, 11, 11, 15]
    blocks = [
        {name: values[first:last] for name, values in examples.items()}
        for first, last in itertools.pairwise(cuts)
    ]
    content = b"".join(map(bytes, tfrecord.stretches(blocks)))
    records = list(tfrecord.records(io.BytesIO(content)))
    assert records == [by_protobuf(examples, row) for row in range(len(indices))]


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


names = st.text(max_size=20).filter(lambda name: name != "index")
map_shapes = st.dictionaries(names, st.tuples(*[st.integers(1, 9)] * 3), max_size=5)
int64s = st.integers(-(2**63), 2**63 - 1)


def maps_of(shapes, seed):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


@given(map_shapes, st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4), st.integers(0, 9))
def test_decoding_is_the_inverse_of_encoding(shapes, indices, seed):
    maps = {name: np.stack([m] * len(indices)) for name, m in maps_of(shapes, seed).items()}
    content = encoded(maps | {"index": np.array(indices)})
    for record, index in zip(tfrecord.records(io.BytesIO(content)), indices, strict=True):
        found, decoded = example_records.decode(record, shapes)
        assert found == index and decoded.keys() == maps.keys()
        for name, values in decoded.items():
            assert values.dtype == np.float32
            np.testing.assert_array_equal(values, maps[name][0])


@given(map_shapes, int64s, st.integers(0, 9), st.booleans())
def test_what_any_protobuf_wrote_is_decoded(shapes, index, seed, packed):
    """In the order of insertion, which is any; old writers did not pack numbers."""
    maps = maps_of(shapes, seed)
    record = example_pb2.Example()
    for name, values in maps.items():
        record.features.feature[name].bytes_list.value.append(values.tobytes())
    if packed:
        record.features.feature["index"].int64_list.value.append(index)
        content = record.SerializeToString()
    else:  # field 1 of an Int64List, in its old form
        varint = example_records.varint(index % 2**64)
        feature = b"\x1a" + bytes([1 + len(varint)]) + b"\x08" + varint
        entry = b"\x0a\x05index\x12" + bytes([len(feature)]) + feature
        features = record.features.SerializeToString() + b"\x0a" + bytes([len(entry)]) + entry
        content = example_records.field(1, len(features)) + features
        assert example_pb2.Example.FromString(content).features.feature["index"].int64_list.value
    found, decoded = example_records.decode(content, shapes)
    assert found == index
    for name, values in maps.items():
        np.testing.assert_array_equal(decoded[name], values)


SHAPES = {"kappa": (2, 2, 1), "lensed": (2, 2, 3)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda features: features.pop("kappa"), "without feature kappa"),
        (lambda features: features.pop("index"), "without feature index"),
        (lambda features: features["phi"], "feature 'phi' is not one of kappa, lensed, index"),
        (lambda features: features["kappa"].bytes_list.value.append(b""), "2 of value, not one"),
        (lambda features: features["kappa"].bytes_list.value.pop(), "0 of value, not one"),
        (lambda features: features["index"].int64_list.value.append(1), "not one number"),
        (lambda features: features["index"].int64_list.value.pop(), "not one number|0 of"),
        (lambda features: features["index"].bytes_list.value.append(b"1"), "int64_list"),
        (lambda features: features["kappa"].float_list.value.append(1.0), "bytes_list"),
    ],
)
def test_records_of_another_kind_are_refused(change, message):
    record = example_pb2.Example()
    for name, shape in SHAPES.items():
        content = np.zeros(shape, np.float32).tobytes()
        record.features.feature[name].bytes_list.value.append(content)
    record.features.feature["index"].int64_list.value.append(7)
    assert example_records.decode(record.SerializeToString(), SHAPES)[0] == 7
    change(record.features.feature)
    with pytest.raises(ValueError, match=message):
        example_records.decode(record.SerializeToString(), SHAPES)


def test_a_map_of_another_size_and_a_feature_twice_are_refused():
    maps = {name: np.zeros((1, *shape), np.float32) for name, shape in SHAPES.items()}
    (record,) = tfrecord.records(io.BytesIO(encoded(maps | {"index": np.array([7])})))
    with pytest.raises(ValueError, match=r"'kappa' has 16 bytes, not \(3, 3, 1\)"):
        example_records.decode(record, SHAPES | {"kappa": (3, 3, 1)})
    features = record[example_records._read_varint(memoryview(record), 1)[1] :]
    with pytest.raises(ValueError, match="'index' is there twice"):
        example_records.decode(example_records.field(1, 2 * len(features)) + 2 * features, SHAPES)


def test_whatever_the_bytes_are_decoding_gives_an_example_or_a_value_error():
    maps = {name: np.ones((1, *shape), np.float32) for name, shape in SHAPES.items()}
    (record,) = tfrecord.records(io.BytesIO(encoded(maps | {"index": np.array([2**40])})))
    refused = 0
    pieces = [record[:length] for length in range(len(record))]
    for place in range(len(record)):
        pieces += [
            record[:place] + bytes([record[place] ^ 1 << bit]) + record[place + 1 :]
            for bit in range(8)
        ]
    for piece in pieces:
        try:
            _, decoded = example_records.decode(piece, SHAPES)
        except ValueError:
            refused += 1
        else:
            assert {name: values.shape for name, values in decoded.items()} == SHAPES
    map_bits = 8 * 4 * 16  # which may be anything
    assert refused >= len(pieces) - map_bits - 8 * 9  # and the index's
