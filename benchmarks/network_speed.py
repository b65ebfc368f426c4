"""Training steps of each family: examples and arithmetic a second, beside trainer and hardware.

    python -m benchmarks.network_speed v11 v12
    KERAS_BACKEND=jax python -m benchmarks.network_speed v11 --precision bfloat16

"bare" are forward, backward and update on a batch that stays, with the version's recipe; the ratio
is that of the trainer's steps to them, from stored shards, in turns in one process. On a CPU all is
done by one core, and counted are the seconds that it worked for this process: what else the machine
does is left out. The arithmetic
is that of convolutions and Fourier transforms alone. The roof is what these would take if each
read its maps once and wrote them once, at the rates at which this device copies large arrays and
multiplies large matrices, which are measured, and if all else took no time.
"""

import argparse
import dataclasses
import tempfile
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from benchmarks.network_work import Device, clock_of_the_device, measured_device, parts_of
from benchmarks.training_step import Clock, interleaved
from lensing_tfds import VERSIONS
from trainer.data.stored import StoredExamples
from trainer.machine.devices import has_accelerator
from trainer.networks import families
from trainer.settings.config import resolve
from trainer.settings.recipes import recipes_of

MODELS = ("unet", "qe_unet", "unrolled")
SKIES = {"train": 256, "validation": 24, "test": 24}
ROUNDS = 3


def studys(version: str) -> str:
    """The network of the version's study, or what stands for it."""
    names = (recipe.model for recipe in recipes_of(version))
    return next(name for name in names if families.family_of(name) == "stack")


def network(name: str, source: StoredExamples, stored: Any, precision: str) -> Any:
    """Builds a network; the stages of an unrolled one are those that come with the package."""
    from trainer.data.measured import measured_statistics, training_sample
    from trainer.networks.physical import in_physical_units
    from trainer.networks.settings import keras_settings
    from trainer.networks.unrolled import StartedUnrolled, Unrolled
    from trainer.pretrained_models import pretrained

    statistics, parsed = measured_statistics(source), families.parse(name)
    if not isinstance(parsed, Unrolled):
        sample = training_sample(source, stored.spectra)
        return families.build(name, source.task, statistics, 0, precision, sample)
    version = stored.config.name.partition("_")[0]
    found = pretrained(f"lensing/{version}")
    # Which filters the features pass is one for speed; the package keeps none.
    stages = [dataclasses.replace(stage, filters=stage.gains) for stage in found.stages]
    started = StartedUnrolled(parsed, source.task.lensing, found.method, stages)
    with keras_settings(precision):
        built = started.build(source.task, statistics, 0)
        return in_physical_units(built, source.task, statistics.scaling)


def compare(version: str, device: Device, clock: Clock, flags: Any) -> None:
    """Prints a row a network."""
    from lensing_tfds.records.building import build
    from lensing_tfds.records.datasets import open_dataset

    lensing = dataclasses.replace(VERSIONS[version], name=f"{version}_speed", num_examples=SKIES)
    with tempfile.TemporaryDirectory() as folder:
        build(lensing, folder)
        stored = open_dataset(lensing, folder)
        source = StoredExamples(stored)
        for name in flags.models or (studys(version), *MODELS):
            config = resolve(
                *(f"lensing/{version}", folder, lensing),
                model=name,
                precision=flags.precision,
                batch_size=flags.batch_size,
            )
            model = network(name, source, stored, flags.precision)
            parts = parts_of(model, source.task.input_shape)
            table = interleaved(model, source, config, flags.rounds, clock)
            ratios = table[:, 0] / table[:, 1]
            bare = np.median(table[:, 1]) * config.batch_size
            flops = sum(part.times * part.flops for part in parts)
            roof = 1 / device.seconds(parts)
            print(
                f"| {version} | `{name}` | {config.batch_size} | {flops / 1e9:.2f} | {bare:.3g} | "
                f"{bare * flops / 1e9:.0f} | {roof:.3g} | {bare / roof:.0%} | "
                f"{np.median(ratios):.3f} ({ratios.min():.3f}–{ratios.max():.3f}) |",
                flush=True,
            )


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*", default=["v11", "v12"])
    parser.add_argument("--models", nargs="+", default=())
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--batch_size", type=int, help="in place of the recipe's")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    flags = parser.parse_args(argv)
    on_cpu, clock = not has_accelerator(), clock_of_the_device()
    device = measured_device(clock) if on_cpu else measured_device(clock, 8192, 2**28)
    print(
        f"{keras.backend.backend()}, {'a core' if on_cpu else 'a GPU'}, {flags.precision}: "
        f"{device.flops / 1e9:.0f} GFLOP/s of matrix products, {device.bytes / 1e9:.1f} GB/s of "
        "copying\n"
    )
    print(
        "| | network | batch | GFLOP an example | bare examples/s | GFLOP/s | roof, examples/s | "
        "of it | trainer's steps to bare ones |\n| --- | --- |" + " ---: |" * 7
    )
    for version in flags.versions:
        compare(version, device, clock, flags)


if __name__ == "__main__":
    main()
