"""Beam writes every shard once, by a graph of constant size, and says what it did."""

import itertools

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from hypothesis import given
from hypothesis import strategies as st

from lensing_tfds import LensingConfig, LensingError
from lensing_tfds.records.beam_executor import MAX_RANGES, WriteShards, _as_lensing_error, ranges
from lensing_tfds.records.beam_executor import beam_executor as executor_of
from lensing_tfds.records.shard_plans import SplitPlan
from lensing_tfds.records.shard_summary import ShardSummary
from lensing_tfds.records.shards import write_shard


@pytest.fixture
def plans(tiny, tmp_path):
    return [SplitPlan(tiny, split, 3, f"{tmp_path}/{split}") for split in tiny.num_examples]


def graph(num_shards):
    config = LensingConfig(
        "many", npix=16, lx=5.0, num_examples={"train": 10**7, "validation": 1, "test": 1}
    )
    pipeline = beam.Pipeline()
    pipeline | WriteShards([SplitPlan(config, "train", num_shards, "/nowhere")], "/nowhere/report")
    return pipeline.to_runner_api()


def test_a_million_shards_make_a_small_graph_of_as_many_transforms_as_two():
    many, few = graph(10**6), graph(2)
    assert len(many.SerializeToString()) < 10**6
    assert len(many.components.transforms) == len(few.components.transforms)


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=3), st.integers(1, MAX_RANGES))
def test_ranges_are_few_and_hold_every_shard_once(counts, at_most):
    config = LensingConfig(
        "any", npix=16, lx=5.0, num_examples=dict.fromkeys(("train", "validation", "test"), 10**8)
    )
    plans = [SplitPlan(config, "train", count, "/nowhere") for count in counts]
    cut = list(ranges(plans, at_most))
    assert len(cut) <= max(at_most, len(plans)) + len(plans)
    for number, pieces in itertools.groupby(cut, key=lambda piece: piece[0]):
        bounds = [(first, stop) for _, first, stop in pieces]
        assert bounds[0][0] == 0 and bounds[-1][1] == counts[number]
        assert all(a[1] == b[0] for a, b in itertools.pairwise(bounds))
        assert all(first < stop for first, stop in bounds)
    assert [number for number, _ in itertools.groupby(p[0] for p in cut)] == [*range(len(plans))]


def test_the_summary_is_that_of_the_shards(plans, tmp_path):
    spec = next(plans[0].shards())
    write_shard(spec)
    summary = executor_of()(plans)
    written = ShardSummary.of(write_shard(spec) for plan in plans for spec in plan.shards())
    for plan in plans:
        found, expected = summary[plan.split], written[plan.split]
        assert found.shards == expected.shards == 3
        assert found.num_examples == plan.num_examples
        assert found.num_bytes == expected.num_bytes
        assert found.reused == (plan.split == spec.split)
        assert 0 < found.seconds_min <= found.seconds_max <= found.seconds
    assert not list(tmp_path.glob("beam-summary*"))


def test_what_a_worker_says_is_one_line(plans, tmp_path):
    spec = next(plans[1].shards())
    (tmp_path / spec.path).mkdir()
    with pytest.raises(LensingError) as caught:
        executor_of()(plans)
    assert str(caught.value).startswith(f"cannot write {spec.path}: Is a directory: a file belongs")
    assert "\n" not in str(caught.value) and "while running" not in str(caught.value)
    assert not list(tmp_path.glob("beam-summary*"))


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (LensingError("cannot write /d: full [while running 'Write']"), "cannot write /d: full"),
        (
            RuntimeError(
                "Pipeline failed in state FAILED: java.lang.X: Error received from SDK harness\n"
                "Traceback (most recent call last):\n"
                "lensing_tfds.errors.LensingError: cannot write /d: full [while running 'W']\n\n"
                "\tat org.apache.flink.Y"
            ),
            "cannot write /d: full",
        ),
        (
            ValueError("Traceback:\n  lost the cluster\n"),
            "Some failed: lost the cluster (finished)",
        ),
        (ValueError(), "Some failed: ValueError (finished)"),
    ],
)
def test_every_runner_wraps_errors_in_its_own_way(raised, line):
    assert str(_as_lensing_error("Some", raised, " (finished)")) == line


def test_a_runner_whose_workers_see_another_disk_is_an_error(plans, monkeypatch):
    monkeypatch.setattr("lensing_tfds.records.storage.size", lambda path: None)
    with pytest.raises(LensingError, match="has no report of it: do its workers see that folder"):
        executor_of()(plans)


def test_the_runner_given_wins_over_that_of_the_options(plans):
    options = PipelineOptions(["--runner", "SpeedyRunner"])
    with pytest.raises(LensingError, match="SpeedyRunner"):
        executor_of(options)(plans)
    summary = executor_of(options, "FnApiRunner")(plans)
    assert summary.total.shards == 9
    assert options.view_as(StandardOptions).runner == "SpeedyRunner"


def test_dask_gets_more_than_one_partition():
    from apache_beam.runners.dask.dask_runner import DaskOptions

    options = PipelineOptions(["--runner", "DaskRunner"])
    executor_of(options)
    assert options.view_as(DaskOptions).npartitions > 1
    chosen = PipelineOptions(["--runner", "DaskRunner", "--dask_partition_size", "2"])
    executor_of(chosen)
    assert chosen.view_as(DaskOptions).npartitions is None
