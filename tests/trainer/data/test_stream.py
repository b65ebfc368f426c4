import keras
import numpy as np
import pytest

from lensing_tfds.records import reading
from tests.trainer.tasks import statistics, task
from trainer.data import stream
from trainer.data.batches import for_keras
from trainer.data.source import steps_per_pass
from trainer.data.stored import StoredExamples
from trainer.loop.compiling import compile_network
from trainer.networks import families


def read(stored, config, initial_epoch: int = 0) -> list[np.ndarray]:
    """The training stream's epochs, one array of (lensed, kappa) pairs each."""
    source = StoredExamples(stored, config.max_examples)
    steps = steps_per_pass(source, config.batch_size)
    wanted = range(initial_epoch * steps, config.epochs * steps)
    batches = [
        np.concatenate(pair, axis=-1) for pair in stream.training_batches(source, config, wanted)
    ]
    assert len(batches) == steps * (config.epochs - initial_epoch)
    return [np.concatenate(batches[i : i + steps]) for i in range(0, len(batches), steps)]


def by_first_pixel(maps: np.ndarray) -> np.ndarray:
    return maps[np.argsort(maps[:, 0, 0, 0])]


def load_with_tfds(stored, split: str) -> dict[str, np.ndarray]:
    """What TFDS's own reader and decoder give, in order."""
    tfds = pytest.importorskip("tensorflow_datasets")
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    opened = tfds.builder_from_directory(stored.data_path)
    examples = opened.as_dataset(split=split, batch_size=10**6, read_config=in_order)
    return next(examples.as_numpy_iterator())


@pytest.mark.parametrize("split", ["train", "validation", "test", "train[13:40]"])
def test_evaluation_batches_are_what_tfds_decodes_bit_for_bit_by_increasing_index(stored, split):
    expected = load_with_tfds(stored, split)
    batches = list(reading.evaluation_batches(stored, split, batch_size=4))
    assert {len(b["index"]) for b in batches[:-1]} == {4}
    for name, values in expected.items():
        column = np.concatenate([batch[name] for batch in batches])
        assert column.dtype == values.dtype
        np.testing.assert_array_equal(column, values)
    assert np.all(np.diff(expected["index"]) == 1)


def pairs(maps: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([maps["lensed"], maps["kappa"]], axis=-1)


@pytest.mark.parametrize("name", ["stored", "polarized"])
def test_an_epoch_is_the_training_split_in_physical_units_every_example_once(
    name, changed, request
):
    stored = request.getfixturevalue(name)
    (epoch,) = read(stored, changed(augment=False, epochs=1))
    expected = pairs(load_with_tfds(stored, "train"))
    np.testing.assert_array_equal(by_first_pixel(epoch), by_first_pixel(expected))
    assert not np.array_equal(epoch, expected)  # shuffled


def test_validation_is_in_order_in_physical_units_and_never_augmented(stored):
    batches = stream.validation_batches(stored, 4)
    assert len(batches) == len(list(batches)) == 3
    lensed, kappa = (np.concatenate(maps) for maps in zip(*batches, strict=True))
    expected = load_with_tfds(stored, "validation")
    np.testing.assert_array_equal(lensed, expected["lensed"])
    np.testing.assert_array_equal(kappa, expected["kappa"])


def test_the_same_seed_streams_the_same_whatever_the_global_seeds(stored, changed):
    keras.utils.set_random_seed(1)
    first = read(stored, changed(seed=5))
    keras.utils.set_random_seed(2)
    np.testing.assert_array_equal(first, read(stored, changed(seed=5)))
    assert not np.array_equal(first, read(stored, changed(seed=6)))


def test_epochs_differ_in_order_and_in_augmentation(stored, changed):
    first, second = read(stored, changed(augment=False))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(by_first_pixel(first), by_first_pixel(second))

    turned = read(stored, changed(augment=True))
    first, second = (np.sort(epoch[:, 0, 0, 0]) for epoch in turned)  # a corner, hence the element
    assert not np.array_equal(first, second)


def test_a_resumed_stream_goes_on_where_it_would_have_been(stored, changed):
    config = changed(epochs=3)
    np.testing.assert_array_equal(read(stored, config)[1:], read(stored, config, initial_epoch=1))


def test_augmentation_turns_lensed_map_and_kappa_together(stored, config, changed):
    (plain,) = read(stored, changed(epochs=1, augment=False))
    (turned,) = read(stored, changed(epochs=1, augment=True))
    elements = []
    for old, new in zip(plain, turned, strict=True):
        images = [np.rot90(m, k) for m in (old, old[:, ::-1]) for k in range(4)]
        matches = [element for element, image in enumerate(images) if np.allclose(image, new)]
        assert len(matches) == 1
        elements += matches
    assert set(elements) == set(range(8))
    batch = config.batch_size
    assert elements[:batch] != elements[batch : 2 * batch]  # every batch draws anew


@pytest.mark.parametrize("n", [1, 7, 20, 50])
def test_max_examples_uses_the_first_examples_by_index(stored, changed, n):
    config = changed(max_examples=n, augment=False, epochs=1)
    (epoch,) = read(stored, config)
    expected = pairs(load_with_tfds(stored, f"train[:{n}]"))
    np.testing.assert_array_equal(by_first_pixel(epoch), by_first_pixel(expected))


def test_windows_smaller_than_the_split_still_stream_every_example_once(
    stored, changed, monkeypatch
):
    monkeypatch.setattr("trainer.data.stored._WINDOW_BYTES", 7 * 3 * 4 * 16**2)
    monkeypatch.setattr("trainer.data.stored._BLOCK", 3)
    config = changed(augment=False)
    first, second = read(stored, config)
    expected = pairs(load_with_tfds(stored, "train"))
    for epoch in (first, second):
        np.testing.assert_array_equal(by_first_pixel(epoch), by_first_pixel(expected))
    assert not np.array_equal(first, second)


def test_every_feature_of_a_survey_is_read_bit_for_bit(polarized):
    expected = load_with_tfds(polarized, "test")
    batches = list(reading.evaluation_batches(polarized, "test", batch_size=4))
    assert expected.keys() == {"lensed", "unlensed", "kappa", "unlensed_E", "index"}
    for name, values in expected.items():
        np.testing.assert_array_equal(np.concatenate([b[name] for b in batches]), values)


def test_augmentation_changes_the_signs_of_q_and_u_with_the_axes(polarized, changed):
    plain, turned = (
        read(polarized, changed(epochs=1, augment=augment))[0] for augment in (False, True)
    )
    seen = set()
    for old, new in zip(plain, turned, strict=True):
        images = [np.rot90(m, k) for m in (old, old[:, ::-1]) for k in range(4)]
        # T and κ tell which element it was: of rot90's, the odd ones exchange the axes, and the
        # later four mirror. A quarter turn changes both signs, a mirrored axis that of U.
        (element,) = (
            i for i, image in enumerate(images) if np.allclose(image[..., [0, 3]], new[..., [0, 3]])
        )
        quarter, mirrored = element % 2, element >= 4
        signs = [1, (-1) ** quarter, (-1) ** (quarter + mirrored), 1]
        np.testing.assert_allclose(new, images[element] * signs, atol=1e-5)
        seen.add(element)
    assert seen == set(range(8))


def test_keras_fits_on_the_stream(stored, config):
    of = task(16)
    model = families.build("1x2-3", of, statistics(of), 0)
    compile_network(model, config, 4)
    source = StoredExamples(stored)
    steps = steps_per_pass(source, config.batch_size)
    batches = stream.training_batches(source, config, range(steps))
    with for_keras(batches) as (pairs,):
        model.fit(pairs, steps_per_epoch=steps, shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) == steps == 4


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compares with tf.data")
def test_every_backend_gets_the_same_batches(stored, config, monkeypatch):
    batches = stream.training_batches(StoredExamples(stored), config, range(6))
    with for_keras(batches, batches.take(2)) as streams:
        of_tensorflow = [list(pairs.as_numpy_iterator()) for pairs in streams]
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with for_keras(batches, batches.take(2)) as streams:
        of_others = [[pairs[i] for i in range(len(pairs))] for pairs in streams]
        again = streams[0][0]  # a second epoch
    assert [len(pairs) for pairs in of_tensorflow] == [6, 2]
    for pair, other in zip(sum(of_tensorflow, []), sum(of_others, []), strict=True):
        np.testing.assert_array_equal(pair[0], other[0])
        np.testing.assert_array_equal(pair[1], other[1])
    np.testing.assert_array_equal(again[0], of_tensorflow[0][0][0])
