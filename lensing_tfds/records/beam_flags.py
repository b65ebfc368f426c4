"""Beam's own flags on a command line, and a process set up for Beam."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.runner import create_runner

from lensing_tfds.errors import LensingError
from lensing_tfds.records.beam_executor import known_runner

JOB_SERVER_RUNNERS = ("FlinkRunner", "PortableRunner", "SparkRunner")
"""Runners whose job server has flags of its own, which nobody knows before it runs."""


def beam_options(flags: Sequence[str]) -> PipelineOptions:
    """Reads Beam's own flags; without `--runner`, the runner works in this process.

    Raises:
      LensingError: an argument that Beam does not know, which Beam itself would ignore, or a
        runner that it does not have.
    """
    for before, flag in zip(["", *flags], flags, strict=False):
        if not flag.startswith("-") and (not before.startswith("-") or "=" in before):
            raise LensingError(f"stray argument {flag!r}: flags start with --")
    options = PipelineOptions(list(flags))
    standard = options.view_as(StandardOptions)
    standard.runner = known_runner(standard.runner)
    try:
        create_runner(standard.runner)  # which also lets Beam know the runner's own flags
    except (ValueError, ImportError) as error:
        raise LensingError(f"runner {standard.runner!r}: {error}") from error
    known = options.get_all_options()
    given = options.get_all_options(drop_default=True, retain_unknown_options=True)
    unknown = set(given) - set(known)
    for flag in flags:
        typed = flag.split("=")[0]
        if typed.lstrip("-").replace("-", "_") not in unknown:
            continue
        if standard.runner not in JOB_SERVER_RUNNERS:
            raise LensingError(f"neither this command nor Beam knows the flag {typed}")
        print(f"note: {typed} is left to the job server of {standard.runner}", file=sys.stderr)
    return options


def prepare_beam(verbose: bool) -> None:
    """Sets this process up for a command that runs a pipeline.

    Args:
      verbose: let Beam log failures itself, tracebacks and all.
    """
    if not verbose:
        logging.getLogger().setLevel(logging.CRITICAL)
    # Beam starts worker processes on this machine, where it does, as just `python`.
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
