"""What stands in a build's or a reader's way is one line: which file, what is wrong, what to do."""

import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from lensing_tfds import LensingError
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.records import shard_seals, shards, storage
from lensing_tfds.records.datasets import absolute_data_dir
from lensing_tfds.records.local_executor import write_locally
from lensing_tfds.records.reading import evaluation_batches
from lensing_tfds.records.stored_dataset import read_dataset
from pipelines import verify


@pytest.fixture
def built(tmp_path, tiny):
    return build(tiny, tmp_path)


def build(config, data_dir, **download_config):
    builder = Builder(config=config, data_dir=data_dir)
    builder.check_shards = True
    settings = tfds.download.DownloadConfig(num_shards=3, **download_config)
    builder.download_and_prepare(download_config=settings)
    return builder


def shard_of(builder):
    return next(pathlib.Path(builder.data_dir).glob("*train*00001-of-00003"))


def test_a_folder_in_a_shards_place_is_named_by_all(tmp_path, tiny, built, capsys):
    shard = shard_of(built)
    shard.unlink()
    shard.mkdir()
    line = f"{shard}: Is a directory: a file belongs there; move the folder away"
    with pytest.raises(LensingError, match=f"cannot write {line}"):
        build(tiny, tmp_path)
    with pytest.raises(LensingError, match=f"cannot read {line}"):
        list(evaluation_batches(read_dataset(str(built.data_path)), "train", 8))
    with pytest.raises(SystemExit):
        verify.main(["--dataset", "lensing/tiny", "--data_dir", str(tmp_path)])
    assert f"shard {shard} cannot be verified: cannot read {line}" in capsys.readouterr().out
    shard.rmdir()
    assert build(tiny, tmp_path).summary.total.reused == 8


@pytest.fixture
def unreadable(monkeypatch):
    """Makes files unreadable, for root too, who runs tests in containers."""
    forbidden = set()
    opened = open

    def refusing(file, *arguments, **settings):
        if str(file) in forbidden:
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, *arguments, **settings)

    monkeypatch.setattr(storage, "open", refusing, raising=False)
    return forbidden


def test_a_shard_that_may_not_be_read_is_named_and_written_again(tmp_path, tiny, built, unreadable):
    shard = shard_of(built)
    unreadable.add(str(shard))
    plan = read_dataset(str(built.data_path)).plan("train")
    (spec,) = [s for s in plan.shards() if s.path == str(shard)]
    line = f"cannot read {shard}: Permission denied: let your user"
    assert f"cannot be verified: {line}" in shard_seals.damage(spec)
    with pytest.raises(LensingError, match=line):
        list(shards.read_shard(spec))
    os.chmod(shard, stat.S_IRUSR)
    again = Builder(config=tiny, data_dir=tmp_path)
    again.check_shards = True
    again.executor = lambda plans: write_locally(plans, workers=1)
    again.download_and_prepare()
    assert again.summary.total.reused == 8


def test_a_dataset_that_is_removed_while_it_is_built_is_one_line(tmp_path, tiny):
    builder = Builder(config=tiny, data_dir=tmp_path)

    def removed_before(plans):
        shutil.rmtree(builder.data_dir)
        return write_locally(plans, workers=1)

    builder.executor = removed_before
    with pytest.raises(LensingError, match="cannot write .*: No such file or directory"):
        builder.download_and_prepare()

    def removed_after(plans):
        summary = write_locally(plans, workers=1)
        next(pathlib.Path(builder.data_dir).glob("*train*-of-0000?")).unlink()
        return summary

    builder.executor = removed_after
    with pytest.raises(LensingError, match="train.tfrecord.* was written, and is gone"):
        builder.download_and_prepare()
    assert not builder.is_prepared()


@pytest.mark.parametrize("kind", ["ftp", "http", "memory"])
def test_a_kind_of_bucket_that_is_not_known_is_one_line(tiny, kind):
    line = f"{kind}:// is no bucket that is known (s3://, gs://, az://)"
    with pytest.raises(LensingError, match=re.escape(line)):
        Builder(config=tiny, data_dir=f"{kind}://host/folder")
    with pytest.raises(LensingError, match=re.escape(line)):
        absolute_data_dir(f"{kind}://host/folder")


def test_a_bucket_without_credentials_is_one_line(s3, tiny, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    type(s3).clear_instance_cache()
    line = "cannot read s3://maps/lensing: .*: set the bucket's credentials, as AWS_ACCESS_KEY_ID"
    with pytest.raises(LensingError, match=line):
        Builder(config=tiny, data_dir="s3://maps")


def test_overwriting_removes_nothing_behind_a_link(tmp_path, tiny, built):
    folder = pathlib.Path(built.data_dir)
    elsewhere = folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(elsewhere)
    before = sorted(path.name for path in elsewhere.iterdir())
    assert build(tiny, tmp_path).summary.total.reused == 9  # a link is no obstacle to a build
    with pytest.raises(LensingError, match=f"{folder} is a symbolic link, .* leave --overwrite"):
        build(tiny, tmp_path, download_mode=tfds.GenerateMode.REUSE_CACHE_IF_EXISTS)
    assert sorted(path.name for path in elsewhere.iterdir()) == before


def tfds_build(*flags):
    command = [str(pathlib.Path(sys.executable).with_name("tfds")), "build", "lensing_tfds"]
    return subprocess.run([*command, *flags], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("flags", [["--num_shards", "0"], ["--num_shards=0"]])
def test_the_tfds_command_does_not_ignore_a_number_of_shards_that_is_zero(tmp_path, flags):
    done = tfds_build("--config", "v8", "--data_dir", str(tmp_path), *flags)
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1] == "error: num_shards is 0: must be at least 1"


def test_the_tfds_command_builds_into_a_bucket(s3, tiny):
    s3.mkdir("typed")
    done = tfds_build("--config", json.dumps(tiny.to_json()), "--data_dir", "s3://typed")
    assert done.returncode == 0, done.stderr[-2000:]
    assert s3.glob("typed/lensing/tiny/*/checksums.json")
    s3.rm("typed", recursive=True)


def test_the_tfds_command_says_that_a_link_is_in_the_way(tmp_path, tiny, built):
    folder = pathlib.Path(built.data_dir)
    folder.symlink_to(folder.rename(tmp_path / "elsewhere"))
    config = json.dumps(tiny.to_json())
    done = tfds_build("--config", config, "--data_dir", str(tmp_path), "--overwrite")
    assert done.stderr.splitlines()[-1].startswith(f"error: {folder} is a symbolic link")
