"""Beam's own flags on a command line, as the trainer's commands read them too."""

from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from lensing_tfds.records import beam_flags
from lensing_tfds.records.beam_flags import prepare_beam as prepare_beam


def beam_options(flags: Sequence[str]) -> PipelineOptions:
    """Reads Beam's own flags; without `--runner`, the runner works in this process.

    Raises:
      LensingError: an argument that Beam does not know, which Beam itself would ignore, or a
        runner that it does not have.
    """
    return beam_flags.beam_options(flags)
