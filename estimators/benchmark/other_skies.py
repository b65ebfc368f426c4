"""Skies off the training distribution: their maps, for whoever submits files, and their scores.

Skies of each kind are the dataset's own test examples with one thing changed, see
`estimators.out_of_distribution`. The estimates of a folder's maps go into folders in it, one a kind
(`folder_of`), in the same format.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from estimators.benchmark.protocol import Protocol
from estimators.ensemble import SkyEnsemble
from estimators.estimator import Estimator, Observed
from estimators.kappa_files import KappaMaps, open_kappa_maps
from estimators.out_of_distribution import ChangedSkies, changed_skies
from lensing_tfds.configs import LENSED
from lensing_tfds.records.storage import make_folder, replacing
from lensing_tfds.simulation import Simulator

LENSED_FILE = "lensed.npy"


def folder_of(name: str) -> str:
    """Returns the name of the folder of a kind of skies: "kappa-x-1.2" of "κ x 1.2"."""
    plain = name.replace("κ", "kappa").replace("−", "minus-")
    return re.sub(r"[^a-z0-9_.]+", "-", plain.lower())


def kinds_of(frozen: Protocol, ensemble: SkyEnsemble) -> list[ChangedSkies]:
    """Returns the kinds of skies of the protocol, the unchanged one first."""
    kinds = {kind.name: kind for kind in changed_skies(ensemble)}
    first = next(iter(kinds.values()))
    return [first, *(kinds[name] for name in frozen.other_skies)]


def write_maps(frozen: Protocol, ensemble: SkyEnsemble, folder: Path) -> Iterator[Path]:
    """Writes the observed maps of each kind of skies, for others to estimate κ of.

    Args:
      frozen: says which skies, and how many.
      ensemble: the version's.
      folder: that gets a folder a kind, each with `lensed.npy` (n, npix, npix, channels) float32,
        µK, and `index.npy` (n,).

    Yields:
      Each folder, once it is written.

    Raises:
      LensingError: it cannot be written to.
    """
    number = frozen.num_other_skies
    for kind in kinds_of(frozen, ensemble)[1:]:
        place = folder / folder_of(kind.name)
        make_folder(place)
        simulator = Simulator(kind.ensemble.config, frozen.split, kind.ensemble.theory)
        parts = [block[LENSED] for block in simulator.examples(range(number))]
        for name, array in (
            (LENSED_FILE, np.concatenate(parts)),
            ("index.npy", np.arange(number)),
        ):
            with replacing(place / name) as temporary, open(temporary, "wb") as file:
                np.save(file, array)
        yield place


def estimators_of_files(
    frozen: Protocol, ensemble: SkyEnsemble, folder: Path, unchanged: Estimator
) -> list[tuple[ChangedSkies, Estimator]] | None:
    """Finds the estimates of other skies in a folder.

    Args:
      frozen: says which skies.
      ensemble: the version's.
      folder: of the estimates of the unchanged skies.
      unchanged: these.

    Returns:
      Each kind with what estimates it, the unchanged first; None if there are none at all.

    Raises:
      LensingError: a kind's are missing or not in the format, where others are there.
    """
    first, *others = kinds_of(frozen, ensemble)
    if not any((folder / folder_of(kind.name)).exists() for kind in others):
        return None
    pairs = [(first, unchanged)]
    for kind in others:
        maps = open_kappa_maps(folder / folder_of(kind.name))
        maps.refuse_unfit(ensemble.config, frozen.split, frozen.num_other_skies)
        estimator = dataclasses.replace(unchanged, predict=functools.partial(_look_up, maps))
        pairs.append((kind, estimator))
    return pairs


def _look_up(maps: KappaMaps, batch: Observed) -> NDArray[np.float32]:
    return maps.estimate(batch["index"])
