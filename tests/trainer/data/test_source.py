"""Whatever gives epochs by the protocol is augmented and trained on as stored examples are."""

import contextlib
import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf

from lensing_tfds.symmetries import ORDER, transform
from lensing_tfds.task import Task
from tests.trainer.tasks import statistics, task
from trainer.data import stream
from trainer.data.source import epoch_keys, steps_of_passes, steps_per_pass
from trainer.networks import families
from trainer.train import compile_network

TQU = task(16, "TQU")
EXAMPLES = 10


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Skies that are drawn anew in every pass, by the pass's keys."""

    task: Task = TQU
    examples_per_epoch: int = EXAMPLES
    is_augmented: bool = False
    description: str = "skies"

    def running(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def first(self, number: int) -> Iterator[dict[str, np.ndarray]]:
        raise NotImplementedError

    def batches(self, steps: range, seed: int, batch_size: int) -> tf.data.Dataset:
        def of_pass(number: tf.Tensor) -> tf.data.Dataset:
            first, second, _ = epoch_keys(seed, number)
            maps = (
                tf.random.stateless_normal((EXAMPLES, *self.task.input_shape), first),
                tf.random.stateless_normal((EXAMPLES, *self.task.label_shape), second),
            )
            return tf.data.Dataset.from_tensor_slices(maps).batch(batch_size)

        return steps_of_passes(steps, steps_per_pass(self, batch_size), of_pass)

    def maps(self, *batch: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip((self.task.inputs.name, self.task.labels.name), batch, strict=True))


@pytest.fixture(name="settings")
def settings_fixture(changed):
    return changed(batch_size=4, epochs=3, model="1x2-3")


def read(settings, initial_epoch: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    steps = range(3 * initial_epoch, 3 * settings.epochs)
    return list(stream.training_batches(Drawn(), settings, steps).as_numpy_iterator())


def test_every_batch_of_every_epoch_comes_once_and_a_resumed_stream_goes_on(settings):
    batches = read(settings)
    assert [len(lensed) for lensed, _ in batches] == [4, 4, 2] * 3
    for batch, other in zip(batches[3:], read(settings, initial_epoch=1), strict=True):
        np.testing.assert_array_equal(batch[0], other[0])
        np.testing.assert_array_equal(batch[1], other[1])
    assert not np.array_equal(batches[0][0], batches[3][0])


def test_its_examples_are_turned_pair_by_pair(settings):
    plain, turned = read(dataclasses.replace(settings, augment=False)), read(settings)
    seen = set()
    for (lensed, kappa), (new_lensed, new_kappa) in zip(plain, turned, strict=True):
        for i in range(len(lensed)):
            images = (
                transform(np.stack([maps[i]] * ORDER), channels, np.arange(ORDER))
                for maps, channels in ((lensed, TQU.inputs.channels), (kappa, ("kappa",)))
            )
            pairs = zip(*images, strict=True)
            (element,) = (
                n
                for n, (a, b) in enumerate(pairs)
                if np.array_equal(a, new_lensed[i]) and np.array_equal(b, new_kappa[i])
            )
            seen.add(element)
    assert len(seen) > 4


def test_keras_fits_on_it(settings):
    model = families.build(settings.model, TQU, statistics(TQU), 0)
    compile_network(model, settings, 9)
    steps = steps_per_pass(Drawn(), settings.batch_size)
    batches = stream.training_batches(Drawn(), settings, range(3 * steps))
    model.fit(batches, epochs=3, steps_per_epoch=steps, shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) == 3 * steps == 9
