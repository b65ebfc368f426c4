"""The command builds what `tfds build` builds, by any of Beam's runners and flags."""

import json

import numpy as np
import pytest
import tensorflow_datasets as tfds

from lensing_tfds import LensingConfig, LensingError, simulate
from lensing_tfds.records.beam_executor import DASK_RUNNER
from lensing_tfds.records.beam_flags import beam_options
from pipelines import generate

TINY = LensingConfig(
    "tiny", npix=16, lx=5.0, num_examples={"train": 40, "validation": 7, "test": 5}
)


def test_the_command_builds_what_is_simulated(tmp_path, capsys):
    generate.main(
        ["--config", json.dumps(TINY.to_json()), "--data_dir", str(tmp_path)]
        + ["--num_shards", "3", "--runner", "FnApiRunner"]
    )
    assert "lensing/tiny is in" in capsys.readouterr().out
    builder = tfds.builder("lensing/tiny", data_dir=tmp_path)
    assert builder.info.splits["train"].num_shards == 3
    for split, count in TINY.num_examples.items():
        expected = simulate(TINY, split, range(count))
        examples = list(builder.as_dataset(split=split).as_numpy_iterator())
        for name in expected:
            np.testing.assert_array_equal([e[name] for e in examples], expected[name])


def test_without_a_runner_beam_works_in_this_process():
    assert beam_options([]).get_all_options()["runner"] == "FnApiRunner"
    for runner in ("FlinkRunner", DASK_RUNNER):
        name = runner.rpartition(".")[2]
        assert beam_options(["--runner", name]).get_all_options()["runner"] == runner


def test_a_flag_that_nobody_knows_is_an_error():
    with pytest.raises(LensingError, match="knows the flag --num_shrads"):
        beam_options(["--num_shrads", "3"])
    with pytest.raises(LensingError, match="knows the flag --data-dir"):
        beam_options(["--runner", "FnApiRunner", "--data-dir=/data"])
    with pytest.raises(LensingError, match="stray argument 'v8'"):
        beam_options(["--runner", "FnApiRunner", "v8"])
    with pytest.raises(LensingError, match="runner 'SpeedyRunner'"):
        beam_options(["--runner", "SpeedyRunner"])


def test_flags_reach_beam_unsplit():
    labels = ["--labels", "a=1,b=2", "--labels=c=3,4"]
    options = beam_options(["--runner", "FnApiRunner", *labels]).get_all_options()
    assert options["labels"] == ["a=1,b=2", "c=3,4"]


def test_a_flag_of_a_job_server_is_left_to_it(capsys):
    flags = ["--runner", "FlinkRunner", "--parallelism", "2", "--flink_conf_dir", "conf"]
    beam_options(flags)
    assert capsys.readouterr().err == (
        "note: --flink_conf_dir is left to the job server of FlinkRunner\n"
    )


def test_bad_input_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        generate.main(["--config", "v99", "--data_dir", str(tmp_path)])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("error: unknown version 'v99'; the versions are v1")
