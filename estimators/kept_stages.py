"""The fitted stages of the iterated estimator, kept beside the dataset whose examples they are of.

The judge fits it to the same examples for every network, which takes up to twenty seconds of a core
and gives the same numbers each time. The file holds them bit by bit, under a seal: a hash of all
that a fit depends on. Stages under another seal are fitted anew.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.ensemble import SkyEnsemble
from estimators.iterated.iterated_estimator import Stage
from lensing_tfds import release
from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage
from lensing_tfds.records.seals import DamagedSealError, sealed, unsealed

_PACKAGES = (Path(__file__).parent, Path(release.__file__).parent)  # the fit's own code
_LIBRARIES = ("numpy", "scipy", "ducc0", "numba")

_SEAL, _STAGES = "seal", "stages"
_FIELDS = tuple(field.name for field in dataclasses.fields(Stage))


def path_beside(folder: str, split: str) -> str | None:
    """Returns where stages that are fitted to a split of a dataset are kept.

    Args:
      folder: of the dataset, with its data version.
      split: of the examples.

    Returns:
      A path in that folder; None in a bucket, which is not written to unasked.
    """
    return None if storage.is_remote(folder) else f"{folder}/iterated-{split}.json"


@dataclasses.dataclass(frozen=True)
class KeptStages:
    """A file of fitted stages.

    Attributes:
      path: of the file, there or not.
      seal: of the fit that is wanted, hexadecimal.
    """

    path: str
    seal: str

    @classmethod
    def of(
        cls, path: str, ensemble: SkyEnsemble, examples: Iterable[Mapping[str, NDArray]]
    ) -> KeptStages:
        """Returns the file for a fit.

        The seal holds the config, the spectra of its cosmology, the mask, every example as it is
        read, this package's code and release, and the releases of the libraries beneath it.

        Args:
          path: of the file.
          ensemble: what the examples are drawn from.
          examples: all that the fit sees, and no others, in the batches that it sees.
        """
        seal = hashlib.sha256()
        versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
        words = [_CODE, release.__version__, versions, ensemble.config.to_json()]
        seal.update(json.dumps(words, sort_keys=True).encode())
        _add(seal, "theory", dataclasses.asdict(ensemble.theory))
        _add(seal, "mask", ensemble.mask)
        for batch in examples:
            _add(seal, "batch", batch)
        return cls(path, seal.hexdigest())

    def read(self) -> tuple[Stage, ...] | None:
        """Reads the stages, and says so in a line.

        Returns:
          The very numbers that were kept; None where there are none, or none of this seal, of
          which a line on stderr says why.
        """
        again = "the iterated estimator is fitted again"
        try:
            if storage.size(self.path) is None:
                return None
            with storage.reading(self.path) as file:
                content = file.read()
            fields = unsealed(content)
            if content != sealed(fields):
                raise DamagedSealError
            if fields[_SEAL] != self.seal:
                reason = "is of other examples, settings or code"
                print(f"{self.path} {reason}: {again}", file=sys.stderr)
                return None
            stages = tuple(_stage_from_json(stage) for stage in fields[_STAGES])
        except LensingError as error:
            print(f"{error}: {again}", file=sys.stderr)
            return None
        except (DamagedSealError, KeyError, TypeError, ValueError):
            print(f"{self.path} is damaged: {again}", file=sys.stderr)
            return None
        print(f"the iterated estimator was fitted before: its stages are read from {self.path}")
        return stages

    def write(self, stages: Sequence[Stage]) -> None:
        """Keeps stages, in place of what there was; where that cannot be, a line says so."""
        reason = None
        fields = {_SEAL: self.seal, _STAGES: [_stage_to_json(stage) for stage in stages]}
        if _code_digest() != _CODE:
            reason = "the package's code was changed meanwhile"
        else:
            try:
                with storage.writing(self.path) as file:
                    file.write(sealed(release.stamped(fields)))
            except LensingError as error:
                reason = str(error)
        if reason is not None:
            print(f"the fitted iterated estimator is not kept: {reason}", file=sys.stderr)


def _code_digest() -> str:
    """Hash of the source of the packages that a fit runs through."""
    found = hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted(package.rglob("*.py")):
            content = path.read_bytes()
            name = path.relative_to(package.parent).as_posix()
            found.update(f"{name} {len(content)}\n".encode())
            found.update(content)
    return found.hexdigest()


# Taken when the code is imported: the files may be other ones by the time that it runs.
_CODE = _code_digest()


def _add(seal: hashlib._Hash, name: str, value: Any) -> None:
    """Adds an array, None or a mapping of such to a hash, so that no two values add the same."""
    if isinstance(value, Mapping):
        seal.update(f"{name}: {sorted(value)}\n".encode())
        for key in sorted(value):
            _add(seal, key, value[key])
        return
    array = np.ascontiguousarray(np.zeros(0) if value is None else value)
    seal.update(f"{name}: {array.dtype.str} {array.shape} {value is None}\n".encode())
    seal.update(array.data)


def _stage_to_json(stage: Stage) -> dict[str, Any]:
    return {name: _to_json(getattr(stage, name)) for name in _FIELDS}


def _stage_from_json(fields: Mapping[str, Any]) -> Stage:
    return Stage(**{name: _from_json(fields[name]) for name in _FIELDS})


def _to_json(value: NDArray | bool) -> dict[str, Any] | bool:
    if isinstance(value, bool):
        return value
    content = base64.b64encode(value.tobytes()).decode()
    return {"dtype": value.dtype.str, "shape": list(value.shape), "base64": content}


def _from_json(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    content = base64.b64decode(value["base64"], validate=True)
    return np.frombuffer(content, value["dtype"]).reshape(value["shape"]).copy()
