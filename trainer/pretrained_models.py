"""Networks that come with the package: `trainer.pretrained("lensing/v11")`.

What is kept are the fitted gains of `iterated`, tens of kB a version, the errors of their estimates
and what they scored on the test split; all else is made anew from the config and its spectra.
They are made by

    python -m trainer --dataset lensing/v11 --model iterated --workdir RUN --uncertainty
    python -m trainer.evaluate --workdir RUN
    python -c "from trainer.pretrained_models import keep; keep('RUN')"

and `keep_errors("lensing/v4")` measures the errors of one that came without, and stays as it is.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from estimators.compared_runs import judged_metrics
from estimators.filtering.masked_patch import is_masked
from estimators.iterated.fitting import as_fitted, method_by_theory
from estimators.iterated.iterated_estimator import Method, Stage, StagedEstimator
from estimators.power_spectra import NAMASTER
from estimators.resampling import Measured, with_error
from estimators.uncertainty import LEVELS, MEASURED_ON, Uncertainty
from lensing_tfds.config_differences import differences
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.errors import LensingError
from lensing_tfds.realism import departures, idealisations
from lensing_tfds.records.seals import DamagedSealError, sealed, unsealed
from lensing_tfds.records.storage import replacing
from lensing_tfds.release import stamped
from lensing_tfds.simulation import simulate
from lensing_tfds.task import Task
from lensing_tfds.versions import VERSIONS, dataset_name
from trainer.networks import iterated
from trainer.networks.scaling import Scaling
from trainer.runs.run import load_run

if TYPE_CHECKING:
    import keras

FOLDER = Path(__file__).parent / "gains"

_ROUNDING = 1e-6  # of the largest mode of a mean
_HALF = np.dtype("<f2")

# Their error of a correlation is a thousandth or two at most. A sky of v10 takes seconds to judge.
_FEWEST_JUDGED = 100

_PIXELS_AT_ONCE = 2**19  # that errors are measured on

_MARKS = ("map_correlation", "mse", "rho_ell")


@dataclasses.dataclass(frozen=True, eq=False)
class Marks:
    """Scores of a network on the first test examples, each with its error.

    Attributes:
      num_examples: how many.
      ell_edges: of the bands, (num_bands + 1,).
      map_correlation: Pearson's, over all pixels.
      mse: mean squared error of κ per pixel.
      rho_ell: cross-correlation of true and estimated κ, (num_bands,).
      spectra_measured_with: as of `estimators.power_spectra.measured_with`.
    """

    num_examples: int
    ell_edges: NDArray[np.float64]
    map_correlation: Measured
    mse: Measured
    rho_ell: Measured
    spectra_measured_with: str


@dataclasses.dataclass(frozen=True, eq=False)
class Pretrained:
    """A network that comes with the package.

    Attributes:
      task: the dataset that it was fitted on, and judged.
      max_examples: how many of its training examples it was fitted to.
      scaling: of the dataset's maps.
      stages: fitted.
      marks: what it scored.
      uncertainty: the errors of its estimates; None if the run that it is of did not measure them.
    """

    task: Task
    max_examples: int
    scaling: Scaling
    stages: tuple[Stage, ...]
    marks: Marks
    uncertainty: Uncertainty | None = None

    @functools.cached_property
    def model(self) -> keras.Model:
        """From (n, *task.input_shape) maps, µK, to κ: `model.predict(maps)`, `model.save(path)`."""
        return iterated.build(self.task, spectra_of(self.task.lensing), self.stages, self.scaling)

    @functools.cached_property
    def staged(self) -> StagedEstimator:
        """The same estimator of modes in NumPy, without Keras."""
        return StagedEstimator(self.method, self.stages)

    @property
    def method(self) -> Method:
        """The method of its stages."""
        method = method_by_theory(self.task.lensing, spectra_of(self.task.lensing))
        assert method is not None, "iterated refuses the maps that have none"
        return as_fitted(method, self.stages)

    def intervals(
        self, lensed: NDArray[np.floating], level: float = 0.68
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Estimates between which values the κ of each pixel is, as of `Run.intervals`.

        Args:
          lensed: (n, *task.input_shape) maps, µK.
          level: the share of pixels whose κ is there: 0.68 or 0.95.

        Raises:
          LensingError: its errors are not known; the level is another; or the maps are not those of
            its task.
        """
        if self.uncertainty is None:
            raise LensingError(
                f"the network of lensing/{self.task.lensing.name} that comes with the package has "
                "no errors: python -m trainer with --uncertainty makes a run that has them"
            )
        return self.uncertainty.intervals(self.model.predict(lensed, verbose=0), level)

    @property
    def limits(self) -> tuple[str, ...]:
        """Sentences on how the skies that it was fitted to are not those of the real sky."""
        lensing = self.task.lensing
        own = [departure.text for departure in departures(lensing)]
        return (*own, *(idealisation.text for idealisation in idealisations(lensing)))

    @property
    def card(self) -> str:
        """A few lines: what it is, is for, scored, and is not for."""
        lensing, marks, errors = self.task.lensing, self.marks, self.uncertainty
        first = "first " if marks.num_examples < lensing.num_examples["test"] else ""
        mask = ", behind its mask" if is_masked(lensing) else ""
        half_widths = () if errors is None else map(errors.pixel_half_width, LEVELS)
        bands = zip(marks.ell_edges, marks.ell_edges[1:], *marks.rho_ell, strict=False)
        return "\n".join(
            [
                f"{iterated.NAME}, {len(self.stages)} stages, fitted on the first "
                f"{self.max_examples} training examples of lensing/{lensing.name} "
                f"{self.task.dataset_version}",
                f"for maps of {', '.join(self.task.inputs.channels)}, µK, {lensing.npix} x "
                f"{lensing.npix} pixels of {lensing.pixel_arcmin:.3g}', beam "
                f"{lensing.beam_arcmin:g}', noise {lensing.noise_uK_arcmin:g} µK'{mask}, and no "
                "others",
                f"map-level correlation {with_error(marks.map_correlation)}"
                f"{' inside it' if mask else ''} on the "
                f"{marks.num_examples} {first}test examples, spectra measured with "
                f"{marks.spectra_measured_with}",
                *(
                    f"{low:6.0f} < L < {high:<6.0f} rho_L {rho:.4f} ± {error:.4f}"
                    for low, high, rho, error in bands
                ),
                *(
                    f"{level:.0%} of pixels within ± {half_width:.3g}"
                    for level, half_width in zip(LEVELS, half_widths, strict=False)
                ),
                "not for skies that are not like its own:",
                *(f"  {sentence}" for sentence in self.limits),
            ]
        )


def pretrained(dataset: str) -> Pretrained:
    """Opens the network that comes with the package for a version.

    Args:
      dataset: "lensing/v11".

    Raises:
      LensingError: there is none; its file is damaged, or of another sky than the version's.
    """
    name = dataset_name(dataset)
    path = _path(name)
    if not path.exists():
        there = sorted((p.stem for p in FOLDER.glob("*.json")), key=lambda v: (len(v), v))
        raise LensingError(
            f"no pretrained model for lensing/{name}: there are "
            f"{', '.join(f'lensing/{version}' for version in there)}"
        )
    try:
        found = _from_json(unsealed(path.read_bytes()))
    except (DamagedSealError, LensingError, KeyError, TypeError, ValueError) as error:
        raise LensingError(f"{path} is damaged: install the package again") from error
    if changed := differences(found.task.lensing.to_json(), VERSIONS[name].to_json()):
        raise LensingError(f"{path} is of another sky than lensing/{name} is now: {changed}")
    return found


def stages_digest(name: str) -> str:
    """Returns the SHA-256 of the gains of a version, for which `has_pretrained` says yes."""
    return hashlib.sha256((FOLDER / f"{name}.json").read_bytes()).hexdigest()


def has_pretrained(lensing: LensingConfig) -> bool:
    """Says whether a network comes with the package for just these maps."""
    name = lensing.name
    return _path(name).exists() and lensing == VERSIONS.get(name)


def keep(workdir: str | Path) -> Path:
    """Puts the network of a judged run among those that come with the package.

    Args:
      workdir: the run's folder, judged on as many test examples as make a difference visible.

    Returns:
      The file.

    Raises:
      LensingError: the run is of another network, or of no version, or was judged on too few.
    """
    run, metrics = load_run(workdir), judged_metrics(Path(workdir))
    lensing = run.lensing
    name, number = lensing.name, metrics.num_examples
    if run.config.model != iterated.NAME or name not in VERSIONS:
        raise LensingError(
            f"{workdir} is of {run.config.model} on lensing/{name}: must be {iterated.NAME} on one "
            f"of {', '.join(VERSIONS)}"
        )
    if number < _FEWEST_JUDGED:
        raise LensingError(
            f"{workdir} was judged on {number} test examples: judge it on {_FEWEST_JUDGED} at least"
        )
    from trainer.networks.physical import scaling_of

    errors = None if run.uncertainty is None else run.uncertainty.to_json()
    fields = {
        "task": run.task.to_json(),
        "max_examples": run.config.max_examples,
        "scaling": dataclasses.asdict(scaling_of(run.model)),
        "stages": [_stage_to_json(stage) for stage in iterated.stages_of(run.model)],
        "num_examples": number,
        "ell_edges": metrics.ell_edges.tolist(),
        "spectra_measured_with": metrics.spectra_measured_with,
        "marks": {
            name: {"value": _short(mark.value), "error": _short(mark.error, 3)}
            for name, mark in ((name, metrics.measured[name]) for name in _MARKS)
        },
        "uncertainty": errors,
    }
    FOLDER.mkdir(exist_ok=True)
    return _write(name, fields)


def keep_errors(dataset: str) -> Path:
    """Measures the errors of a network that came without, as a run's are, and puts them with it.

    Args:
      dataset: "lensing/v4".

    Returns:
      The file, in which nothing else is changed.

    Raises:
      LensingError: there is none.
    """
    from trainer.loop.errors import errors_of, examples_of

    found = pretrained(dataset)
    lensing = found.task.lensing
    indices, size = range(examples_of(lensing)), max(1, _PIXELS_AT_ONCE // lensing.npix**2)
    errors = errors_of(
        lambda maps: found.model.predict(maps, verbose=0),
        (
            simulate(lensing, MEASURED_ON, indices[start : start + size])
            for start in indices[::size]
        ),
        lensing,
    )
    fields = unsealed(_path(lensing.name).read_bytes())
    return _write(lensing.name, fields | {"uncertainty": errors.to_json()})


def _path(name: str) -> Path:
    return FOLDER / f"{name}.json"


def _write(name: str, fields: Mapping[str, Any]) -> Path:
    path = _path(name)
    with replacing(path) as temporary:
        temporary.write_bytes(sealed(stamped(fields)) + b"\n")
    return path


def _from_json(fields: Mapping[str, Any]) -> Pretrained:
    marks = {
        name: Measured(*(np.asarray(mark[key], np.float64) for key in ("value", "error")))
        for name, mark in fields["marks"].items()
    }
    errors = fields.get("uncertainty")  # which files of an earlier release do not have
    return Pretrained(
        Task.from_json(fields["task"]),
        fields["max_examples"],
        Scaling(**fields["scaling"]),
        tuple(_stage_from_json(stage) for stage in fields["stages"]),
        Marks(
            fields["num_examples"],
            np.asarray(fields["ell_edges"]),
            **marks,
            # Files of earlier releases do not say: there was nothing else.
            spectra_measured_with=fields.get("spectra_measured_with", NAMASTER),
        ),
        None if errors is None else Uncertainty.from_json(errors),
    )


def _stage_to_json(stage: Stage) -> dict[str, Any]:
    arrays = {name: getattr(stage, name) for name in ("gains", "residual_b", "power")}
    fields = {name: _short(values) for name, values in arrays.items()} | {"damped": stage.damped}
    if stage.mean_field.ndim:
        fields["mean_field"] = _plane_to_json(stage.mean_field)
    return fields


def _stage_from_json(fields: Mapping[str, Any]) -> Stage:
    # Files of templates do not name a power.
    arrays = (fields.get(name, ()) for name in ("gains", "residual_b", "power"))
    gains, residual_b, power = (np.asarray(values, np.float64) for values in arrays)
    # Nor do those of an earlier release name damping, of which there was none.
    stage = Stage(gains, residual_b, power, damped=fields.get("damped", False))
    if "mean_field" not in fields:
        return stage
    return dataclasses.replace(stage, mean_field=_plane_from_json(fields["mean_field"]))


def _plane_to_json(mean: NDArray[np.complex128]) -> dict[str, Any]:
    """A half plane in half precision, in four bytes a mode: it is a small part of the estimate."""
    largest = float(np.abs(mean).max())
    # Where κ has no modes the gains are zero but for rounding, and so is the mean.
    known = np.abs(mean) > _ROUNDING * largest
    parts = (mean[known] / largest).view(np.float64).astype(_HALF)
    return {
        "shape": list(mean.shape),
        "largest": largest,
        "known": _base64(np.packbits(known)),
        "modes": _base64(parts),
    }


def _plane_from_json(fields: Mapping[str, Any]) -> NDArray[np.complex128]:
    plane = np.zeros(fields["shape"], np.complex128)
    bits = np.frombuffer(base64.b64decode(fields["known"]), np.uint8)
    known = np.unpackbits(bits, count=plane.size).astype(bool).reshape(plane.shape)
    parts = np.frombuffer(base64.b64decode(fields["modes"]), _HALF).astype(np.float64)
    plane[known] = fields["largest"] * parts.view(np.complex128)
    return plane


def _base64(values: NDArray) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _short(values: NDArray[np.floating], digits: int = 6) -> Any:
    """Nested lists of numbers, of as many digits as say more than the fit knows."""
    if values.ndim == 0:
        return float(f"{float(values):.{digits}g}")
    return [_short(value, digits) for value in values]
