"""The spectra of a config: the packaged table, or CAMB's for a cosmology of the config's own.

CAMB takes a while for a table, and its next release may give other digits. So a dataset's table is
computed once, before its first shard, and kept beside the shards, where whoever goes on with the
build, repairs it or validates it finds it; and once for a user, in a cache that datasets share.
"""

import contextlib
import functools
import hashlib
import json
import math
import os
import pathlib
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage
from lensing_tfds.sky import camb_spectra, spectra, tensor_spectra
from lensing_tfds.sky.spectra import PowerSpectra

FILE = "spectra.dat"
"""Name of the table in a dataset's folder."""

Provenance = dict[str, str]

_SECONDS_BETWEEN_LINES = 30.0


def spectra_of(config: LensingConfig, folder: str | None = None) -> PowerSpectra:
    """Returns the spectra from which a config's skies are drawn.

    Args:
      config: the version.
      folder: of the built dataset, which has the table of a cosmology of its own; None computes
        such a table, once for a user: see `table_of`.

    Raises:
      LensingError: CAMB is not installed or refuses the cosmology, or the dataset's table is not
        there or damaged.
    """
    if config.cosmology is None:
        return spectra.fiducial() if config.tensors is None else spectra.fiducial_with_tensors()
    if folder is None:
        return spectra.parse(table_of(config))
    path = _path(folder)
    with storage.reading(path) as file:
        content = file.read()
    try:
        return spectra.parse(_without_seal(content))
    except ValueError as error:
        raise LensingError(
            f"{path} is damaged ({error}): delete it, and the command that built the dataset "
            "computes it again"
        ) from error


def store(config: LensingConfig, folder: str, recorded: Provenance | None) -> Provenance | None:
    """Puts the table of a cosmology of a config's own into a dataset's folder, unless it is there.

    Args:
      config: the version.
      folder: of the dataset.
      recorded: what the dataset says that its table was computed by; None if it says nothing.

    Returns:
      What the table was computed by: "camb", the release, and "address", a hash of the release,
      the parameters and all settings. None if the config has no cosmology of its own.

    Raises:
      LensingError: CAMB is not installed or refuses the cosmology, the file cannot be written, or
        the table is gone and this CAMB would compute another one.
    """
    if config.cosmology is None:
        return None
    path = _path(folder)
    if storage.size(path) is not None:
        with storage.reading(path) as file:
            return recorded or _provenance(file.read())
    table = table_of(config)
    content = table.encode()
    computed = _provenance(content)
    if recorded is not None and recorded != computed:
        raise LensingError(
            f"{path} is gone: it was computed by CAMB {recorded.get('camb')}, and CAMB "
            f"{computed['camb']} with this code's settings would give other digits than the shards "
            "have: install that release, or start anew: tfds build --overwrite"
        )
    with storage.writing(path) as file:
        file.write(_with_seal(content))
    return computed


def table_of(config: LensingConfig) -> str:
    """Returns the text of the table of a config's own cosmology, to the multipoles of its grid.

    Computed by CAMB at most once for a user, who is told how long that takes: it is kept in the
    user's cache folder, under a hash of the parameters, all settings and CAMB's release. What is
    damaged there is computed again, and where nothing can be kept nothing is.

    Args:
      config: a version with a cosmology of its own.

    Raises:
      LensingError: CAMB is not installed or refuses the cosmology.
    """
    corner = math.sqrt(2) * config.internal.nyquist  # the grid's largest multipole
    lmax = camb_spectra.accuracy_for(corner).lmax
    return _computed(json.dumps(config.cosmology), lmax, config.tensors is not None)


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


# CAMB's compiled objects and its global settings are a process's: made by two threads at once they
# overwrite each other's memory.
_ONE_THREAD = threading.Lock()


@functools.lru_cache(maxsize=4)
def _computed(cosmology: str, lmax: int, tensors: bool = False) -> str:
    with _ONE_THREAD:
        return _kept_or_computed(cosmology, lmax, tensors)


def _kept_or_computed(cosmology: str, lmax: int, tensors: bool) -> str:
    parameters: Mapping[str, Any] = json.loads(cosmology)
    accuracy = camb_spectra.accuracy_for(lmax)
    try:
        address = camb_spectra.address(parameters, accuracy)
        entry = _cache_entry(f"{address}-tensors" if tensors else address)
    except ImportError as error:
        raise LensingError(
            f"cosmology {cosmology}: its spectra need CAMB: pip install 'lensing-tfds[camb]'"
        ) from error
    with contextlib.suppress(LensingError, ValueError), storage.reading(str(entry)) as file:
        text = _without_seal(file.read(), must_have_one=True)
        spectra.parse(text)
        return text
    with _refused_by_camb(cosmology):  # before anybody waits
        camb_spectra.model_of(parameters)
    print(
        f"cosmology {cosmology}: CAMB computes its spectra to l = {accuracy.lmax:,}, once: about "
        f"{accuracy.core_seconds} s on one free core, {accuracy.gigabytes:g} GB of memory",
        file=sys.stderr,
        flush=True,
    )
    began = time.monotonic()
    with _refused_by_camb(cosmology), _saying_how_long(began):
        text = camb_spectra.compute(parameters, accuracy)
        if tensors:
            text += tensor_spectra.compute(parameters)
    try:
        spectra.parse(text)
    except ValueError as error:
        raise LensingError(f"cosmology {cosmology}: of what CAMB computed, {error}") from error
    kept = _keep(entry, text)
    print(
        f"CAMB took {time.monotonic() - began:.0f} s; "
        + (f"the spectra are kept in {entry}" if kept else f"{entry} cannot be written"),
        file=sys.stderr,
        flush=True,
    )
    return text


@contextlib.contextmanager
def _refused_by_camb(cosmology: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # CAMB's own kinds, and those of its compiled code
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise LensingError(f"cosmology {cosmology}: CAMB refuses it: {reason}") from error


@contextlib.contextmanager
def _saying_how_long(began: float) -> Iterator[None]:
    """Prints the seconds since then every half minute, for as long as the block runs."""
    over = threading.Event()

    def say() -> None:
        while not over.wait(_SECONDS_BETWEEN_LINES):
            print(f"CAMB: {time.monotonic() - began:.0f} s so far", file=sys.stderr, flush=True)

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _cache_entry(address: str) -> pathlib.Path:
    folder = os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return pathlib.Path(folder, "lensing_tfds", f"spectra-{address}.dat")


def _keep(entry: pathlib.Path, text: str) -> bool:
    """Keeps a table for the next time; whether that could be done. Two may do so at once."""
    try:
        if not entry.is_absolute():  # nobody is at home
            return False
        entry.parent.mkdir(parents=True, exist_ok=True)
        with storage.writing(str(entry)) as file:
            file.write(_with_seal(text.encode()))
    except (LensingError, OSError):
        return False
    return True


_SEAL = b"# sha256 of all lines above: "


def _with_seal(table: bytes) -> bytes:
    return table + _SEAL + hashlib.sha256(table).hexdigest().encode() + b"\n"


def _without_seal(content: bytes, must_have_one: bool = False) -> str:
    """Returns a table's text.

    Raises:
      ValueError: its checksum differs, or it has none and must have one.
    """
    table, seal, digest = content.rpartition(_SEAL)
    if not seal and not must_have_one:  # tables had none at first
        return content.decode()
    if digest.strip() != hashlib.sha256(table).hexdigest().encode():
        raise ValueError("its checksum differs")
    return table.decode()


def _provenance(table: bytes) -> Provenance:
    header = [line[2:] for line in table.decode().splitlines()[:20] if line.startswith("# ")]
    found = {}
    for line in header:
        if line.startswith("CAMB "):
            found["camb"] = line.split()[1].rstrip(",")
        elif line.startswith("address: "):
            found["address"] = line.split()[1]
    return found
