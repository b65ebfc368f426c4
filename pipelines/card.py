"""Writes the card of built datasets: what each is, holds, reaches, and is not for.

    python -m pipelines.card --dataset lensing/v9 lensing/v10 --output docs/datasets

A card is `<config>.md` and its figures; the folder's README.md links the cards of all versions
there. All is read from the dataset, and from the `validation.json` in its folder if
`pipelines.validate` has written one; nothing is typed by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lensing_tfds.command_line import CommandParser, command
from lensing_tfds.quiet import quiet_tensorflow
from lensing_tfds.records import storage


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the card of each dataset, from what was built, and the index of all cards."""
    parser = CommandParser("pipelines.card", str(main.__doc__))
    parser.add_shared("--dataset", required=True, nargs="+", help="lensing/<config>, built")
    parser.add_shared("--data_dir")
    parser.add_shared("--output", default="docs/datasets", help="folder to write to")
    arguments = parser.parse_args(argv)
    with command(arguments.verbose, extra="pipelines"):
        with quiet_tensorflow():
            import tensorflow  # noqa: F401  TFDS does, when an example is read: here it is quiet

            from lensing_tfds.records.datasets import absolute_data_dir, open_built
            from lensing_tfds.versions import dataset_name
            from pipelines.cards import page

        data_dir = absolute_data_dir(arguments.data_dir)
        datasets = [open_built(dataset_name(name), data_dir) for name in arguments.dataset]
        storage.make_folder(Path(arguments.output))
        for dataset in datasets:
            card = page.card(dataset)
            _write(card.files, arguments.output)
            print(f"{arguments.output}/{card.name}.md")
        pages = (path for path in Path(arguments.output).glob("*.md") if path.name != page.INDEX)
        configs = (page.config_of(path.stem, path.read_text("utf-8")) for path in pages)
        index = page.index(config for config in configs if config is not None)
        _write({page.INDEX: index.encode()}, arguments.output)


def _write(files: Mapping[str, bytes], folder: str) -> None:
    for name, content in files.items():
        with storage.writing(f"{folder}/{name}") as file:
            file.write(content)


if __name__ == "__main__":
    main()
