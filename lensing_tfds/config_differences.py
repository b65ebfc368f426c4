"""Differences of two configs, named."""

from collections.abc import Mapping
from typing import Any

from lensing_tfds.configs import LensingConfig


def map_differences(old: LensingConfig, new: LensingConfig) -> str:
    """Names what makes the maps of two configs different skies, as `differences` does.

    Names, seeds, numbers of examples and labels do not. A patch is known by its pixels, however it
    was given.

    Args:
      old: of the maps that something was made for.
      new: of the maps that it is given.
    """
    sides = []
    for config in (old, new):
        fields = config.to_json()
        for name in ("name", "seed", "num_examples", "unlensed_E", "lx", "nside_equiv"):
            del fields[name]
        sides.append(fields | {"pixel_arcmin": round(config.pixel_arcmin, 9)})
    return differences(*sides)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Names the fields in which two JSON configs differ, e.g. `seed: 0 -> 7; npix: 50 -> 64`.

    Args:
      old: the config on disk.
      new: the config asked for.

    Returns:
      A phrase for an error message, empty if they agree.
    """
    keys = [*new, *(key for key in old if key not in new)]
    return "; ".join(
        f"{key}: {old.get(key)!r} -> {new.get(key)!r}"
        for key in keys
        if old.get(key) != new.get(key)
    )
