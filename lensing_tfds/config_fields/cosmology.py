"""A config's own cosmology: CAMB's names of parameters to values, checked."""

import math
import numbers
from collections.abc import Mapping
from typing import Any

from lensing_tfds.config_fields.checked import Checked
from lensing_tfds.sky.camb_spectra import PARAMETERS, TEXTS


class CosmologyField(Checked):
    """A config that may have a cosmology of its own."""

    cosmology: Mapping[str, Any] | None

    def _check_cosmology(self) -> None:
        if self.cosmology is None:
            return
        if not isinstance(self.cosmology, Mapping) or not self.cosmology:
            raise self._error("cosmology", "null, or CAMB's parameters and their values")
        values = {}
        for name, value in self.cosmology.items():
            if name not in PARAMETERS:
                raise self._error(
                    "cosmology",
                    f"of parameters that the maps follow, not {name!r}: one of "
                    f"{', '.join(sorted(PARAMETERS))}",
                )
            is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
            if name in TEXTS and not isinstance(value, str):
                raise self._error("cosmology", f"a text for {name!r}, not {value!r}")
            if name not in TEXTS and not (is_number and _is_finite(value)):
                raise self._error("cosmology", f"a finite number for {name!r}, not {value!r}")
            as_json = int if isinstance(value, numbers.Integral) else float  # not NumPy's
            values[name] = str(value) if name in TEXTS else as_json(value)
        in_order = {name: values[name] for name in sorted(values)}
        object.__setattr__(self, "cosmology", in_order)


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floating-point numbers
        return False
