"""Examples of the survey versions per second of one core: ours, pixell's, and the hardware's limit.

Ours and pixell's are interleaved in one run. "Whole" is all of an example: fields drawn, lensed on
the internal grid, smoothed, cut to the output grid, noise added, labels made (see `pixell_recipe`).
"Lensing" is lensing alone: ours from the modes of the fields and of κ to lensed maps; pixell's
`lens_map_flat`, from maps of the fields and of φ that it is given. The limit is that of
`hardware_limit`.
"""

import os
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks import hardware_limit, pixell_recipe
from benchmarks.pixell_lensing import rate
from lensing_tfds import VERSIONS, LensingConfig
from lensing_tfds.simulation import Simulator, block_size
from lensing_tfds.sky import lensing

ROUNDS = 5
NAMES = ("v9", "v10", "v11", "v12")


def whole_examples(config: LensingConfig) -> tuple[Callable[[], object], int, Callable[[], object]]:
    """Returns a call that makes a block of our examples, its size, and one for one of pixell's."""

    def blocks() -> Iterator[object]:
        while True:
            yield from Simulator(config, "train").examples(range(10**6))

    ours = blocks()
    next(ours)  # what is computed once is not part of the rate
    return (
        lambda: next(ours),
        block_size(config.internal.npix),
        pixell_recipe.Simulator(config).example,
    )


def lensing_alone(config: LensingConfig) -> tuple[Callable[[], object], int, Callable[[], object]]:
    """The same of lensing alone, of fields with the version's spectra."""
    from pixell import lensing as pixell_lensing

    sky, block = config.internal, block_size(config.internal.npix)
    theirs = pixell_recipe.Simulator(config)
    maps, phi = theirs.to_lens(*theirs.draw())
    kappa = lensing.kappa_from_phi(sky.to_modes(np.asarray(phi)), sky)[None].repeat(block, axis=0)
    fields = [sky.to_modes(np.asarray(channel))[None].repeat(block, axis=0) for channel in maps]
    lens = lensing.Lens(sky, block, len(fields))
    out = np.empty((len(fields), block, sky.npix, sky.npix), np.float32)

    def ours() -> object:
        lens.remap(fields, kappa, out)
        return out

    return ours, block, lambda: pixell_lensing.lens_map_flat(maps, phi)


def compare(name: str) -> None:
    """Prints a row: rates, ratios with the lowest and highest of the rounds, share of the limit."""
    config = VERSIONS[name]
    ours, block, theirs = whole_examples(config)
    our_lens, _, their_lens = lensing_alone(config)
    rates = np.array(
        [
            [rate(ours, block), rate(theirs, 1), rate(our_lens, block), rate(their_lens, 1)]
            for _ in range(ROUNDS)
        ]
    )
    limit = 1e3 / hardware_limit.milliseconds(config)["limit"]
    new, old, new_lens, old_lens = np.median(rates, axis=0)
    cells = [
        name,
        f"{new:.0f}",
        f"{old:.1f}",
        _ratio(rates[:, 0] / rates[:, 1]),
        f"{new_lens:.0f}",
        f"{old_lens:.1f}",
        _ratio(rates[:, 2] / rates[:, 3]),
        f"{limit:.0f}",
        f"{new / limit:.0%}",
    ]
    print("| " + " | ".join(cells) + " |", flush=True)


def _ratio(ratios: np.ndarray) -> str:
    return f"{np.median(ratios):.1f} ({ratios.min():.1f}–{ratios.max():.1f})"


def print_limit() -> None:
    """Prints the arithmetic of the limit."""
    core = hardware_limit.rates()
    print(
        f"\nThis core: transforms {core.flops / 1e9:.1f} GFLOP/s, products and sums "
        f"{core.products / 1e9:.1f} G/s, copying {core.bytes / 1e9:.1f} GB/s, random numbers "
        f"{core.numbers / 1e9:.2f} G/s\n"
    )
    print("| | transforms | interpolation | random numbers | sum |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in NAMES:
        need = hardware_limit.counts(VERSIONS[name])
        times = hardware_limit.milliseconds(VERSIONS[name])
        print(
            f"| {name} | {need.flops / 1e6:.1f} MFLOP, {times['transforms']:.2f} ms "
            f"| {need.products / 1e6:.1f} M, {need.bytes / 1e6:.1f} MB, "
            f"{times['interpolation']:.2f} ms "
            f"| {need.numbers / 1e6:.2f} M, {times['random numbers']:.2f} ms "
            f"| {times['limit']:.2f} ms |"
        )


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # pixell's threads; read when it is first imported
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core, for both
    print(
        "| | whole: ours | pixell | ratio | lensing: ours | pixell | ratio | limit | ours / limit |"
    )
    print("| --- |" + " ---: |" * 8)
    for name in NAMES:
        compare(name)
    print_limit()


if __name__ == "__main__":
    main()
