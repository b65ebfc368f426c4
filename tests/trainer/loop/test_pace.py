"""Measuring a network's pace."""

import time

import keras
import numpy as np
import pytest

from tests.trainer.tasks import statistics, task
from trainer.data import stream
from trainer.data.batches import for_keras
from trainer.data.stored import StoredExamples
from trainer.loop.compiling import compile_network
from trainer.loop.pace import measure_pace
from trainer.networks import families

SECONDS = 0.05


class Slow(keras.callbacks.Callback):
    """Makes each step longer, and the first one much."""

    traced = False

    def on_train_begin(self, logs=None):
        time.sleep(0 if self.traced else 0.5)
        self.traced = True

    def on_train_batch_begin(self, batch, logs=None):
        time.sleep(0.02)

    def on_test_batch_begin(self, batch, logs=None):
        time.sleep(0.05)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_measuring_leaves_no_trace_and_finds_the_time_of_steps(stored, changed, optimizer):
    config, of = changed(optimizer=optimizer), task(16)
    source = StoredExamples(stored)
    batches = stream.training_batches(source, config, range(50))
    validation = stream.validation_batches(stored, 4)
    weights = []
    for measured in (True, False):
        model = families.build("1x4-3", of, statistics(of), 3)
        compile_network(model, config, 8)
        if measured:
            before = model.get_weights()
            pace = measure_pace(model, batches, validation, SECONDS, [Slow()])
            assert int(model.optimizer.iterations) == 0
            for x, y in zip(before, model.get_weights(), strict=True):
                np.testing.assert_array_equal(x, y)
            assert pace.step > 0.02
            assert pace.starting > 0.5
            assert 0.05 * len(validation) < pace.validation
        with for_keras(batches) as (pairs,):
            fitted = model.fit(pairs, epochs=1, steps_per_epoch=8, shuffle=False, verbose=0)
        assert len(fitted.history["loss"]) == 1 and int(model.optimizer.iterations) == 8
        weights.append([*model.get_weights(), *fitted.history["loss"]])
    for x, y in zip(*weights, strict=True):
        np.testing.assert_array_equal(x, y)
