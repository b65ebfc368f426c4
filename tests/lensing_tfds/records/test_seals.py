"""Every file of a dataset is sealed: damage is named, never used, never blamed on good shards."""

import dataclasses
import json
import pathlib
import re
import shutil

import pytest
import tensorflow_datasets as tfds

from lensing_tfds import LensingConfig, LensingError, cosmology, simulate
from lensing_tfds.configs import DATASET_VERSION
from lensing_tfds.lensing_tfds_dataset_builder import Builder
from lensing_tfds.records import reading, seals, shard_seals
from lensing_tfds.records.datasets import open_built
from lensing_tfds.records.stored_dataset import read_dataset
from lensing_tfds.sky import spectra
from pipelines import verify
from tests.old_datasets import make_old

TINY = LensingConfig(
    "tiny",
    npix=16,
    lx=5.0,
    noise_uK_arcmin=2.0,
    num_examples={"train": 40, "validation": 7, "test": 5},
)
SEALED = ["checksums.json", "dataset_info.json", "features.json", "metadata.json"]


def build(folder, config=TINY, check=True, num_shards=None, **download_config):
    builder = Builder(config=config, data_dir=folder)
    builder.check_shards = check
    settings = tfds.download.DownloadConfig(num_shards=num_shards, **download_config)
    builder.download_and_prepare(download_config=settings)
    return builder


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("intact")
    build(folder, num_shards=2)
    return folder


@pytest.fixture
def dataset(intact, tmp_path) -> pathlib.Path:
    """The folder of a copy, to be spoilt."""
    shutil.copytree(intact / "lensing", tmp_path / "lensing")
    return tmp_path / "lensing" / "tiny" / DATASET_VERSION


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def damaged(content):
    """The ways: bytes flipped all over the file, and the file cut at many lengths."""
    for place in range(0, len(content), 61):
        yield content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]
    for length in {0, 1, len(content) // 2, len(content) - 1, *range(0, len(content), 307)}:
        yield content[:length]


@pytest.mark.parametrize("name", SEALED)
def test_a_damaged_file_is_refused_by_its_name_and_nothing_else_is(dataset, name):
    path = dataset / name
    command = "tfds build lensing --imports lensing_tfds --config "
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(LensingError, match=rf"^{re.escape(str(path))} is .*{command}") as error:
            read_dataset(str(dataset))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", SEALED)
@pytest.mark.parametrize("change", [lambda content: content[:-9], lambda content: b""])
def test_a_builder_uses_no_damaged_file_and_mends_it(tmp_path, dataset, name, change):
    before = contents(dataset)
    path = dataset / name
    path.write_bytes(change(path.read_bytes()))
    builder = Builder(config=TINY, data_dir=tmp_path)  # it must exist to mend the dataset
    with pytest.raises(LensingError, match=f"{path} is damaged"):
        builder.download_and_prepare()
    with pytest.raises(LensingError, match=f"{path} is damaged"):
        builder.as_dataset(split="train")
    with pytest.raises(LensingError, match=f"{path} is damaged"):
        tfds.load("lensing", builder_kwargs={"config": TINY}, data_dir=tmp_path)
    mended = build(tmp_path)
    assert contents(dataset) == before
    assert mended.summary.total.reused == mended.summary.total.shards == 6
    assert len(list(mended.as_dataset(split="train"))) == 40


@pytest.mark.parametrize("old_new", [("2.0", "3.0"), ('"npix": 16', '"npix": 20')])
def test_a_changed_digit_of_the_config_is_not_the_shards_fault(tmp_path, dataset, capsys, old_new):
    path = dataset / "metadata.json"
    text = path.read_text()
    assert text.count(old_new[0]) == 1
    path.write_text(text.replace(*old_new))
    with pytest.raises(SystemExit) as caught:
        verify.main(["--dataset", "lensing/tiny", "--data_dir", str(tmp_path)])
    assert caught.value.code == 1
    out, err = capsys.readouterr()
    assert out == f"{path} is damaged: its checksum differs\n"
    assert '"npix": ...' in err  # not what the damaged file says
    with pytest.raises(LensingError, match=f"{path} is damaged"):
        open_built("tiny", str(tmp_path))
    build(tmp_path)
    verify.main(["--dataset", "lensing/tiny", "--data_dir", str(tmp_path)])


def test_a_changed_number_of_examples_is_not_used(tmp_path, dataset):
    path = dataset / "dataset_info.json"
    text = path.read_text()
    assert text.count('"20"') == 2  # shardLengths of train
    path.write_text(text.replace('"20"', '"10"', 1))
    with pytest.raises(LensingError, match=f"{path} is damaged"):
        open_built("tiny", str(tmp_path))
    make_old(dataset)
    with pytest.raises(LensingError, match="30 train examples in shards of other lengths than"):
        open_built("tiny", str(tmp_path))


def test_a_damaged_seal_of_a_shard_is_named_and_a_new_one_is_made(dataset, tmp_path):
    before = contents(dataset)
    for spec in read_dataset(str(dataset)).plan("train").shards():
        path = pathlib.Path(spec.seal_path)
        for content in damaged(path.read_bytes()):
            path.write_bytes(content)
            found = shard_seals.damage(spec)
            assert found == f"cannot be verified: the checksum beside it is damaged ({path})"
    build(tmp_path)
    assert contents(dataset) == before


def test_with_damaged_metadata_no_other_config_takes_the_folder_over(tmp_path, dataset):
    before = contents(dataset)
    (dataset / "metadata.json").write_bytes(b"{")
    for change in ({"noise_uK_arcmin": 3.0}, {"seed": 7}, {"npix": 18}):
        with pytest.raises(LensingError, match="the shards there are of another config"):
            build(tmp_path, dataclasses.replace(TINY, **change))
    build(tmp_path)
    assert contents(dataset) == before


def test_an_old_dataset_without_checksums_opens_and_the_build_command_adds_them(
    tmp_path, dataset, capsys
):
    before = contents(dataset)
    before |= make_old(dataset)
    open_built("tiny", str(tmp_path))
    build(tmp_path, check=False)
    assert not (dataset / seals.FILE).exists()
    verify.main(["--dataset", "lensing/tiny", "--data_dir", str(tmp_path)])
    assert "to add them: tfds build lensing" in capsys.readouterr().out
    with pytest.raises(LensingError, match="holds another config"):
        build(tmp_path, dataclasses.replace(TINY, seed=7))
    build(tmp_path)
    assert contents(dataset) == before


@pytest.mark.parametrize("name", ["metadata.json", "features.json", "dataset_info.json"])
def test_unreadable_files_of_an_old_dataset_are_one_line_and_mended(tmp_path, dataset, name):
    before = contents(dataset)
    before |= make_old(dataset)
    (dataset / name).write_bytes(before[name][: len(before[name]) // 2])
    with pytest.raises(LensingError, match=f"{name}.* is damaged"):
        open_built("tiny", str(tmp_path))
    if name != "features.json":  # which a builder that knows the config does not read
        with pytest.raises(LensingError, match="is damaged"):
            build(tmp_path, check=False)
    build(tmp_path)
    assert contents(dataset) == before


def test_a_wrong_digit_in_an_old_dataset_is_mended_because_the_shards_know_better(
    tmp_path, dataset
):
    before = contents(dataset)
    before |= make_old(dataset)
    stored = json.loads(before["metadata.json"])
    stored["config"]["noise_uK_arcmin"] = 3.0
    (dataset / "metadata.json").write_text(json.dumps(stored))
    build(tmp_path)
    assert contents(dataset) == before


def test_a_build_that_was_interrupted_is_sealed_as_far_as_it_is(tmp_path, dataset):
    before = contents(dataset)
    for name in ("dataset_info.json", "features.json", seals.FILE):
        (dataset / name).unlink()
    stop = RuntimeError("stop")

    def interrupted(plans):
        raise stop

    builder = Builder(config=TINY, data_dir=tmp_path)
    builder.executor = interrupted
    with pytest.raises(RuntimeError):
        builder.download_and_prepare()
    assert seals.names(str(dataset)) == ["metadata.json"]
    (dataset / "metadata.json").write_bytes(before["metadata.json"].replace(b"16", b"20"))
    build(tmp_path)
    assert contents(dataset) == before


def test_spectra_are_sealed_and_mended(tmp_path, monkeypatch):
    text = pathlib.Path(spectra.__file__).with_name(spectra.TABLE).read_text()
    texts = [text]
    monkeypatch.setattr(cosmology, "_computed", lambda *parameters: texts[-1])  # in CAMB's place
    own = dataclasses.replace(TINY, cosmology={"H0": 68.0})
    folder = pathlib.Path(build(tmp_path, own).data_dir)
    before = contents(folder)
    assert seals.names(str(folder)) == [*SEALED[1:], cosmology.FILE]
    path = folder / cosmology.FILE
    for content in (before[path.name].replace(b"1", b"2", 1), before[path.name][:-9], None):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(LensingError, match=f"{path} is (damaged|missing)"):
            read_dataset(str(folder))
        build(tmp_path, own)
        assert contents(folder) == before
    texts.append(text.replace("1", "2", 1))
    path.unlink()
    (folder / "metadata.json").unlink()  # which says what computed the table
    with pytest.raises(LensingError, match="CAMB gives other digits today"):
        build(tmp_path, own)


def test_tfds_update_of_its_information_keeps_the_seal(tmp_path, dataset):
    build(tmp_path, download_mode=tfds.GenerateMode.UPDATE_DATASET_INFO)
    assert seals.faults(str(dataset)) == {} and seals.names(str(dataset)) == SEALED[1:]


def lost(path):
    path.unlink()


def a_link_to_nothing(path):
    path.unlink()
    path.symlink_to(path.with_name("nothing"))


@pytest.mark.parametrize("change", [lost, a_link_to_nothing])
def test_without_its_seal_a_dataset_is_damaged_and_mended_by_the_printed_command(
    tmp_path, dataset, change, capsys
):
    before = contents(dataset)
    path = dataset / seals.FILE
    change(path)
    config = re.escape(json.dumps(TINY.to_json()))
    with pytest.raises(LensingError, match=f"{path} is (missing|damaged).*{config}"):
        open_built("tiny", str(tmp_path))
    with pytest.raises(LensingError, match=f"{path} is (missing|damaged)"):
        tfds.load("lensing/tiny", data_dir=tmp_path)
    with pytest.raises(LensingError, match=f"{path} is (missing|damaged)"):
        Builder(config=TINY, data_dir=tmp_path).as_dataset(split="train")
    with pytest.raises(LensingError, match=f"{path} is (missing|damaged)"):
        simulate("tiny", "train", [0], tmp_path)
    with pytest.raises(SystemExit) as caught:
        verify.main(["--dataset", "lensing/tiny", "--data_dir", str(tmp_path)])
    assert caught.value.code == 1 and str(path) in capsys.readouterr().out
    build(tmp_path)
    assert contents(dataset) == before


def test_a_link_to_nothing_is_no_old_dataset(dataset):
    make_old(dataset)
    read_dataset(str(dataset))
    (dataset / seals.FILE).symlink_to("nothing")
    with pytest.raises(LensingError, match="checksums.json is damaged"):
        read_dataset(str(dataset))


def edit(path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


EDITS = {
    "a type": (
        "features.json",
        lambda v: v["featuresDict"]["features"]["kappa"]["tensor"].update(dtype="int32"),
    ),
    "a split": ("dataset_info.json", lambda v: v["splits"].pop()),
    "supervised keys": (
        "dataset_info.json",
        lambda v: v["supervisedKeys"]["tuple"]["items"].reverse(),
    ),
    "a name": ("dataset_info.json", lambda v: v.update(configName="bb")),
    "a version": ("dataset_info.json", lambda v: v.update(version="1.0.0")),
    "shards": ("metadata.json", lambda v: v["num_shards"].update(train="x")),
    "the config's name": ("metadata.json", lambda v: v["config"].update(name="bb")),
}


@pytest.mark.parametrize("change", EDITS)
def test_what_an_old_dataset_says_of_itself_must_agree(tmp_path, dataset, change):
    make_old(dataset)
    name, edits = EDITS[change]
    edit(dataset / name, edits)
    with pytest.raises(LensingError, match=str(dataset)):
        open_built("tiny", str(tmp_path))
    with pytest.raises(LensingError, match=str(dataset)):
        tfds.load("lensing/tiny", data_dir=tmp_path)


def test_a_changed_seed_of_an_old_dataset_is_found_by_its_shards(tmp_path, dataset):
    make_old(dataset)
    edit(dataset / "metadata.json", lambda v: v["config"].update(seed=8))
    with pytest.raises(LensingError, match="holds other examples"):
        list(reading.evaluation_batches(open_built("tiny", str(tmp_path)), "train", 8))
