"""Runs every benchmark: `python -m benchmarks`; a single one: `python -m benchmarks.kernel`."""

import subprocess
import sys

NAMES = (
    "study_remap",
    "remap_accuracy",
    "resolution",
    "kernel",
    "pixell_lensing",
    "survey_speed",
    "gather",
    "estimator_proof",
    "quadratic_estimator",
    "iterated_estimator",
    "iterated_speed",
    "maximum_a_posteriori",
    "build",
    "memory",
    "reading",
    "fresh_skies",
    "training_step",
    "network_speed",
    "periodic_padding",
    "batched_transforms",
    "quadratic_layer",
)

for name in NAMES:  # each in a process of its own: some keep to one core
    module = f"benchmarks.{name}"
    print(f"\n{module}\n", flush=True)
    subprocess.run([sys.executable, "-m", module], check=True)
