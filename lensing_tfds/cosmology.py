"""The spectra of a config: the packaged table, or CAMB's for a cosmology of the config's own.

CAMB takes minutes for a table, and its next release may give other digits. So a dataset's table is
computed once, before its first shard, and kept beside the shards, where whoever goes on with the
build, repairs it or validates it finds it.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage
from lensing_tfds.sky import spectra
from lensing_tfds.sky.spectra import PowerSpectra

FILE = "spectra.dat"
"""Name of the table in a dataset's folder."""


def spectra_of(config: LensingConfig, folder: str | None = None) -> PowerSpectra:
    """Returns the spectra from which a config's skies are drawn.

    Args:
      config: the version.
      folder: of the built dataset, which has the table of a cosmology of its own; None computes
        such a table, once a process.

    Raises:
      LensingError: CAMB is not installed or refuses the cosmology, or the table is not there.
    """
    if config.cosmology is None:
        return spectra.fiducial()
    if folder is None:
        return spectra.parse(_computed(json.dumps(config.cosmology)))
    with storage.reading(_path(folder)) as file:
        return spectra.parse(file.read().decode())


def store(config: LensingConfig, folder: str) -> None:
    """Computes the table of a cosmology of a config's own, unless it is there.

    Args:
      config: the version.
      folder: of the dataset.

    Raises:
      LensingError: CAMB is not installed or refuses the cosmology, or the file cannot be written.
    """
    if config.cosmology is None or storage.size(_path(folder)) is not None:
        return
    table = _computed(json.dumps(config.cosmology))
    with storage.writing(_path(folder)) as file:
        file.write(table.encode())


def kappa_power(
    config: LensingConfig, table: PowerSpectra, ell: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Evaluates the spectrum that a config's κ is drawn from, exaggeration included.

    Args:
      config: the version.
      table: the spectra of its cosmology.
      ell: multipoles, any shape.

    Returns:
      C_l^κκ, dimensionless, the shape of `ell`; zero above `kappa_lmax`.
    """
    factor = config.kappa_exaggeration_factor**2
    return factor * spectra.at_multipoles(table.kappa, ell, config.kappa_lmax)


def _path(folder: str) -> str:
    return f"{folder}/{FILE}"


@functools.lru_cache(maxsize=4)
def _computed(cosmology: str) -> str:
    parameters: Mapping[str, Any] = json.loads(cosmology)
    try:
        return spectra.compute_with_camb(parameters)
    except ImportError as error:
        raise LensingError(
            f"cosmology {cosmology}: its spectra need CAMB: pip install 'lensing-tfds[camb]'"
        ) from error
    except Exception as error:  # CAMB's own kinds, and those of its compiled code
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise LensingError(f"cosmology {cosmology}: CAMB refuses it: {reason}") from error
