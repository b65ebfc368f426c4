"""Networks in physical units: µK in, κ out, with the dataset that they were made for inside.

Standardisation is the first and the last layer of a model, and nowhere else. The first carries the
task: a saved model needs no other file to say what it may be used on.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from estimators.filtering.masked_maps import refuse_another_mask
from estimators.own_maps.units import OTHER_UNITS
from lensing_tfds.errors import LensingError
from lensing_tfds.task import Task
from trainer.networks.maps import refuse_misshapen, refuse_unreal
from trainer.networks.scaling import Scaling
from trainer.networks.settings import keras_settings

_DTYPE = "float32"  # whatever precision is between them

_WARNED = "_warned_of_scale"

_DISTINCT = 5.0  # times another channel's rms, from which on nothing takes one for the other


@keras.saving.register_keras_serializable(package="lensing_tfds")
class Standardise(keras.layers.Layer):
    """Takes the physical units off: (map - mean) / std, channel by channel.

    Args:
      task: what goes in and what comes out.
      mean: µK, one a channel.
      std: µK, one a channel.
      **options: Keras's own.

    Raises:
      LensingError: the task has another number of channels; or, when it is called, the maps have.
    """

    def __init__(self, task: Task, mean: Sequence[float], std: Sequence[float], **options: Any):
        super().__init__(**{"dtype": _DTYPE} | options)
        self.task = task
        self.mean, self.std = tuple(mean), tuple(std)
        channels = self.task.inputs.channels
        if not len(self.mean) == len(self.std) == len(channels):
            raise LensingError(
                f"maps of {', '.join(channels)} cannot be standardised by means {self.mean} and "
                f"standard deviations {self.std}: must be one a channel"
            )

    def call(self, maps: Any) -> Any:
        # One mean would be taken off any number of channels, and Keras convolve them in groups.
        if maps.shape[-1] != len(self.mean):
            channels = ", ".join(self.task.inputs.channels)
            raise LensingError(
                f"maps have shape {tuple(maps.shape)}: their last axis must be {channels}"
            )
        return (maps - _constant(self.mean)) / _constant(self.std)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = {"task": self.task.to_json(), "mean": list(self.mean), "std": list(self.std)}
        return super().get_config() | own

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Standardise:
        return cls(**config | {"task": Task.from_json(config["task"])})


@keras.saving.register_keras_serializable(package="lensing_tfds")
class Destandardise(keras.layers.Layer):
    """Puts the labels' physical units back: x · std + mean, channel by channel.

    An example whose input is not finite in all its pixels becomes NaN: inside a network, where ReLU
    takes the larger of NaN and 0, it would not stay one.

    Args:
      mean: dimensionless, one a channel.
      std: dimensionless, one a channel.
      **options: Keras's own.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], **options: Any):
        super().__init__(**{"dtype": _DTYPE} | options)
        self.mean, self.std = tuple(mean), tuple(std)

    def call(self, standardised: Any, maps: Any) -> Any:
        labels = standardised * _constant(self.std) + _constant(self.mean)
        finite = ops.all(ops.isfinite(maps), axis=(1, 2, 3), keepdims=True)
        return ops.where(finite, labels, ops.full_like(labels, float("nan")))

    def compute_output_shape(
        self, standardised_shape: tuple[int | None, ...], maps_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return standardised_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"mean": list(self.mean), "std": list(self.std)}


@keras.saving.register_keras_serializable(package="lensing_tfds")
class PhysicalModel(keras.Model):
    """A model from maps in µK, which Keras would change on their way in without a word.

    Keras takes the real part of complex maps and the data of masked arrays, and rounds maps to
    its `floatx`.
    """

    def __call__(self, maps: Any, *args: Any, **kwargs: Any) -> Any:
        self._refuse(maps)
        return super().__call__(maps, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Estimates κ as `keras.Model.predict` does, from the maps as they are.

        Raises:
          LensingError: the maps are complex or masked arrays, or have another shape than the
            network's; or as of `refuse_another_kind`, or `refuse_no_estimate`.

        Warns:
          UserWarning: as of `warn_of_scale`.
        """
        self._refuse(x)
        warn_of_scale(self, x)
        with keras_settings():
            kappa = super().predict(x, *args, **kwargs)
        refuse_no_estimate(self, x, kappa)
        return kappa

    def predict_on_batch(self, x: Any) -> Any:
        """Estimates κ of one batch; otherwise as `predict`."""
        self._refuse(x)
        kappa = super().predict_on_batch(x)
        refuse_no_estimate(self, x, kappa)
        return kappa

    def _refuse(self, maps: Any) -> None:
        refuse_unreal(maps)
        refuse_misshapen(maps, task_of(self))
        refuse_another_kind(self, maps)


def refuse_another_kind(model: keras.Model, maps: Any) -> None:
    """Refuses maps of another mask, or with their channels in another order.

    Of Q and U, which have one rms, no order can be told.

    Args:
      model: in physical units.
      maps: (n, npix, npix, channels), µK; what is no array of NumPy is not looked at.

    Raises:
      LensingError: a map is one; see `masked_maps.refuse_another_mask` too.
    """
    if not isinstance(maps, np.ndarray) or maps.size == 0:
        return
    task = task_of(model)
    refuse_another_mask(maps, task.lensing)
    channels, usual = task.inputs.channels, _usual_rms(model)
    rms = _rms(maps)
    off = np.abs(np.log(np.maximum(rms, np.finfo(float).tiny)[..., None] / usual))  # as another one
    for a, b in itertools.combinations(range(len(channels)), 2):
        swapped = (off[:, a, b] < off[:, a, a]) & (off[:, b, a] < off[:, b, b])
        if max(usual[a] / usual[b], usual[b] / usual[a]) > _DISTINCT and swapped.any():
            i = int(np.argmax(swapped))
            raise LensingError(
                f"map {i} of {len(maps)} has an rms of {rms[i, a]:.3g} µK in {channels[a]} and "
                f"{rms[i, b]:.3g} µK in {channels[b]}, and the training maps {usual[a]:.3g} and "
                f"{usual[b]:.3g} µK: the channels must be {', '.join(channels)}, in this order"
            )


def refuse_no_estimate(model: keras.Model, maps: Any, kappa: Any) -> None:
    """Refuses estimates that are not finite of maps that are, unless the network is broken itself.

    Args:
      model: in physical units.
      maps: (n, npix, npix, channels), µK; what is no array of NumPy is not looked at.
      kappa: (n, npix, npix, 1), estimated from them.

    Raises:
      LensingError: one is not finite, and the network's weights are.
    """
    if not isinstance(maps, np.ndarray):
        return
    of_maps, of_kappa = (
        np.isfinite(np.asarray(values)).all(axis=(1, 2, 3)) for values in (maps, kappa)
    )
    lost = of_maps & ~of_kappa
    if lost.any() and all(np.isfinite(weights).all() for weights in model.get_weights()):
        task = task_of(model)
        raise LensingError(
            f"no finite estimate comes of map {np.argmax(lost)} of {len(maps)}, which is finite: "
            f"it cannot be of {', '.join(task.inputs.channels)} as lensing/{task.lensing.name} has "
            "them, which the network was made for"
        )


def warn_of_scale(model: keras.Model, maps: Any) -> None:
    """Warns of maps that are not of the size that a model was made for.

    Args:
      model: in physical units.
      maps: (n, npix, npix, channels), µK; what is no array of NumPy is not looked at.

    Warns:
      UserWarning: once a model, where a map's rms is more than 30 times off the training maps', as
        in other units.
    """
    if getattr(model, _WARNED, False) or not isinstance(maps, np.ndarray) or maps.size == 0:
        return
    usual, rms = _usual_rms(model), _rms(maps)
    off = (rms * OTHER_UNITS < usual) | (rms > usual * OTHER_UNITS)
    if not off.any():
        return
    setattr(model, _WARNED, True)
    i, channel = np.argwhere(off)[0]
    warnings.warn(
        f"map {i} of {len(maps)} has an rms of {rms[i, channel]:.3g} in "
        f"{task_of(model).inputs.channels[channel]}, and the network was trained on maps of "
        f"{usual[channel]:.3g} µK: its estimates from such maps are not to be trusted (are "
        "they in µK?)",
        stacklevel=3,
    )


def _usual_rms(model: keras.Model) -> NDArray[np.float64]:
    """That of the training maps, µK, of each channel."""
    scaling = scaling_of(model)
    return np.asarray(np.hypot(scaling.input_mean, scaling.input_std))


def _rms(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    """Of each map, of each channel."""
    return np.asarray(np.sqrt(np.mean(maps.astype(np.float64) ** 2, axis=(1, 2))))


def in_physical_units(network: keras.Model, task: Task, scaling: Scaling) -> keras.Model:
    """Puts a scaling around a network.

    Args:
      network: from standardised maps to standardised labels.
      task: what goes in and what comes out.
      scaling: of the dataset's maps.

    Returns:
      A model from (batch, *task.input_shape) maps, µK, to (batch, *task.label_shape) labels,
      dimensionless, both float32.

    Raises:
      LensingError: the scaling is of another number of channels.
    """
    maps = keras.Input(task.input_shape, name=task.inputs.name, dtype=_DTYPE)
    standardised = Standardise(task, scaling.input_mean, scaling.input_std, name="standardise")(
        maps
    )
    restored = Destandardise(scaling.label_mean, scaling.label_std, name="destandardise")
    return PhysicalModel(maps, restored(network(standardised), maps), name=network.name)


def task_of(model: keras.Model) -> Task:
    """The task that a model in physical units was made for."""
    task: Task = _layer(model, Standardise).task
    return task


def scaling_of(model: keras.Model) -> Scaling:
    """The scaling around a model in physical units."""
    first, last = _layer(model, Standardise), _layer(model, Destandardise)
    return Scaling(first.mean, first.std, last.mean, last.std)


def _layer(model: keras.Model, kind: type) -> Any:
    layers = (layer for layer in model.layers if isinstance(layer, kind))
    layer = next(layers, None)
    if layer is None:
        raise LensingError(f"{model.name} is not in physical units: it has no {kind.__name__}")
    return layer


def _constant(values: tuple[float, ...]) -> Any:
    return ops.convert_to_tensor(np.asarray(values, np.float32))
