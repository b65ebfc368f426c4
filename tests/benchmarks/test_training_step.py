"""A bare step does what a step of the trainer does, and a turn counts what it times."""

import numpy as np
import pytest

from benchmarks import training_step
from benchmarks.bare_step import bare_step
from tests.trainer.tasks import statistics, task
from trainer.loop.compiling import compile_network
from trainer.networks import families
from trainer.settings.config import resolve


def test_a_bare_step_is_a_step_of_the_trainer():
    of, networks = task(16), []
    random = np.random.default_rng(0)
    x = random.normal(size=(4, *of.input_shape)).astype(np.float32)
    y = random.normal(size=(4, *of.label_shape)).astype(np.float32)
    for _ in range(2):
        networks.append(families.build("1x4-3", of, statistics(of), 0))
        compile_network(networks[-1], resolve("lensing/any", "", of.lensing, model="1x4-3"), 9)
    theirs, bare = networks
    loss = theirs.train_on_batch(x, y)[0]
    assert bare_step(bare, x, y)() == pytest.approx(float(loss), rel=1e-5)
    for one, other in zip(theirs.get_weights(), bare.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_turn_times_the_steps_after_its_warm_up():
    now = [0.0]
    turn, steps = training_step.Turn(lambda: now[0]), 0
    while True:
        now[0] += 100.0 if steps < training_step.WARM_UP else 2.0
        steps += 1
        if turn.is_over():
            break
    assert (steps, turn.rate) == (training_step.WARM_UP + 5, 0.5)
