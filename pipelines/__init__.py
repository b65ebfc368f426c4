"""Beam: the dataset's work on many machines.

On the command line, each with `--help`:

    python -m pipelines.generate --config v8        # a version of the dataset
    python -m pipelines.verify --dataset lensing/v8     # every shard against its checksum
    python -m pipelines.validate --dataset lensing/v8   # a dataset against theory
    python -m pipelines.predict --workdir RUN --output DIR   # a network's estimates for a split
    python -m pipelines.card --dataset lensing/v8       # what a dataset is, on one page

In Python nothing is imported before a name is used: `damaged_shards` verifies,
`validate_shards` measures and judges, `predict_split` estimates; `beam_options` reads Beam's flags.
"""

from typing import TYPE_CHECKING

from lensing_tfds.public_names import imported_when_used

if TYPE_CHECKING:
    from lensing_tfds.records.beam_flags import beam_options
    from pipelines.predictor import predict_split
    from pipelines.validation.validated import validate_shards
    from pipelines.verify import damaged_shards

__all__ = [
    "beam_options",
    "damaged_shards",
    "predict_split",
    "validate_shards",
]

__getattr__, __dir__ = imported_when_used(
    __name__,
    {
        "beam_options": "lensing_tfds.records.beam_flags",
        "damaged_shards": ".verify",
        "predict_split": ".predictor",
        "validate_shards": ".validation.validated",
    },
)
