"""A package's public names as code, imported at their first use."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def imported_when_used(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns the `__getattr__` and `__dir__` of a package that imports nothing by itself.

    Neither `import lensing_tfds` nor a command's `--help` then waits for NumPy or TensorFlow.

    Args:
      package: its `__name__`.
      modules: the public names, and the module that each comes from: with a dot first, one within
        the package. No name may be such a module's, which would hide it once that is imported.
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name], package), name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return get, names
