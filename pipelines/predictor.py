"""A split's maps estimated by a trained network, by a Beam pipeline over its shards.

The pipeline is that of `pipelines.generate`, with another function for a shard: no example goes
through Beam, and the network is loaded once a worker process. Beam's `RunInference` does not fit:
its elements are examples, whose maps a runner would have to gather again for a file a shard; and it
batches them by `BatchElements`, which gives the last batch of a bundle when the bundle ends, and
what comes then Beam's DaskRunner drops: 16 of 20 elements arrived, without an error.
"""

from __future__ import annotations

import functools
import json
import os
import warnings
from pathlib import Path
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from etils import epath

from estimators.sealed_predictions import (
    DESCRIPTION,
    PredictionDescription,
    PredictionShard,
    read_description,
)
from lensing_tfds.config_differences import differences, map_differences
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.records import storage
from lensing_tfds.records.beam_executor import beam_executor
from lensing_tfds.records.shard_plans import SplitPlan
from lensing_tfds.records.shard_summary import ShardSummary
from lensing_tfds.records.stored_dataset import StoredDataset
from lensing_tfds.release import stamped
from pipelines.predict_worker import (
    NETWORK_FILES,
    Source,
    digest_of,
    predict_shard,
)
from trainer.networks.families import is_fitted
from trainer.runs.checkpoints import BEST, LAST
from trainer.runs.run import Run
from trainer.runs.run_config import CONFIG


def predict_split(
    run: Run,
    dataset: StoredDataset,
    split: str,
    output: str,
    options: PipelineOptions | None = None,
) -> ShardSummary:
    """Writes a run's estimates for a split into a folder, with a description of them.

    Args:
      run: the network.
      dataset: built.
      split: "train", "validation" or "test".
      output: the folder, on a disk or in a bucket that all workers share; made if missing.
      options: Beam's own; None for its defaults.

    Returns:
      What was done.

    Raises:
      LensingError: the run has no finished epoch; the dataset has no such split, or other maps than
        the network takes; the folder holds other predictions; or a worker failed.

    Warns:
      UserWarning: the network was trained on maps of another sky.
    """
    config, num_shards = dataset.config, dataset.plan(split).num_shards
    _refuse_other_maps(run, config)
    if not (run.workdir / "best.keras").exists():
        raise LensingError(f"the run in {run.workdir} has no finished epoch yet")
    _refuse_runs_folder(output)
    plan = SplitPlan(config, split, num_shards, f"{output}/kappa")
    digest = digest_of(str(run.workdir))
    description = PredictionDescription(
        dataset=f"lensing/{config.name}",
        config=config,
        dataset_version=dataset.version,
        split=split,
        num_examples=plan.num_examples,
        num_shards=plan.num_shards,
        model=run.config.model,
        network_sha256=digest,
        workdir=str(run.workdir.absolute()),
        data_dir=dataset.data_dir,
    )
    _refuse_other_predictions(output, plan, description)

    network = f"{output}/network"
    if not storage.is_remote(output):
        storage.make_folder(Path(network))
        storage.remove_abandoned(output)
    for name in NETWORK_FILES:
        with storage.writing(f"{network}/{name}") as file:
            file.write((run.workdir / name).read_bytes())
    source = Source(dataset.data_path, network, digest)
    summary = beam_executor(options, write=functools.partial(predict_shard, source))([plan])
    with storage.writing(f"{output}/{DESCRIPTION}") as file:
        file.write(f"{json.dumps(stamped(description.to_json()), indent=2)}\n".encode())
    return summary


def _refuse_runs_folder(output: str) -> None:
    """Refuses to mix predictions into a run's folder: both have a metrics.json."""
    for name in (CONFIG, BEST, LAST):
        if storage.size(f"{output}/{name}") is not None:
            raise LensingError(
                f"{output} is a run's folder (it holds {name}): predictions go to a folder of "
                "their own; choose another --output"
            )


def _refuse_other_maps(run: Run, config: LensingConfig) -> None:
    def maps(lensing: LensingConfig) -> dict[str, Any]:
        return {"npix": lensing.npix, "stokes": lensing.stokes}

    if changed := differences(maps(run.lensing), maps(config)):
        raise LensingError(
            f"the network in {run.workdir} cannot see the maps of lensing/{config.name}: {changed}"
        )
    if not (changed := map_differences(run.lensing, config)):
        return
    theirs = f"other maps than those of lensing/{config.name}: {changed}"
    if is_fitted(run.config.model):
        raise LensingError(f"the network in {run.workdir} was fitted to {theirs}")
    # How a network does on another sky is a question that people ask.
    warnings.warn(f"the network in {run.workdir} was trained on {theirs}", stacklevel=3)


def _refuse_other_predictions(
    output: str, plan: SplitPlan, description: PredictionDescription
) -> None:
    path = f"{output}/{DESCRIPTION}"
    if storage.size(path) is not None:
        # Where the run and the dataset are plays no part.
        nowhere = {"workdir": "", "data_dir": ""}
        there, here = (d.to_json() | nowhere for d in (read_description(path), description))
        if changed := differences(there, here):
            raise LensingError(
                f"{output} holds other predictions: {changed}; choose another --output"
            )
    ours = {os.path.basename(PredictionShard(spec, "").path) for spec in plan.shards()}
    folder = epath.Path(output)
    for other in sorted(folder.glob("kappa*.npy")) if folder.exists() else ():
        if other.name not in ours:
            raise LensingError(
                f"{output} holds other predictions: {other.name} is none of the "
                f"{plan.num_shards} files to write; choose another --output"
            )
