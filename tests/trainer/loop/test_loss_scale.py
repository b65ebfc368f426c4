"""Steps that float16 leaves out are counted, and a run that takes none any more ends."""

import functools

import keras
import numpy as np
import pytest

from trainer.loop.callbacks import DivergedError
from trainer.loop.loss_scale import LeftOutSteps
from trainer.train import train


def fitted(infinite: int, steps_per_epoch: int, epochs: int) -> list[str]:
    """Lines of a run whose gradients are infinite in so many steps, and finite from there on."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(inputs))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.0))
    model.compile(optimizer, "mse", jit_compile=False)
    x = np.ones((steps_per_epoch * epochs, 1), np.float32)
    x[:infinite] = np.inf
    lines: list[str] = []
    batches = ((x[[i]], np.ones((1, 1), np.float32)) for i in range(len(x)))
    shape = {"steps_per_epoch": steps_per_epoch, "epochs": epochs, "verbose": 0}
    try:
        model.fit(batches, callbacks=[LeftOutSteps(lines.append)], **shape)
    except DivergedError as error:
        lines.append(str(error))
    return lines


def left_out(epoch: int, steps: int, of: int) -> str:
    return (
        f"epoch {epoch}: {steps} of {of} steps were left out, whose gradients float16 cannot hold"
    )


@pytest.mark.parametrize(
    ("infinite", "steps", "epochs", "lines"),
    [
        (0, 5, 2, []),
        (3, 5, 2, [left_out(1, 3, 5)]),
        (39, 13, 4, [left_out(1, 13, 13), left_out(2, 13, 13), left_out(3, 13, 13)]),
        (39, 50, 1, [left_out(1, 39, 50)]),
    ],
)
def test_an_epoch_says_how_many_of_its_steps_were_left_out(infinite, steps, epochs, lines):
    assert fitted(infinite, steps, epochs) == lines


@pytest.mark.parametrize(("steps", "epochs", "epoch"), [(100, 1, 1), (15, 4, 3)])
def test_a_run_that_takes_no_step_any_more_ends(steps, epochs, epoch):
    *_, error = fitted(steps * epochs, steps, epochs)
    assert error.startswith(f"no step of the last {40 if epochs == 1 else 45} in epoch")
    assert f"in epoch {epoch} was taken" in error and "--precision bfloat16" in error


def test_a_run_of_float16_says_so(changed, tmp_path, monkeypatch):
    too_large = functools.partial(keras.optimizers.LossScaleOptimizer, initial_scale=2.0**60)
    monkeypatch.setattr(keras.optimizers, "LossScaleOptimizer", too_large)
    lines: list[str] = []
    train(changed(precision="float16", epochs=1), tmp_path, lines.append)
    assert [line for line in lines if "left out" in line] == [left_out(1, 4, 4)]
