"""Lensing alone, of the same fields on one core: ours against pixell's, with each one's error.

pixell has two flat-sky remaps: `displace_map`, a cubic spline, as most users have it, and
`lens_map_flat`, a Fourier interpolation. Both are given single precision, which is quicker.
"""

import os
import statistics
import time

import numpy as np

from lensing_tfds import LensingConfig, simulate
from lensing_tfds.simulation import block_size
from lensing_tfds.sky import lensing

ROUNDS = 5
SECONDS = 0.4  # of each in a round
CODES = ("ours", "displace_map", "lens_map_flat")


def rate(lens, count: int) -> float:
    """Calls a function that lenses `count` maps for a while; returns maps per second.

    Seconds of this process: one thread lenses, and what else the machine does is left out.
    """
    calls, began = 0, time.process_time()
    while time.process_time() - began < SECONDS:
        lens()
        calls += 1
    return calls * count / (time.process_time() - began)


def compare(npix: int) -> None:
    """Prints, for each code, maps per second, how many times faster ours is, and the errors."""
    from pixell import enmap
    from pixell import lensing as pixell_lensing

    block = block_size(npix)
    config = LensingConfig("pixell", npix=npix, lx=10.0)
    sky = config.sky
    examples = simulate(config, "train", range(block))
    T, kappa = (
        sky.to_modes(examples[name][..., 0].astype(float)) for name in ("unlensed", "kappa")
    )
    deflection = lensing.deflection_from_kappa(kappa, sky)
    truth = lensing.remap(T, deflection, sky)
    T_single, kappa_single = T.astype(np.complex64), kappa.astype(np.complex64)
    out = np.empty(truth.shape, np.float32)
    our_lens = lensing.Lens(sky, block)

    edge = sky.side / 2
    _, wcs = enmap.geometry([[-edge, -edge], [edge, edge]], shape=(npix, npix), proj="plain")
    unlensed = enmap.ndmap(examples["unlensed"][0, ..., 0], wcs)
    phi = sky.to_map(lensing.phi_from_kappa(kappa[0], sky))
    phi = enmap.ndmap(phi.astype(np.float32), wcs)

    def ours():
        our_lens.remap([T_single], kappa_single, out[None])
        return out[0]

    def displace_map():
        positions = unlensed.pixmap() + enmap.grad_pix(phi)
        return pixell_lensing.displace_map(unlensed, positions, order=3)

    def lens_map_flat():
        return pixell_lensing.lens_map_flat(unlensed, phi)

    signal = (truth[0] - examples["unlensed"][0, ..., 0]).std()
    inner = slice(npix // 10, -(npix // 10))
    off = [np.asarray(lens()) - truth[0] for lens in (ours, displace_map, lens_map_flat)]
    rates = np.array(
        [[rate(ours, block), rate(displace_map, 1), rate(lens_map_flat, 1)] for _ in range(ROUNDS)]
    )
    for i, code in enumerate(CODES):
        ratios = rates[:, 0] / rates[:, i]
        times = f"{statistics.median(ratios):5.1f}x ({ratios.min():.1f}-{ratios.max():.1f})"
        print(
            f"{npix:5} {code:>14} {np.median(rates[:, i]):8.0f} {times if i else '':>19}"
            f" {off[i].std() / signal:9.1e} {off[i][inner, inner].std() / signal:14.1e}"
        )


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # pixell's threads; read when it is first imported
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(
        f"{'npix':>5} {'':>14} {'maps/s':>8} {'ours is faster by':>19} {'error':>9} "
        f"{'without edges':>14}"
    )
    for npix in (50, 100, 128, 256, 512):
        compare(npix)


if __name__ == "__main__":
    main()
