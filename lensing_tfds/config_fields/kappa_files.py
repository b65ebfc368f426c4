"""Files of κ maps that take the place of drawn ones."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lensing_tfds.config_fields.nested import Nested
from lensing_tfds.config_fields.patch import Patch
from lensing_tfds.errors import LensingError
from lensing_tfds.own_kappa import KappaFile, inspect

Files = tuple[KappaFile, ...]


@dataclasses.dataclass(frozen=True)
class KappaFiles(Nested):
    """A config's κ maps by split: example i has map i modulo their number.

    Each split is a list of paths of `.npy`, `.npz` or FITS files, each of one periodic κ map of the
    simulated box at its internal pixels, or of several; their mean deflects nothing and is taken
    away. A config knows their content by its SHA-256, which fingerprints hold in place of the
    paths, and which is written beside each path.

    Attributes:
      train: files of the training split.
      validation: of the validation split.
      test: of the test split.
    """

    FIELD: ClassVar[str] = "kappa_files"

    train: Files
    validation: Files
    test: Files

    def __post_init__(self) -> None:
        for field in self._splits:
            object.__setattr__(self, field, self._parsed(field))

    @property
    def _splits(self) -> tuple[str, ...]:
        return tuple(field.name for field in dataclasses.fields(self))

    def of(self, split: str) -> Files:
        """Returns the files of a split."""
        files: Files = getattr(self, split)
        return files

    def check(self, config: Patch) -> None:
        """Inspects the files that have no SHA-256 yet, and refuses what does not go with files.

        Raises:
          LensingError: a file cannot be read, or holds no κ maps of the size; two splits have a
            file in common; or κ is said to be drawn.
        """
        for field in ("kappa", "foregrounds"):
            if getattr(config, field, None) is not None:
                raise LensingError(
                    f"{self.title}: {field} is given too, which goes with a κ that is drawn: leave "
                    "one out"
                )
        owner: dict[str, str] = {}
        for split in self._splits:
            files = tuple(
                file if file.sha256 else inspect(file.path, config.internal.npix)
                for file in self.of(split)
            )
            object.__setattr__(self, split, files)
            for file in files:
                if owner.setdefault(file.sha256, split) != split:
                    raise LensingError(
                        f"{self.title}: {file.path} is in {split}, and the same maps in "
                        f"{owner[file.sha256]}: splits must have none in common"
                    )

    def to_json(self) -> dict[str, Any]:
        """Returns each split's files, with their SHA-256 and numbers of maps."""
        return {split: [file._asdict() for file in self.of(split)] for split in self._splits}

    def to_json_of_examples(self) -> dict[str, Any]:
        """Returns the SHA-256 of each split's files: not where they are."""
        return {split: [file.sha256 for file in self.of(split)] for split in self._splits}

    def _parsed(self, split: str) -> Files:
        given = getattr(self, split)
        wrong = self._error(split, "a list of at least one path of a file of κ maps")
        if isinstance(given, str) or not isinstance(given, Sequence) or not given:
            raise wrong
        files = []
        for entry in given:
            if isinstance(entry, str):
                files.append(KappaFile(entry, "", 0))
            elif isinstance(entry, KappaFile):
                files.append(entry)
            elif isinstance(entry, Mapping) and set(entry) == set(KappaFile._fields):
                files.append(
                    KappaFile(str(entry["path"]), str(entry["sha256"]), int(entry["maps"]))
                )
            else:
                raise wrong
        return tuple(files)
