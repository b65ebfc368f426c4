"""Errors of the study's interpolation and edges, as a share of the lensing signal."""

import dataclasses

import numpy as np

from benchmarks import study_recipe
from lensing_tfds import VERSIONS, simulate
from lensing_tfds.sky import lensing
from lensing_tfds.sky.flat_sky import FlatSky

EXAMPLES = 20
STUDY = [config for config in VERSIONS.values() if config.oversampling == 1]  # its versions


def main() -> None:
    print("rms error / rms lensing signal, over", EXAMPLES, "examples, deflections being the same")
    print(f"{'version':>8} {'study':>8} {'without edges':>14}")
    for version in STUDY:
        config = dataclasses.replace(version, name="noiseless", noise_uK_arcmin=0)
        sky = FlatSky(config.npix, config.side)
        examples = simulate(config, "train", range(EXAMPLES))
        squares = np.zeros(3)
        for lensed, unlensed, kappa in zip(
            *(examples[name][..., 0].astype(float) for name in ("lensed", "unlensed", "kappa")),
            strict=True,
        ):
            d_y, d_x = lensing.deflection_from_kappa(sky.to_modes(kappa), sky)
            study = study_recipe.remap(unlensed, d_y / sky.pixel, d_x / sky.pixel)
            inner = slice(config.npix // 10, -(config.npix // 10))
            error, signal = study - lensed, lensed - unlensed
            squares += [np.mean(x**2) for x in (error, error[inner, inner], signal)]
        whole, inner_only, signal_rms = np.sqrt(squares)
        print(f"{version.name:>8} {whole / signal_rms:8.1%} {inner_only / signal_rms:14.1%}")


if __name__ == "__main__":
    main()
