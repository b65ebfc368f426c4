import pytest

from trainer.data import waiting
from trainer.data.waiting import InputWait

BATCHES = 6
MAKING, USING = 1.0, 100.0  # seconds of a batch


class Clock:
    """Stands still unless somebody says that time has passed."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


def test_what_is_waited_is_what_passes_from_asking_to_receiving(monkeypatch):
    tf = pytest.importorskip("tensorflow")
    clock, wait = Clock(), InputWait()
    monkeypatch.setattr(waiting, "time", clock)

    def make(i):
        clock.now += MAKING
        return i

    numbers = tf.data.Dataset.range(BATCHES)
    batches = numbers.map(lambda i: tf.numpy_function(make, [i], tf.int64))
    drawn = []
    for batch in wait.timed(batches):
        drawn.append(int(batch))
        clock.now += USING
    assert drawn == list(range(BATCHES))
    assert wait.seconds == BATCHES * MAKING


def test_a_block_is_counted(monkeypatch):
    clock, wait = Clock(), InputWait()
    monkeypatch.setattr(waiting, "time", clock)
    for _ in range(2):
        with wait.counted():
            clock.now += MAKING
        clock.now += USING
    assert wait.seconds == 2 * MAKING
