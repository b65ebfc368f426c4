"""Whatever gives epochs by the protocol is augmented and trained on as stored examples are."""

import contextlib
import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pytest

from lensing_tfds.symmetries import ORDER, transform
from lensing_tfds.task import Task
from tests.trainer.tasks import statistics, task
from trainer.data import stream
from trainer.data.batches import for_keras
from trainer.data.source import Maps, passes_of, steps_per_pass
from trainer.loop.compiling import compile_network
from trainer.networks import families

TQU = task(16, "TQU")
EXAMPLES = 10


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Skies that are drawn anew in every epoch."""

    task: Task = TQU
    examples_per_epoch: int = EXAMPLES
    is_augmented: bool = False
    description: str = "skies"

    def running(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def first(self, number: int) -> Iterator[Maps]:
        raise NotImplementedError

    def batches(self, steps: range, seed: int, batch_size: int) -> Iterator[Maps]:
        shapes = {"lensed": self.task.input_shape, "kappa": self.task.label_shape}
        for epoch, numbers in passes_of(steps, math.ceil(EXAMPLES / batch_size)):
            draw = np.random.default_rng([seed, epoch])
            maps = {
                name: draw.standard_normal((EXAMPLES, *shape), np.float32)
                for name, shape in shapes.items()
            }
            for number in numbers:
                batch = slice(number * batch_size, (number + 1) * batch_size)
                yield {name: x[batch] for name, x in maps.items()}


@pytest.fixture(name="settings")
def settings_fixture(changed):
    return changed(batch_size=4, epochs=3, model="1x2-3")


def read(settings, initial_epoch: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    steps = range(3 * initial_epoch, 3 * settings.epochs)
    return list(stream.training_batches(Drawn(), settings, steps))


def test_every_batch_of_every_epoch_comes_once_and_a_resumed_stream_goes_on(settings):
    batches = read(settings)
    assert [len(lensed) for lensed, _ in batches] == [4, 4, 2] * 3
    for batch, other in zip(batches[3:], read(settings, initial_epoch=1), strict=True):
        np.testing.assert_array_equal(batch[0], other[0])
        np.testing.assert_array_equal(batch[1], other[1])
    assert not np.array_equal(batches[0][0], batches[3][0])


def test_a_stream_begins_at_any_step(settings):
    whole = read(settings)
    for first in range(9):
        part = stream.training_batches(Drawn(), settings, range(first, 9))
        for batch, other in zip(part, whole[first:], strict=True):
            np.testing.assert_array_equal(batch[0], other[0])


@dataclasses.dataclass(frozen=True)
class Wrong(Drawn):
    """Gives other batches than it is asked for."""

    more: int = 0

    def batches(self, steps: range, seed: int, batch_size: int) -> Iterator[Maps]:
        return super().batches(range(steps.start, steps.stop + self.more), seed, batch_size)


@pytest.mark.parametrize(("more", "message"), [(-1, "2 of 3 batches"), (1, "more than 3 steps")])
def test_an_epoch_of_other_batches_is_an_error_not_an_epoch(settings, more, message):
    """Keras only warns; the run would have a row of zeros, and go on for ever."""
    batches = stream.training_batches(Wrong(more=more), settings, range(3))
    with pytest.raises(RuntimeError, match=message):
        list(batches)


def test_keras_is_told_what_ended_a_stream(settings):
    batches = stream.training_batches(Wrong(more=-1), settings, range(3))
    model = families.build(settings.model, TQU, statistics(TQU), 0)
    compile_network(model, settings, 3)
    with pytest.raises(RuntimeError, match="2 of 3 batches"), for_keras(batches) as (pairs,):
        model.fit(pairs, epochs=1, steps_per_epoch=3, shuffle=False, verbose=0)


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
    with for_keras(batches) as (pairs,):
        model.fit(pairs, epochs=3, steps_per_epoch=steps, shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) == 3 * steps == 9
