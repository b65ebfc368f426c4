"""Facts of a built dataset, as the rows of a card's tables: from its config and its metadata."""

from __future__ import annotations

import math

import numpy as np
import tensorflow_datasets as tfds

from lensing_tfds.config_fields.foregrounds import Foregrounds
from lensing_tfds.config_fields.kappa_distribution import KappaDistribution
from lensing_tfds.config_fields.mask import SIGNAL, Mask
from lensing_tfds.configs import SPLITS, LensingConfig
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
        rows.append(("noise", f"{_spectrum(config)}, {_depths(config)}"))
    if config.hits is not None:
        contrast = f"{config.hits.contrast:g}"
        rows.append(("hits", f"{contrast} times as many in the middle as at the corners"))
    if config.splits > 1:
        rows.append(("splits", f"{config.splits} of independent noise, whose mean `lensed` is"))
    if config.tensors is not None:
        low, high = config.tensors.r_min, config.tensors.r_max
        rows.append(("tensors", f"r from {low:g} to {high:g}, √r uniform, another in each example"))
    if config.rotation is not None:
        rows.append(("rotation", f"L(L+1)C_L/2π = {config.rotation.amplitude:g} rad²"))
    if config.optical_depth is not None:
        depth = config.optical_depth
        rows.append(("optical depth", f"τ of rms {depth.rms:g} in bubbles of L = {depth.L_c:g}"))
    if config.foregrounds is not None:
        rows.append(("foregrounds", _foregrounds(config.foregrounds)))
    if config.kappa is not None:
        rows.append(("κ", _kappa(config.kappa)))
    if config.kappa_files is not None:
        numbers = {s: sum(file.maps for file in config.kappa_files.of(s)) for s in SPLITS}
        maps = ", ".join(f"{number:,} for {split}" for split, number in numbers.items())
        rows.append(("κ", f"maps from files: {maps}"))
    if config.mask is not None:
        rows.append(("mask", _mask(config.mask)))
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


def _spectrum(config: LensingConfig) -> str:
    """Says what spectrum the noise has."""
    if (extra := config.one_over_f) is None:
        return "white"
    knees = [
        f"{knee:g} in {name}"
        for knee, name in ((extra.T_knee, "T"), (extra.P_knee, "Q and U"))
        if knee is not None
    ]
    return f"N(l) = N [1 + (l / l_knee)^{extra.slope:g}] with l_knee {', '.join(knees)}"


def _foregrounds(foregrounds: Foregrounds) -> str:
    """Says which components there are, and how strong."""
    parts = [
        name if factor == 1 else f"{name} times {factor:g}"
        for name, factor in foregrounds.amplitudes.items()
        if factor
    ]
    return f"at 150 GHz, in T: {', '.join(parts)}"


def _kappa(kappa: KappaDistribution) -> str:
    """Says how κ is distributed."""
    parts = ["Gaussian"]
    if kappa.skewness:
        parts = [f"lognormal, skewness {kappa.skewness:g} behind {kappa.smoothing_arcmin:g}′ FWHM"]
    if kappa.correlated:
        parts.append("correlated with T and E")
    return "; ".join(parts)


def _mask(mask: Mask) -> str:
    """Says what is masked."""
    parts = []
    if mask.border or mask.edge:
        parts.append(f"{mask.border:g}° of zeros and {mask.edge:g}° of cosine along the edges")
    if mask.holes:
        parts.append(f"{mask.holes} holes of {mask.hole_radius_arcmin:g}′")
    on = "the signal only" if mask.multiplies == SIGNAL else "signal and noise"
    return f"{'; '.join(parts)}; on {on}"


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
