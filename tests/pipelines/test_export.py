"""Exports hold the dataset's own arrays, go on where they stopped, and are loaded by Croissant."""

import hashlib
import json
import pathlib

import mlcroissant as mlc
import numpy as np
import pytest

from lensing_tfds.records.example_records import decode
from lensing_tfds.records.locks import alone_in
from lensing_tfds.records.reading import evaluation_batches
from lensing_tfds.records.stored_dataset import read_dataset
from pipelines import croissant, export
from pipelines.export_formats import WRITERS


@pytest.fixture(name="expected", scope="module")
def expected_fixture(stored):
    (batch,) = evaluation_batches(stored, "test", 100)
    return batch


@pytest.fixture(name="command")
def command_fixture(tiny, data_dir, tmp_path):
    def run(module, *flags):
        module.main(["--dataset", f"lensing/{tiny.name}", "--data_dir", data_dir, *flags])
        return tmp_path / "out"

    return run


def exported(command, tmp_path, form, *flags):
    output = tmp_path / "out"
    command(export, "--format", form, "--output", str(output), *flags)
    return output


def error_line(capsys, *arguments):
    with pytest.raises(SystemExit) as exit:
        exported(*arguments)
    assert exit.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ") and line.count("\n") == 1
    return line


def read_npz(path):
    with np.load(path) as arrays:
        return dict(arrays)


def read_fits(path):
    fits = pytest.importorskip("astropy.io.fits")
    with fits.open(path) as hdus:
        assert hdus["LENSED"].header["BUNIT"] == "uK"
        return {hdu.name.lower(): np.array(hdu.data) for hdu in hdus[1:]}


def read_parquet(path):
    from pyarrow import parquet

    table = parquet.read_table(path)
    arrays = {"index": table["index"].to_numpy()}
    for name in table.column_names[1:]:
        note = table.schema.field(name).metadata
        assert note[b"unit"].decode() == ("dimensionless" if name == "kappa" else "µK")
        shape = [int(size) for size in note[b"shape"].decode().split(",")]
        arrays[name] = np.array(table[name].to_pylist(), np.float32).reshape(-1, *shape)
    return arrays


def read_array_record(path):
    module = pytest.importorskip("array_record.python.array_record_module")
    shapes = dict.fromkeys(("lensed", "unlensed", "kappa"), (16, 16, 1))
    records = module.ArrayRecordReader(str(path)).read_all()
    examples = [dict(maps, index=i) for i, maps in (decode(r, shapes) for r in records)]
    return {name: np.array([example[name] for example in examples]) for name in examples[0]}


READERS = {
    "npz": read_npz,
    "fits": read_fits,
    "parquet": read_parquet,
    "array_record": read_array_record,
}


@pytest.mark.parametrize("form", export._FORMATS)
def test_an_export_holds_the_datasets_arrays(form, command, expected, tmp_path):
    assert set(export._FORMATS) == set(WRITERS) == set(READERS)
    output = exported(command, tmp_path, form, "--splits", "test")
    paths = sorted(output.glob(f"*.{form}"))
    assert [p.name for p in paths] == [f"lensing-test-0000{n}-of-00003.{form}" for n in range(3)]
    parts = [READERS[form](path) for path in paths]
    assert set(parts[0]) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), values)
    for path in paths:
        hashed = hashlib.sha256(path.read_bytes()).hexdigest()
        assert (output / f"{path.name}.sha256").read_text() == f"{hashed}  {path.name}\n"


def test_what_is_whole_is_kept_and_the_rest_written_again(command, tmp_path, capsys):
    output = exported(command, tmp_path, "npz", "--splits", "test")
    first, second, third = sorted(output.glob("*.npz"))
    before = first.stat().st_mtime_ns, second.read_bytes(), third.read_bytes()
    second.write_bytes(second.read_bytes()[:-3])
    (output / f"{third.name}.sha256").unlink()  # as if killed before it was sealed
    capsys.readouterr()
    exported(command, tmp_path, "npz", "--splits", "test")
    assert capsys.readouterr().out.splitlines()[-1] == f"{output}: 3 files, 1 were there"
    assert (first.stat().st_mtime_ns, second.read_bytes(), third.read_bytes()) == before


def test_a_folder_of_something_else_is_refused(command, tmp_path, capsys):
    exported(command, tmp_path, "npz", "--splits", "test")
    line = error_line(capsys, command, tmp_path, "fits")
    assert "holds an export of another format ('npz', not 'fits'): give another folder" in line


def test_a_dataset_s_own_folder_is_left_alone(command, stored, capsys):
    folder = pathlib.Path(stored.data_path)
    before = sorted(folder.iterdir())
    with pytest.raises(SystemExit):
        command(export, "--format", "parquet", "--output", str(folder))
    assert "is the folder of a dataset: give another one" in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


def test_files_that_nothing_says_what_they_are_of_are_refused(command, tmp_path, capsys):
    (exported(command, tmp_path, "npz", "--splits", "test") / export.CONTENT).unlink()
    line = error_line(capsys, command, tmp_path, "npz")
    assert "holds exported files, but no export.json that says of what" in line


def test_two_exports_do_not_mix_in_one_folder(command, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    with alone_in(tmp_path / "out", "exporting"):
        line = error_line(capsys, command, tmp_path, "npz")
    assert "another process is exporting in" in line


def test_a_split_that_is_named_twice_is_written_once(command, tmp_path, capsys):
    exported(command, tmp_path, "npz", "--splits", "test", "test")
    assert capsys.readouterr().out.endswith("out: 3 files, 0 were there\n")


def test_an_export_goes_to_a_disk(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        command(export, "--format", "npz", "--output", "s3://bucket/out")
    assert "s3://bucket/out: exports are written to a disk" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("HOME", str(tmp_path))
    command(export, "--format", "npz", "--output", "~/home", "--splits", "test")
    assert (tmp_path / "home" / export.CONTENT).exists()


def test_an_unknown_split_is_refused(command, tmp_path, capsys):
    line = error_line(capsys, command, tmp_path, "npz", "--splits", "dev")
    assert "has no split 'dev'" in line


def test_mlcroissant_loads_the_parquet_files(command, expected, tmp_path, monkeypatch):
    output = exported(command, tmp_path, "parquet")
    dataset = mlc.Dataset(str(output / croissant.FILE))
    records = list(dataset.records("test"))
    assert len(records) == len(expected["index"])
    for record in records:
        row = np.flatnonzero(expected["index"] == record["test/index"])[0]
        kappa = np.array(record["test/kappa"], np.float32).reshape(expected["kappa"].shape[1:])
        np.testing.assert_array_equal(kappa, expected["kappa"][row])


def test_croissant_describes_the_shards(command, tiny, stored, tmp_path):
    path = tmp_path / "c.json"
    command(croissant, "--output", str(path), "--url", "https://example.org")
    found = json.loads(path.read_text("utf-8"))
    assert found["url"] == "https://example.org"
    objects = {o["name"]: o for o in found["distribution"] if o["@type"] == "cr:FileObject"}
    shards = [spec.path for plan in stored.plans.values() for spec in plan.shards()]
    assert len(objects) == len(shards) == 9
    for shard in shards:
        content = pathlib.Path(shard).read_bytes()
        described = objects[shard.rpartition("/")[2]]
        assert described["sha256"] == hashlib.sha256(content).hexdigest()
        assert described["contentSize"] == f"{len(content)} B"
    fields = {f["@id"]: f for r in found["recordSet"] for f in r["field"]}
    assert fields["train/kappa"]["cr:arrayShape"] == "16,16,1"
    assert "In µK, [y, x, channel]" in fields["test/lensed"]["description"]
    assert "dimensionless" in fields["test/kappa"]["description"]
    assert "Gaussian" in json.dumps(found["rai:dataLimitations"], ensure_ascii=False)
    assert found["license"].startswith("https://www.apache.org/")


def test_a_damaged_shard_is_not_described(command, stored, tmp_path, capsys):
    shard = pathlib.Path(stored.plans["test"].shard(1).path)
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        with pytest.raises(SystemExit):
            command(croissant, "--output", str(tmp_path / "c.json"))
    finally:
        shard.write_bytes(content)
    line = capsys.readouterr().err
    assert f"error: shard {shard} does not have the bytes" in line and "write just that" in line
    assert not (tmp_path / "c.json").exists()


def test_metadata_with_an_error_are_refused(stored):
    stored = read_dataset(stored.data_path)
    files = [croissant.DataFile(f"{split}.x", split, "0" * 64, 1) for split in stored.plans]
    values = json.loads(croissant.croissant(stored, files, croissant.TFRECORD))
    values["recordSet"][0]["field"][0]["source"]["fileSet"]["@id"] = "nowhere"
    with pytest.raises(croissant.LensingError, match="the Croissant metadata is not valid: .*nowh"):
        croissant.refuse_invalid(values)
