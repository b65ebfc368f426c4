"""The Wiener filter of masked maps: steps of conjugate gradients, and what they are worth.

    python -m benchmarks.masked_filter v13 [--maps 4]

Filtered maps are compared with those of a residual of 1e-5, in the interior and over the map: rms
of the difference of each field over its own. Times are of one core.
"""

import argparse
import time
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from estimators.filtering.masked_patch import MaskedPatch
from estimators.filtering.wiener_filter import NotConvergedWarning, WienerFilter
from estimators.quadratic.observation import Observation
from lensing_tfds import simulate
from lensing_tfds.config_fields.mask import MASK
from lensing_tfds.configs import LENSED, LensingConfig
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.versions import get_config

STEPS = (5, 10, 15, 20, 30, 50, 100)
EXACT = 1e-5


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a row for each number of steps, and one of the filter as estimators use it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.masked_filter")
    parser.add_argument("config", help="a version, or a config as JSON")
    parser.add_argument("--maps", type=int, default=4, help="maps that are filtered")
    arguments = parser.parse_args(argv)
    config = get_config(arguments.config)
    maps = simulate(config, "test", range(arguments.maps))
    patch = MaskedPatch.of(config)
    exact, _ = filtered(config, patch, maps, EXACT, 2000)
    names = list(exact)
    columns = [f"{name} {where}" for where in ("interior", "map") for name in names]
    print(f"{'steps':>10}" + "".join(f"{column:>12}" for column in columns) + "    ms a map")
    for steps in STEPS:
        _print_row(str(steps), *filtered(config, patch, maps, 1e-9, steps), exact, patch, names)
    _print_row("default", *filtered(config, patch, maps), exact, patch, names)


def filtered(
    config: LensingConfig,
    patch: MaskedPatch,
    maps: Mapping[str, NDArray],
    tolerance: float | None = None,
    most_steps: int | None = None,
) -> tuple[dict[str, NDArray], float]:
    """Returns filtered maps of each field of the sky, and seconds of a core for a map."""
    given = {"tolerance": tolerance, "most_steps": most_steps}
    observation = patch.observation(Observation.of(config, spectra_of(config)))
    by = WienerFilter(
        patch,
        observation,
        config.channels,
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
    masks = maps[MASK][..., 0] if MASK in maps else None
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        fields = by.fields(maps[LENSED], masks)
    seconds = (time.process_time() - start) / len(maps[LENSED])
    factors = {
        name: observation.beam * observation.signal(name, name) * observation.inverse(name)
        for name in fields
    }
    return {
        name: config.sky.to_map(modes * factors[name].astype(np.float32))
        for name, modes in fields.items()
    }, seconds


def _print_row(
    title: str,
    found: Mapping[str, NDArray],
    seconds: float,
    exact: Mapping[str, NDArray],
    patch: MaskedPatch,
    names: Sequence[str],
) -> None:
    cells = [
        np.sqrt(
            np.mean(weight * (found[name] - exact[name]) ** 2) / np.mean(weight * exact[name] ** 2)
        )
        for weight in (patch.interior**2, np.ones_like(patch.mask))
        for name in names
    ]
    print(f"{title:>10}" + "".join(f"{cell:12.5f}" for cell in cells) + f"{1e3 * seconds:12.0f}")


if __name__ == "__main__":
    main()
