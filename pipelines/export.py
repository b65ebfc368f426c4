"""Writes a built dataset in another format: NumPy, FITS, Parquet or ArrayRecord.

    python -m pipelines.export --dataset lensing/v11 --format parquet --output v11_parquet

One file comes of each shard, with its SHA-256 beside it (`sha256sum -c *.sha256` checks all). A
shard is read, checked and written at a time: memory does not grow with the dataset. The same
command goes on where it was stopped, keeps what is whole and writes again what is damaged.
`croissant.json` describes Parquet files in Croissant's terms, by which mlcroissant loads them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lensing_tfds import strict_json
from lensing_tfds.command_line import CommandParser, command, printable
from lensing_tfds.errors import LensingError
from lensing_tfds.quiet import quiet_tensorflow
from lensing_tfds.records.locks import alone_in
from lensing_tfds.records.storage import is_remote, make_folder, replacing

if TYPE_CHECKING:
    from lensing_tfds.records.shard_plans import ShardSpec
    from lensing_tfds.records.stored_dataset import StoredDataset
    from pipelines.croissant import DataFile

CONTENT = "export.json"
"""The file in an export's folder that says which dataset it is of."""

_SEAL = ".sha256"  # what the name of a file's checksum ends in

# As of export_formats.WRITERS, which is slow to import.
_FORMATS = ("npz", "fits", "parquet", "array_record")


def export(stored: StoredDataset, form: str, folder: Path, splits: Sequence[str]) -> int:
    """Writes splits of a dataset; files that are there and whole are kept.

    Args:
      stored: the dataset.
      form: "npz", "fits", "parquet" or "array_record".
      folder: to write to.
      splits: which.

    Returns:
      How many files were written.

    Raises:
      LensingError: the folder holds the export of another dataset or format, or a dataset itself;
        another process writes there, a shard is damaged, or a file cannot be written.
    """
    from lensing_tfds.records.stored_dataset import PREPARED

    if (folder / PREPARED).exists():  # whose croissant.json would be written over, too
        raise LensingError(f"{folder} is the folder of a dataset: give another one for its export")
    make_folder(folder)
    with alone_in(folder, "exporting"):
        _claim(stored, form, folder)
        return _export(stored, form, folder, splits)


def _export(stored: StoredDataset, form: str, folder: Path, splits: Sequence[str]) -> int:
    from pipelines import croissant

    written, files = 0, []
    for split in splits:
        for spec in stored.plan(split).shards():
            path = folder / _name_of(spec, form)
            found = _whole(path, split)
            if found is None:
                _write(stored, spec, form, path)
                found = _sealed(path, split)
                written += 1
                print(f"{printable(path)}: examples {spec.start} to {spec.stop - 1}", flush=True)
            files.append(found)
    if form == "parquet" and set(splits) == set(stored.plans):
        text = croissant.croissant(stored, files, croissant.PARQUET)
        with replacing(folder / croissant.FILE) as temporary:
            temporary.write_bytes(text.encode())
    return written


def _claim(stored: StoredDataset, form: str, folder: Path) -> None:
    """Says in the folder what it is of, and refuses one that is of something else."""
    content: dict[str, Any] = {
        "dataset": f"lensing/{stored.config.name}",
        "dataset_version": stored.version,
        "format": form,
        "num_shards": {split: plan.num_shards for split, plan in stored.plans.items()},
        "config": stored.config.to_json(),
    }
    path = folder / CONTENT
    if not path.exists() and any(folder.glob(f"*{_SEAL}")):  # it comes before all others
        raise LensingError(
            f"{folder} holds exported files, but no {CONTENT} that says of what: give another "
            "folder, or delete them"
        )
    if path.exists():
        found = strict_json.read(str(path))
        for name, value in content.items():
            if found.get(name) != value:
                raise LensingError(
                    f"{folder} holds an export of another {name} ({found.get(name)!r}, not "
                    f"{value!r}): give another folder"
                )
        return
    with replacing(path) as temporary:
        temporary.write_text(f"{json.dumps(content, indent=1)}\n", "utf-8")


def _name_of(spec: ShardSpec, form: str) -> str:
    """`lensing-test-00000-of-00005.parquet` of `.../lensing-test.tfrecord-00000-of-00005`."""
    from lensing_tfds.records.file_formats import format_of  # slow to import

    name = spec.path.rpartition("/")[2].replace(f".{format_of(spec.path)}", "")
    return f"{name}.{form}"


def _seal_path(path: Path) -> Path:
    return path.with_name(f"{path.name}{_SEAL}")


def _whole(path: Path, split: str) -> DataFile | None:
    """A file that is as it was written; None if it is not there, or damaged."""
    from pipelines.croissant import data_file

    seal = _seal_path(path)
    if not (path.exists() and seal.exists()):
        return None
    found = data_file(str(path), split)
    return found if seal.read_text("utf-8") == f"{found.sha256}  {path.name}\n" else None


def _sealed(path: Path, split: str) -> DataFile:
    from pipelines.croissant import data_file

    found = data_file(str(path), split)
    with replacing(_seal_path(path)) as temporary:
        temporary.write_text(f"{found.sha256}  {path.name}\n", "utf-8")
    return found


def _write(stored: StoredDataset, spec: ShardSpec, form: str, path: Path) -> None:
    from lensing_tfds.records.reading import split_reader
    from pipelines.export_formats import WRITERS

    units = strict_json.read(f"{stored.data_path}/metadata.json")["units"]
    reader, indices = split_reader(stored, f"{spec.split}[{spec.start}:{spec.stop}]")
    examples = reader.read([indices])
    arrays = {"index": examples["index"]} | examples
    with replacing(path) as temporary:
        WRITERS[form](temporary, arrays, units)


def main(argv: Sequence[str] | None = None) -> None:
    """Writes a built dataset as NumPy, FITS, Parquet or ArrayRecord files; goes on if stopped."""
    parser = CommandParser("pipelines.export", str(main.__doc__))
    parser.add_shared("--dataset", required=True)
    parser.add_argument("--format", required=True, choices=_FORMATS)
    parser.add_shared("--output", required=True, help="folder to write to, on a disk")
    parser.add_shared("--data_dir")
    parser.add_argument("--splits", nargs="+", metavar="SPLIT", help="[all]")
    arguments = parser.parse_args(argv)
    with command(arguments.verbose, extra="pipelines"):
        with quiet_tensorflow():
            from lensing_tfds.records.datasets import absolute_data_dir, open_built
            from lensing_tfds.versions import dataset_name

        if is_remote(arguments.output):
            raise LensingError(
                f"--output is {arguments.output}: exports are written to a disk, give a folder"
            )
        data_dir = absolute_data_dir(arguments.data_dir)
        stored = open_built(dataset_name(arguments.dataset), data_dir)
        splits = [*dict.fromkeys(arguments.splits or stored.plans)]
        written = export(stored, arguments.format, Path(arguments.output), splits)
        total = sum(stored.plan(split).num_shards for split in splits)
        print(f"{printable(arguments.output)}: {total} files, {total - written} were there")


if __name__ == "__main__":
    main()
