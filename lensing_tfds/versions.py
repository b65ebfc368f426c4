"""The versions of the dataset by name: each is a config."""

import json
import os
import shlex
from collections.abc import Mapping
from typing import Any

from lensing_tfds import strict_json
from lensing_tfds.config_differences import differences
from lensing_tfds.config_fields.foregrounds import Foregrounds
from lensing_tfds.config_fields.hits import Hits
from lensing_tfds.config_fields.kappa_distribution import KappaDistribution
from lensing_tfds.config_fields.mask import Mask
from lensing_tfds.config_fields.one_over_f import OneOverF
from lensing_tfds.config_fields.optical_depth import OpticalDepth
from lensing_tfds.config_fields.rotation import Rotation
from lensing_tfds.config_fields.tensors import Tensors
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError

_V1: dict[str, Any] = {
    "npix": 50,
    "nside_equiv": 128,
    "T_lmax": 383,
    "kappa_lmax": 50,
    "kappa_exaggeration_factor": 30.0,
}
_V5: dict[str, Any] = {
    "npix": 50,
    "nside_equiv": 4096,
    "T_lmax": 12287,
    "kappa_lmax": 5000,
}

_SURVEY: dict[str, Any] = {
    "npix": 256,
    "lx": 256 * 2.0 / 60,
    "oversampling": 2,
    "num_examples": {"train": 4_000, "validation": 500, "test": 500},
}

_V10: dict[str, Any] = {
    "stokes": "TQU",
    "beam_arcmin": 1.4,
    "noise_uK_arcmin": 1.0,
    "unlensed_E": True,
}

_VERSION_LIST = (
    LensingConfig(
        name="v1",
        **_V1,
        fixed_unlensed=True,
        description="Lensing exaggerated 30 times, one unlensed sky for all examples.",
    ),
    LensingConfig(
        name="v2", **_V1, description="As v1, with a different unlensed sky for each example."
    ),
    LensingConfig(
        name="v3",
        **_V1 | {"kappa_exaggeration_factor": 10.0},
        description="As v2, exaggerated 10 times.",
    ),
    LensingConfig(
        name="v4",
        **_V1 | {"kappa_exaggeration_factor": 1.0},
        description="As v3, not exaggerated.",
    ),
    LensingConfig(name="v5", **_V5, description="As v4, at 0.86' resolution on a 0.7 deg patch."),
    LensingConfig(
        name="v6", npix=100, lx=10.0, description="10 deg patch with every mode the grid carries."
    ),
    LensingConfig(
        name="v7", npix=50, lx=22.9, description="22.9 deg patch with every mode the grid carries."
    ),
    LensingConfig(
        name="v8",
        npix=50,
        lx=22.9,
        kappa_lmax=50,
        noise_uK_arcmin=5.0,
        description="As v7, with noise, and κ of large scales only.",
    ),
    LensingConfig(
        name="v9",
        **_SURVEY,
        beam_arcmin=1.4,
        noise_uK_arcmin=6.0,
        description="Temperature as the Simons Observatory's large telescope sees it.",
    ),
    LensingConfig(
        name="v10",
        **_SURVEY,
        **_V10,
        description="Temperature and polarization as CMB-S4's wide survey would see them.",
    ),
    LensingConfig(
        name="v11",
        **_SURVEY | {"npix": 128, "lx": 5.0},
        stokes="QU",
        beam_arcmin=1.0,
        noise_uK_arcmin=1.0,
        unlensed_E=True,
        description="Polarization, after the set-up of the published residual U-Nets, without its "
        "taper and modulation.",
    ),
    LensingConfig(
        name="v12",
        **_SURVEY,
        stokes="QU",
        beam_arcmin=2.0,
        noise_uK_arcmin=1.0,
        description="Polarization, after the set-up of the published score-based model, without "
        "its mask, 1/f noise and r.",
    ),
    LensingConfig(
        name="v13",
        **_SURVEY,
        stokes="QU",
        beam_arcmin=2.0,
        noise_uK_arcmin=1.0,
        kappa_lmax=3000,
        one_over_f=OneOverF(P_knee=100.0),
        mask=Mask(border=0.4, edge=0.6, multiplies="signal"),
        tensors=Tensors(r_min=1e-6, r_max=0.1),
        description="Polarization, after the set-up of the published score-based model, with its "
        "mask, 1/f noise and r.",
    ),
    LensingConfig(
        name="v14",
        **_SURVEY | {"npix": 128, "lx": 5.0},
        stokes="QU",
        beam_arcmin=1.0,
        noise_uK_arcmin=1.0,
        taper=1.5,
        unlensed_E=True,
        rotation=Rotation(amplitude=1e-6),
        optical_depth=OpticalDepth(rms=5e-3, L_c=400.0),
        description="Polarization, after the set-up of the published residual U-Nets, with their "
        "taper, rotation and modulation.",
    ),
    LensingConfig(
        name="v15",
        **_SURVEY,
        stokes="TQU",
        beam_arcmin=1.4,
        noise_uK_arcmin=6.0,
        one_over_f=OneOverF(T_knee=1000.0, P_knee=700.0),
        hits=Hits(contrast=4.0),
        mask=Mask(border=0.4, edge=0.6, holes=30, hole_radius_arcmin=5.0),
        splits=2,
        description="Temperature and polarization as a wide survey of a large telescope sees "
        "them: masked sources, uneven depth, 1/f noise, two splits.",
    ),
    LensingConfig(
        name="v16",
        **_SURVEY,
        **_V10,
        foregrounds=Foregrounds(),
        description="As v10, with foregrounds at 150 GHz in temperature: what they bias lensing "
        "by.",
    ),
    LensingConfig(
        name="v17",
        **_SURVEY,
        **_V10,
        kappa=KappaDistribution(skewness=0.046, smoothing_arcmin=10.0, correlated=True),
        description="As v10, with a κ that is not Gaussian, and correlated with T and E.",
    ),
)

VERSIONS = {config.name: config for config in _VERSION_LIST}
"""The versions by name: v1 to v8, the study's, of growing difficulty; from v9 on, surveys'."""


def get_config(config: "str | Mapping[str, Any] | LensingConfig") -> LensingConfig:
    """Returns the config meant by a version's name, JSON (text or mapping) or a config itself.

    Args:
      config: as "v8" or "lensing/v8"; a JSON object, or a mapping of its fields; or a config, that
        has a name of its own if it is not a version's.

    Raises:
      LensingError: no such version, JSON that cannot be read, an impossible config, or one that has
        a version's name and is another.
    """
    if isinstance(config, LensingConfig):
        return _under_its_own_name(config)
    if isinstance(config, Mapping):
        return _under_its_own_name(LensingConfig.from_json(config))
    if not isinstance(config, str):
        raise LensingError(
            f"config is {config!r}: give a version's name, JSON, a mapping or a LensingConfig"
        )
    if is_json(config):
        return get_config(strict_json.parse(config, "config"))
    name = config_name(config)
    if name not in VERSIONS:
        if _is_value(config):
            strict_json.parse(config, "config")  # says that it is no object
        raise LensingError(
            f"unknown version {name!r}; the versions are {', '.join(VERSIONS)}; a config of your "
            "own is built from its fields, as by: "
            '--config \'{"name": "wide", "npix": 192, "lx": 20}\''
        )
    return VERSIONS[name]


def _under_its_own_name(config: LensingConfig) -> LensingConfig:
    """Returns a config, or the version that it is, with its description."""
    known = VERSIONS.get(config.name)
    if known is None:
        return config
    differing = differences(known.to_json(), config.to_json())
    if differing:
        raise LensingError(
            f"the name {known.name!r} is taken by another version ({differing}): "
            "give your config a name of its own"
        )
    return known


def is_json(config: str) -> bool:
    """Says whether a text is, or begins as, JSON of more than one word, and is no name."""
    return config.lstrip(strict_json.BYTE_ORDER_MARK + " \t\r\n").startswith(("{", "[", '"'))


def _is_value(text: str) -> bool:
    """Says whether a text is JSON whole, as `null` and `7` are, which might be names too."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def config_name(config: str) -> str:
    """The name in `<name>` or `lensing/<name>`.

    Raises:
      LensingError: the text is another dataset, or the path of a file.
    """
    if ("/" in config or config.lower().endswith(".json")) and os.path.isfile(config):
        raise LensingError(
            f"config is the path of a file, {config}: give what is in it, as by: "
            f'--config "$(cat {shlex.quote(config)})"'
        )
    return dataset_name(config) if "/" in config else config


def dataset_name(dataset: str) -> str:
    """The config's name in `lensing/<name>`.

    Raises:
      LensingError: the dataset is another one, or has no name.
    """
    family, _, name = dataset.partition("/") if isinstance(dataset, str) else ("", "", "")
    if family != "lensing" or not name or "/" in name:
        own = ""
        if isinstance(dataset, str) and dataset.lstrip().startswith("{"):
            own = (
                "; a config of your own is built first, by python -m lensing_tfds.build --config, "
                "and then called lensing/ and its name"
            )
        raise LensingError(
            f"unknown dataset {dataset!r}: expected lensing/<config>, as lensing/v8{own}"
        )
    if ":" in name:
        raise LensingError(
            f"dataset is {dataset!r}: name it without a data version, lensing/"
            f"{name.partition(':')[0]}; the newest one that is there is read"
        )
    return name
