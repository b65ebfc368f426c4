"""Training on several devices: what is said, and why it is not done."""

import os
import subprocess
import sys

import pytest

from trainer.machine import devices

LOSSES = """
import contextlib
import keras, numpy as np, tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
both = tf.distribute.MirroredStrategy(
    ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
)
x = np.array([[1.0], [2.0], [3.0], [40.0]], np.float32)
for clipnorm in (None, 0.1):
    losses = []
    for scope in (contextlib.nullcontext(), both.scope()):
        with scope:
            start = keras.initializers.Constant(0.3)
            layers = [keras.layers.Dense(n, kernel_initializer=start) for n in (2, 1)]
            model = keras.Sequential([keras.Input((1,)), *layers])
            optimizer = keras.optimizers.SGD(1e-3, global_clipnorm=clipnorm)
            model.compile(optimizer, "mse")
        data = tf.data.Dataset.from_tensors((x, -x)).repeat(3)
        losses.append(model.fit(data, epochs=2, verbose=0).history["loss"][-1])
    print(abs(losses[0] / losses[1] - 1))
"""


@pytest.mark.parametrize("gpus", [0, 1])
def test_of_one_device_nothing_is_said(gpus, monkeypatch):
    pytest.importorskip("tensorflow")
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: ["GPU"] * gpus)
    assert devices.unused() == ""


def test_of_more_gpus_than_train_it_is_said(monkeypatch):
    pytest.importorskip("tensorflow")
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: ["GPU"] * 4)
    assert devices.unused().startswith("this host has 4 GPUs, of which one trains")


def test_keras_clips_a_batchs_shares_on_each_device_on_its_own():
    """The day that this fails there can be data-parallel training."""
    pytest.importorskip("tensorflow")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOSSES],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    unclipped, clipped = map(float, done.stdout.split()[-2:])
    assert unclipped < 1e-5 < 1e-4 < clipped
