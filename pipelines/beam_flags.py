"""Beam's own flags on a command line; the trainer's commands read them too."""

from lensing_tfds.records.beam_flags import beam_options as beam_options
from lensing_tfds.records.beam_flags import prepare_beam as prepare_beam
