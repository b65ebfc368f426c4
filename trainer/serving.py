"""A trained network for other programs, from maps in µK to κ, proven to give the same estimates.

    saved_model   TensorFlow's: `served = tf.saved_model.load(FOLDER)`, then `served.serve(maps)`
    stablehlo     FOLDER/model.stablehlo, JAX's: `jax.export.deserialize(its bytes).call(maps)`;
                  any compiler of StableHLO takes the module in it
    keras         FOLDER/model.keras: `keras.saving.load_model(it)(maps)`, on any backend, without
                  this project

All take (n, *task.input_shape) float32 for any n. FOLDER/network.json says which network it is, of
which dataset, and which release wrote it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from lensing_tfds.errors import LensingError
from lensing_tfds.records import unfinished
from lensing_tfds.release import stamped
from lensing_tfds.simulation import simulate
from trainer.formats import BACKENDS
from trainer.keras_only import keras_only
from trainer.networks.by_example import whole_batches
from trainer.networks.filter_layers import WienerFilter
from trainer.networks.settings import keras_settings
from trainer.runs.run import Run

_STABLEHLO = "model.stablehlo"
_KERAS = "model.keras"
_ABOUT = "network.json"

_EXAMPLES = 3
_TOLERANCE = 1e-5
"""Of the estimates' rms: the rms of what another order of sums may change in single precision."""
_TOLERANCE_HALF = 1e-2
"""The same, where layers compute in half precision."""
_TOLERANCE_SOLVED = 1e-4
"""The same, where masked maps are filtered: rounding of hundreds of steps, 3e-5 of v15's kind."""
_A_STEP = 0.85
"""Of a filter's tolerance: a step of conjugate gradients more."""
_SOLVED = 1e-2
"""Of a filter's tolerance: it makes the most steps that it may, or is solved to rounding."""

Maps = NDArray[np.float32]


def export(run: Run, folder: Path, form: str = "saved_model", overwrite: bool = False) -> None:
    """Writes the best epoch's network, whole or not at all, once it gave the run's estimates.

    Args:
      run: the run.
      folder: where to.
      form: of `BACKENDS`.
      overwrite: whether a folder that is there is replaced.

    Raises:
      LensingError: no epoch is finished yet; Keras's backend is not the one for the form; the
        folder is there, or cannot be written; or what was written estimates something else.
    """
    if BACKENDS[form] not in (None, backend := keras.backend.backend()):
        raise LensingError(
            f"{form} is written by {BACKENDS[form]}, and Keras's backend is {backend}: set "
            f"KERAS_BACKEND={BACKENDS[form]}"
        )
    if os.path.lexists(folder) and not overwrite:
        raise LensingError(f"{folder} is there already: name another --output, or move it away")
    model = run.model
    maps = _examples(run)
    write, read = _WRITTEN_AND_READ[form]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished.remove_abandoned(str(folder.parent))  # of exports that were killed
        with unfinished.folder_beside(str(folder)) as hidden:
            written = Path(hidden) / "written"
            half = run.config.precision != "float32"
            tolerance = _TOLERANCE_HALF if half else _TOLERANCE
            if filters := list(_filters_of(model)):
                # Rounding moves where they stop, and with it the estimates by a step's worth; what
                # was written is proven by the same network with filters that all go on to the end.
                solved = Path(hidden) / "solved"
                with keras_settings(), _stricter(filters, _SOLVED):
                    write(model, solved)
                    expected = _estimate(model, maps)
                tolerance = max(tolerance, _TOLERANCE_SOLVED)
                _refuse_difference(run, form, expected, maps, read(solved), tolerance)
                with keras_settings():
                    expected = _estimate(model, maps)
                    with _stricter(filters, _A_STEP):
                        step = _estimate(model, maps)
                tolerance = max(tolerance, _relative_rms(step, expected))
            with keras_settings():
                write(model, written)
                expected = np.asarray(model.predict_on_batch(maps))
            _refuse_difference(run, form, expected, maps, read(written), tolerance)
            about = json.dumps(stamped({"network": run.name, "task": run.task.to_json()}), indent=2)
            (written / _ABOUT).write_text(f"{about}\n", encoding="utf-8")
            if os.path.lexists(folder):
                os.rename(folder, Path(hidden) / "replaced")
            os.rename(written, folder)
    except OSError as error:
        raise LensingError(f"cannot write {folder}: {error.strerror or error}") from error


def _examples(run: Run) -> Maps:
    """A few test examples, the last of which is not finite in one pixel."""
    maps: Maps = simulate(run.lensing, "test", range(_EXAMPLES))["lensed"].copy()
    maps[-1, 0, 0, 0] = np.nan
    return maps


@contextlib.contextmanager
def _stricter(filters: Sequence[WienerFilter], by: float) -> Iterator[None]:
    """Multiplies tolerances; a network that is compiled already keeps its own."""
    tolerances = [one.tolerance for one in filters]
    try:
        for one, tolerance in zip(filters, tolerances, strict=True):
            one.tolerance = by * tolerance
        yield
    finally:
        for one, tolerance in zip(filters, tolerances, strict=True):
            one.tolerance = tolerance


def _estimate(model: keras.Model, maps: Maps) -> Maps:
    with whole_batches():
        return np.asarray(model(maps, training=False))


def _filters_of(layer: keras.Layer) -> Iterator[WienerFilter]:
    """The filters of masked maps in a network."""
    if isinstance(layer, WienerFilter):
        yield layer
    for inner in getattr(layer, "layers", ()):
        yield from _filters_of(inner)


def _relative_rms(found: Maps, expected: Maps) -> float:
    return float(np.sqrt(np.nanmean((found - expected) ** 2) / np.nanmean(expected**2)))


def _refuse_difference(
    run: Run,
    form: str,
    expected: Maps,
    maps: Maps,
    estimate: Callable[[Maps], Any],
    tolerance: float,
) -> None:
    """Makes sure that what was written estimates what the network does, of any number of maps."""
    together = np.asarray(estimate(maps))
    one_by_one = np.concatenate([np.asarray(estimate(maps[i : i + 1])) for i in range(len(maps))])
    for found in (together, one_by_one):
        if found.shape != expected.shape or not np.array_equal(np.isnan(found), np.isnan(expected)):
            raise LensingError(
                f"the {form} of {run.workdir} has other shapes, or other maps that are not finite, "
                "than the network's estimates: nothing was written"
            )
        off = _relative_rms(found, expected)
        if not off <= tolerance:
            raise LensingError(
                f"the {form} of {run.workdir} is {off:.1e} of their rms off the network's "
                f"estimates, and at most {tolerance:.0e} is rounding: nothing was written"
            )


def _write_saved_model(model: keras.Model, folder: Path) -> None:
    import tensorflow as tf

    try:
        with whole_batches():
            model.export(str(folder), format="tf_saved_model", verbose=False)
    except (tf.errors.ResourceExhaustedError, tf.errors.PermissionDeniedError) as error:
        raise OSError(str(error).rpartition("; ")[2]) from error  # after the op and the file


def _read_saved_model(folder: Path) -> Callable[[Maps], Any]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))
    return lambda maps: loaded.serve(maps)  # its variables live as long as it does


def _write_stablehlo(model: keras.Model, folder: Path) -> None:
    import jax
    from jax import export as jax_export

    (_, *shape) = model.input_shape
    scope = jax_export.symbolic_shape(", ".join(["n", *map(str, shape)]))
    maps = jax.ShapeDtypeStruct(scope, np.float32)
    with whole_batches():
        exported = jax_export.export(jax.jit(lambda x: model(x, training=False)))(maps)
    folder.mkdir()
    (folder / _STABLEHLO).write_bytes(exported.serialize())


def _read_stablehlo(folder: Path) -> Callable[[Maps], Any]:
    from jax import export as jax_export

    loaded: Callable[[Maps], Any] = jax_export.deserialize(
        bytearray((folder / _STABLEHLO).read_bytes())
    ).call
    return loaded


def _write_keras(model: keras.Model, folder: Path) -> None:
    folder.mkdir()
    keras_only(model).save(folder / _KERAS)


def _read_keras(folder: Path) -> Callable[[Maps], Any]:
    loaded: Callable[[Maps], Any] = keras.saving.load_model(folder / _KERAS)
    return loaded


_WRITTEN_AND_READ = {
    "saved_model": (_write_saved_model, _read_saved_model),
    "stablehlo": (_write_stablehlo, _read_stablehlo),
    "keras": (_write_keras, _read_keras),
}
