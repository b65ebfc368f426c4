"""Search spaces of the versions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lensing_tfds.errors import LensingError
from trainer.networks.families import FAMILIES
from trainer.networks.space import Choice, Space
from trainer.networks.stacks import StackSpace

# Maps of 256 x 256 pixels: the largest of these networks and batches takes 4 GiB in a training
# step, and so does that of v11's quarter of the pixels; see trainer/settings/recipes.py.
_SURVEY = StackSpace(
    batch_size=Choice((8, 16, 32)), width=Choice((16, 32)), depth=Choice((4, 6, 8, 10, 12))
)

# Around what each version's study trained, with room on either side.
SPACES: dict[str, Space] = {
    # Every example lenses one sky: a mirrored example would show another one.
    "v1": StackSpace(depth=Choice((1, 2, 3, 4)), augment=Choice((False,))),
    "v2": StackSpace(depth=Choice((2, 3, 4, 5, 6))),
    "v3": StackSpace(depth=Choice((2, 3, 4, 5, 6))),
    "v4": StackSpace(depth=Choice((2, 3, 4, 5, 6, 8))),
    "v5": StackSpace(depth=Choice((4, 5, 6, 7, 8, 10)), upsampling=Choice((1, 2))),
    "v6": StackSpace(
        depth=Choice((6, 8, 12, 16, 24, 32, 48)), width=Choice((8, 16, 32, 64)), tail=Choice((0,))
    ),
    "v7": StackSpace(depth=Choice((4, 6, 8, 10, 12))),
    "v8": StackSpace(depth=Choice((3, 4, 5, 6, 7, 8))),
    "v9": _SURVEY,
    "v10": _SURVEY,
    "v11": dataclasses.replace(_SURVEY, batch_size=Choice((16, 32, 64)), width=Choice((32, 64))),
    "v12": _SURVEY,
    "v13": _SURVEY,
    "v14": dataclasses.replace(_SURVEY, batch_size=Choice((16, 32, 64)), width=Choice((32, 64))),
    "v15": _SURVEY,
    "v16": _SURVEY,
    "v17": _SURVEY,
}


def space_for(version: str) -> Space:
    """Finds what a search may try on a version; a custom config gets the widest of one family.

    Args:
      version: "v1" ... "v17", or a custom config's name.
    """
    return SPACES.get(version, StackSpace())


def changed(space: Space, values: Mapping[str, Any]) -> Space:
    """Replaces dimensions of a space: what a space file, or `Space.to_json`, says.

    Args:
      space: of one family.
      values: as of `Space.changed`. "family" may say which networks the others are for.

    Raises:
      LensingError: a dimension or the family is unknown, or a dimension is empty or impossible.
    """
    dimensions = dict(values)
    family = dimensions.pop("family", space.family)
    if family not in FAMILIES:
        raise LensingError(f"unknown family {family!r}: known are {', '.join(FAMILIES)}")
    if family != space.family:
        other = FAMILIES[family].space
        if other is None:
            raise LensingError(f"{family} is fitted in closed form: it has nothing to search")
        space = other()
    return space.changed(dimensions)
