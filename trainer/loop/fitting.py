"""The remaining epochs of a run by Keras's `fit`; the first may go on at one of its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras

from trainer.data.batches import Batches, for_keras
from trainer.runs.checkpoints import Running
from trainer.runs.plan import Plan


def fit(
    model: keras.Model,
    training: Callable[[range], Batches],
    validation: Batches,
    plan: Plan,
    done: int,
    running: Running | None,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Trains the remaining epochs of a run, unless a callback ends it earlier.

    Args:
      model: compiled.
      training: gives the batches of a range of the run's steps.
      validation: the batches of the validation split.
      plan: of the whole run.
      done: epochs that are finished.
      running: the epoch that goes on; None where one begins.
      callbacks: told of all; one of them restores the running epoch's metrics.
    """
    # The averages of weights are not for the network in memory: they are kept, see `averages`.
    model.optimizer.finalize_variable_values = lambda weights: None
    each = plan.steps_per_epoch

    def fit_to(epochs: int, steps: int) -> None:
        batches = training(range((done + 1) * each - steps, epochs * each))
        with for_keras(batches, validation) as (trained_on, validated_on):
            model.fit(
                trained_on,
                validation_data=validated_on,
                initial_epoch=done,
                epochs=epochs,
                steps_per_epoch=steps,
                shuffle=False,  # the stream does
                verbose=0,
                callbacks=list(callbacks),
            )

    model.stop_training = False
    if running is not None:
        with for_keras(validation.take(1)) as (few,):
            model.evaluate(few, verbose=0)  # builds the metrics, to be restored
        if running.steps < each:
            fit_to(done + 1, each - running.steps)
        else:
            _validate(model, validation, done, callbacks)
        done += 1
    if done < plan.epochs and not model.stop_training:
        fit_to(plan.epochs, each)


def _validate(
    model: keras.Model,
    validation: Batches,
    epoch: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Ends an epoch that lacks nothing but its validation, as `keras.Model.fit` does."""
    model.reset_metrics()
    told = keras.callbacks.CallbackList(list(callbacks), model=model)
    told.on_train_begin()
    told.on_epoch_begin(epoch)
    logs = {name: float(value) for name, value in model.get_metrics_result().items()}
    with for_keras(validation) as (batches,):
        validated = model.evaluate(batches, verbose=0, return_dict=True, callbacks=told)
    logs |= {f"val_{name}": value for name, value in validated.items()}
    told.on_epoch_end(epoch, logs)
    told.on_train_end(logs)
