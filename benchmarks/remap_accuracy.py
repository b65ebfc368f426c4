"""Errors of our lensed maps against the sum over all modes, as a share of the lensing signal.

Of T, or of Q where there is no T, on the pixels on which a version is lensed: its internal grid.
"""

import dataclasses

import numpy as np

from lensing_tfds import VERSIONS, simulate
from lensing_tfds.sky import lensing

EXAMPLES = 20


def errors(version: str) -> np.ndarray:
    """Returns rms error / rms lensing signal of each of some noiseless examples of a version.

    The truth is made in double precision, by ducc0's non-uniform FFT at 1e-12, from the unlensed
    map and κ that the examples hold.
    """
    internal = VERSIONS[version].internal
    config = dataclasses.replace(
        VERSIONS[version].without_noise(),
        name="lensed_alone",
        npix=internal.npix,
        oversampling=1,
        beam_arcmin=0,
        taper=0,
        mask=None,
        rotation=None,
        optical_depth=None,
        foregrounds=None,
    )
    sky = config.sky
    examples = simulate(config, "train", range(EXAMPLES))
    lensed, unlensed, kappa = (
        examples[name][..., 0].astype(float) for name in ("lensed", "unlensed", "kappa")
    )
    deflection = lensing.deflection_from_kappa(sky.to_modes(kappa), sky)
    truth = lensing.remap(sky.to_modes(unlensed), deflection, sky)
    return (lensed - truth).std(axis=(1, 2)) / (truth - unlensed).std(axis=(1, 2))


def main() -> None:
    print(f"rms error / rms lensing signal of {EXAMPLES} examples")
    print(f"{'version':>8} {'median':>8} {'largest':>8}")
    for version in VERSIONS:
        ratios = errors(version)
        print(f"{version:>8} {np.median(ratios):8.1e} {ratios.max():8.1e}")


if __name__ == "__main__":
    main()
