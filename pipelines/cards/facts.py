"""Facts of a built dataset, as the rows of a card's tables: from its config and its metadata."""

from __future__ import annotations

import math

import numpy as np
import tensorflow_datasets as tfds

from lensing_tfds.configs import LensingConfig
from lensing_tfds.sky import instrument

Rows = list[tuple[str, ...]]


def specification(config: LensingConfig) -> Rows:
    """Says what the sky is and how it is observed; a field that does nothing is left out.

    Returns:
      Rows of (name, value).
    """
    sky, side = config.sky, math.degrees(config.side)
    rows = [
        ("observed", ", ".join(config.channels)),
        (
            "patch",
            f"{side:.4g}° × {side:.4g}°, {config.npix} × {config.npix} pixels of "
            f"{config.pixel_arcmin:.4g}′, {_edges(config)}",
        ),
        ("multipoles", f"{sky.fundamental:.4g} to {sky.nyquist:,.0f} along an axis"),
        ("lensed on", _lensed_on(config)),
    ]
    if config.beam_arcmin:
        rows.append(("beam", f"Gaussian, {config.beam_arcmin:g}′ FWHM"))
    if config.noise_uK_arcmin:
        rows.append(("noise", f"white, {_depths(config)}"))
    if config.T_lmax is not None:
        field = " and E" if "Q" in config.channels else ""
        rows.append(("unlensed band", f"T{field} ≤ {config.T_lmax:,}"))
    if config.kappa_lmax is not None:
        rows.append(("κ band", f"κ ≤ {config.kappa_lmax:,}"))
    if config.kappa_exaggeration_factor != 1:
        factor = f"{config.kappa_exaggeration_factor:g}"
        rows.append(("κ times", f"{factor}, in the lensing and in the label"))
    if config.fixed_unlensed:
        rows.append(("unlensed sky", "the same for all examples"))
    if config.taper:
        rows.append(("taper", f"cosine edge of {config.taper:g}°, on `lensed` only"))
    cosmology = "flat ΛCDM, Planck 2018 best fit"
    if config.cosmology is not None:
        changed = ", ".join(f"{name} {value}" for name, value in config.cosmology.items())
        cosmology += f", but {changed}"
    return [*rows, ("cosmology", cosmology), ("seed", str(config.seed))]


def features(builder: tfds.core.DatasetBuilder) -> Rows:
    """Returns rows of (name, channels, shape, dtype, unit, meaning)."""
    metadata, found = builder.info.metadata, builder.info.features
    rows: Rows = []
    for name in (*metadata["channels"], *(set(found) - set(metadata["channels"]))):
        feature = found[name]
        rows.append(
            (
                f"`{name}`",
                ", ".join(metadata["channels"].get(name, ())),
                " × ".join(map(str, feature.shape)) or "scalar",
                np.dtype(feature.np_dtype).name,
                metadata["units"].get(name, ""),
                (feature.doc.desc or "").partition(" Channels:")[0],  # they have their own column
            )
        )
    return rows


def splits(builder: tfds.core.DatasetBuilder) -> Rows:
    """Returns rows of (name, examples, shards, size)."""
    return [
        (
            f"`{name}`",
            f"{split.num_examples:,}",
            f"{split.num_shards:,}",
            readable_bytes(split.num_bytes),
        )
        for name, split in builder.info.splits.items()
    ]


def building_time(seconds: float, builder: tfds.core.DatasetBuilder) -> str:
    """Says how long the whole dataset takes one core, from the time of an example."""
    total = _readable_seconds(seconds * builder.info.splits.total_num_examples)
    return f"{1000 * seconds:.3g} ms an example, {total} in all"


def readable_bytes(count: int) -> str:
    """Returns e.g. `3.93 GB`, with decimal prefixes."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"


def _readable_seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.3g} minutes" if seconds < 6000 else f"{seconds / 3600:.3g} hours"


def _edges(config: LensingConfig) -> str:
    if config.padding == 1:
        return "periodic"
    return f"cut from a periodic box {config.padding:g} times as wide"


def _lensed_on(config: LensingConfig) -> str:
    if config.oversampling == 1:
        return "its own pixels"
    fine = config.pixel_arcmin / config.oversampling
    return f"pixels of {fine:.4g}′, then cut in Fourier space to its own"


def _depths(config: LensingConfig) -> str:
    depths: dict[float, list[str]] = {}
    for channel in config.channels:
        depth = instrument.channel_noise(config.noise_uK_arcmin, channel)
        depths.setdefault(depth, []).append(channel)
    return "; ".join(
        f"{depth:.3g} µK′ in {' and '.join(channels)} "
        f"({instrument.white_noise_rms(depth, config.sky):.3g} µK a pixel)"
        for depth, channels in depths.items()
    )
