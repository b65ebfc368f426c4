"""Writes Croissant metadata of a built dataset: what its files are, in a standard's terms.

    python -m pipelines.croissant --dataset lensing/v11 --output v11.json

The file names every shard with its SHA-256, and for each split a record set: index and maps with
their shapes, units and meaning. Uses and limits come from the dataset's card. It follows Croissant
1.1 and its vocabulary for responsible AI, and is written only if mlcroissant finds no error in it.

mlcroissant has no reader of TFRecord or ArrayRecord files: it loads the records of
`python -m pipelines.export --format parquet`, which come with a `croissant.json` of their own.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lensing_tfds import __version__, strict_json
from lensing_tfds.command_line import CommandParser, command, printable
from lensing_tfds.errors import LensingError
from lensing_tfds.quiet import quiet_tensorflow
from lensing_tfds.records import storage

if TYPE_CHECKING:
    from lensing_tfds.records.stored_dataset import StoredDataset

FILE = "croissant.json"
TFRECORD = "application/x-tfrecord"
ARRAY_RECORD = "application/x-array-record"
PARQUET = "application/x-parquet"

_LICENCE = "https://www.apache.org/licenses/LICENSE-2.0"
_STANDARD = "http://mlcommons.org/croissant/1.1"
_CHUNK_BYTES = 2**22


@dataclasses.dataclass(frozen=True)
class DataFile:
    """A file of examples.

    Attributes:
      name: within the folder that the metadata lies in.
      split: whose examples it holds.
      sha256: of its content.
      num_bytes: its size.
    """

    name: str
    split: str
    sha256: str
    num_bytes: int


def data_file(path: str, split: str) -> DataFile:
    """Reads a file, on a disk or in a bucket, and hashes it.

    Raises:
      LensingError: it cannot be read.
    """
    found, size = hashlib.sha256(), 0
    with storage.reading(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            found.update(chunk)
            size += len(chunk)
    return DataFile(path.rpartition("/")[2], split, found.hexdigest(), size)


def croissant(
    stored: StoredDataset, files: Sequence[DataFile], encoding: str, url: str | None = None
) -> str:
    """Returns the metadata as JSON-LD.

    Args:
      stored: the dataset.
      files: all that hold its examples.
      encoding: their MIME type, `TFRECORD`, `ARRAY_RECORD` or `PARQUET`.
      url: where the dataset is published; None if it is not.

    Raises:
      LensingError: mlcroissant finds an error in it.
    """
    import mlcroissant as mlc

    from pipelines.cards import citations, facts, prose

    config = stored.config
    splits = {split: [f for f in files if f.split == split] for split in stored.plans}
    distribution: list[Any] = [
        mlc.FileObject(
            id=file.name,
            name=file.name,
            content_url=file.name,
            content_size=f"{file.num_bytes} B",
            encoding_formats=[encoding],
            sha256=file.sha256,
        )
        for file in files
    ]
    for split, found in splits.items():
        distribution.append(
            mlc.FileSet(
                id=f"{split}-files",
                name=f"{split}-files",
                description=f"The {len(found)} files of the {split} split.",
                contained_in=[file.name for file in found],
                encoding_formats=[encoding],
                includes=sorted({re.sub(r"\d{5}", "?????", file.name) for file in found}),
            )
        )
    specification = "; ".join(f"{name}: {value}" for name, value in facts.specification(config))
    limits = [line.replace("**", "") for line in prose.not_for(config)]
    metadata = mlc.Metadata(
        conforms_to=_STANDARD,
        name=f"lensing-{config.name}",
        description=f"{prose.purpose(config)} {specification}.",
        url=url,
        version=stored.version,
        license=[_LICENCE],
        creators=[mlc.Organization(name="The lensing-tfds authors")],
        cite_as="; ".join(citations.citations(config)),
        keywords=["cosmic microwave background", "gravitational lensing", "simulation"],
        distribution=distribution,
        record_sets=[_record_set(mlc, stored, split) for split in splits],
        data_collection=(
            f"Simulated by lensing-tfds {__version__}, each example from its split and index "
            f"alone: lensing_tfds.simulate makes it again. {specification}."
        ),
        data_collection_type=["Simulations"],
        data_biases=limits,
        data_limitations=limits,
        data_use_cases=[prose.purpose(config)],
        personal_sensitive_information=["None: nothing in it is of a person."],
    )
    text = json.dumps(metadata.to_json(), indent=1, ensure_ascii=False, default=str)
    refuse_invalid(json.loads(text))
    return f"{text}\n"


def refuse_invalid(values: Mapping[str, Any]) -> None:
    """Refuses metadata in which mlcroissant finds an error.

    Raises:
      LensingError: there is one.
    """
    import mlcroissant as mlc

    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)  # it recommends a date of publication, which nobody knows here
    try:
        mlc.Dataset(jsonld=dict(values))
    except mlc.ValidationError as error:
        found = [line for line in str(error).splitlines() if line.startswith("  -")]
        line = found[0].strip(" -") if found else str(error).splitlines()[0]  # errors come first
        raise LensingError(f"the Croissant metadata is not valid: {line}") from error
    finally:
        log.setLevel(level)


def _record_set(mlc: Any, stored: StoredDataset, split: str) -> Any:
    """The examples of a split: index and maps."""
    config, plan = stored.config, stored.plans[split]
    documents = strict_json.read(f"{stored.data_path}/features.json")["featuresDict"]["features"]
    units = strict_json.read(f"{stored.data_path}/metadata.json")["units"]
    shapes: dict[str, str | None] = {"index": None} | {
        name: ",".join(map(str, shape)) for name, shape in config.feature_shapes.items()
    }
    fields = []
    for name, shape in shapes.items():
        description = documents[name].get("description", "")
        array = {}
        if shape:
            description += f" In {units[name]}, [y, x, channel], C order."
            array = {"is_array": True, "array_shape": shape}
        fields.append(
            mlc.Field(
                id=f"{split}/{name}",
                name=name,
                description=description,
                data_types=[mlc.DataType.INT64 if name == "index" else mlc.DataType.FLOAT32],
                source=mlc.Source(file_set=f"{split}-files", extract=mlc.Extract(column=name)),
                **array,
            )
        )
    return mlc.RecordSet(
        id=split,
        name=split,
        description=f"The {plan.num_examples:,} examples of the {split} split.",
        fields=fields,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Writes Croissant metadata of a built dataset: its files, splits, units, uses and limits."""
    parser = CommandParser("pipelines.croissant", str(main.__doc__))
    parser.add_shared("--dataset", required=True)
    parser.add_shared("--data_dir")
    parser.add_shared("--output", otherwise=f"{FILE} in the dataset's folder")
    parser.add_argument("--url", help="where the dataset is published")
    arguments = parser.parse_args(argv)
    with command(arguments.verbose, extra="pipelines"):
        with quiet_tensorflow():
            from lensing_tfds.records.datasets import absolute_data_dir, open_built
            from lensing_tfds.records.shard_seals import damage
            from lensing_tfds.records.stored_dataset import mending_command
            from lensing_tfds.versions import dataset_name

        data_dir = absolute_data_dir(arguments.data_dir)
        stored = open_built(dataset_name(arguments.dataset), data_dir)
        files = []
        for split, plan in stored.plans.items():
            for spec in plan.shards():
                if what := damage(spec):  # its hash would make it pass for what was published
                    remedy = f"to write just that again: {mending_command(stored.data_path)}"
                    raise LensingError(f"shard {spec.path} {what}: {remedy}")
                files.append(data_file(spec.path, split))
        encoding = {"tfrecord": TFRECORD, "array_record": ARRAY_RECORD}[stored.file_format]
        text = croissant(stored, files, encoding, arguments.url)
        path = str(arguments.output or f"{stored.data_path}/{FILE}")
        with storage.writing(path) as file:
            file.write(text.encode())
        print(f"{printable(path)}: {len(files)} files")


if __name__ == "__main__":
    main()
