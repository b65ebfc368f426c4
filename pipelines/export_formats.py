"""Files of examples in formats that need neither TensorFlow nor this package to be read.

Each holds the examples of one shard: `index` (n,) int64, and each map (n, npix, npix, channels)
float32, with its unit where the format has a place for one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.records import array_record

Writer = Callable[[Path, Mapping[str, NDArray[Any]], Mapping[str, str]], None]
"""A function that writes arrays to a path; the last argument is the maps' units, by name."""

_ROWS = 64  # of a row group of Parquet: what a reader has in memory at once


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]], units: Mapping[str, str]) -> None:
    """Writes NumPy's own format, which has no place for units."""
    del units
    with open(path, "wb") as file:
        np.savez(file, **cast(dict[str, Any], arrays))


def write_fits(path: Path, arrays: Mapping[str, NDArray[Any]], units: Mapping[str, str]) -> None:
    """Writes an image extension for each array, called as it is; FITS's axes are reversed."""
    from astropy.io import fits

    hdus = [fits.PrimaryHDU()]
    for name, array in arrays.items():
        hdu = fits.ImageHDU(array, name=name)
        hdu.header["BUNIT"] = {"µK": "uK", "dimensionless": ""}.get(*[units.get(name, "")] * 2)
        hdus.append(hdu)
    fits.HDUList(hdus).writeto(path, overwrite=True)


def write_parquet(path: Path, arrays: Mapping[str, NDArray[Any]], units: Mapping[str, str]) -> None:
    """Writes a row for each example; a map is a list of fixed length, in C order.

    Its axes are y, x and channel. Shape and unit are in the metadata of its column.
    """
    import pyarrow
    from pyarrow import parquet

    fields, columns = [], []
    for name, array in arrays.items():
        flat = pyarrow.array(np.ascontiguousarray(array).ravel())
        note = {"unit": units.get(name, ""), "shape": ",".join(map(str, array.shape[1:]))}
        size = int(np.prod(array.shape[1:]))
        column = flat if array.ndim == 1 else pyarrow.FixedSizeListArray.from_arrays(flat, size)
        fields.append(pyarrow.field(name, column.type, metadata=note))
        columns.append(column)
    table = pyarrow.table(columns, schema=pyarrow.schema(fields))
    parquet.write_table(table, path, row_group_size=_ROWS)


def write_array_record(
    path: Path, arrays: Mapping[str, NDArray[Any]], units: Mapping[str, str]
) -> None:
    """Writes a record for each example, the one that TFDS has, which has no place for units.

    It is a `tf.train.Example`: maps are raw little-endian float32, in C order.
    """
    del units
    with open(path, "wb") as file:
        for piece in array_record.stretches([dict(arrays)]):
            file.write(piece)


WRITERS: Mapping[str, Writer] = {
    "npz": write_npz,
    "fits": write_fits,
    "parquet": write_parquet,
    "array_record": write_array_record,
}
"""By the name of the format, which is the ending of its files."""
