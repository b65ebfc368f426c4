"""Maps are found by their indices, wherever they lie; what is not in the format is named."""

import tracemalloc

import numpy as np
import pytest

from estimators.kappa_files import open_kappa_maps
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError

CONFIG = LensingConfig(
    "small", npix=8, lx=5.0, num_examples={"train": 9, "validation": 9, "test": 20}
)


@pytest.fixture(name="kappa")
def kappa_fixture():
    return np.random.default_rng(0).standard_normal((20, 8, 8)).astype(np.float32)


def write_npy(folder, kappa, order, suffix="", dtype=np.float32):
    np.save(folder / f"kappa{suffix}.npy", kappa[order].astype(dtype))
    np.save(folder / f"index{suffix}.npy", np.array(order))


def write_fits(folder, kappa, order, suffix=""):
    fits = pytest.importorskip("astropy.io.fits")
    index = fits.ImageHDU(np.array(order), name="INDEX")
    fits.HDUList([fits.PrimaryHDU(kappa[order]), index]).writeto(folder / f"kappa{suffix}.fits")


@pytest.fixture(name="folder")
def folder_fixture(tmp_path, kappa):
    """Three files, each in an order of its own."""
    write_npy(tmp_path, kappa, [7, 3, 5, 0], "-a")
    write_npy(tmp_path, kappa[..., None], [1, 2, 4, 6, 8], "-b", ">f8")
    write_fits(tmp_path, kappa, [*range(19, 8, -1)])
    return tmp_path


def test_each_example_gets_its_map(folder, kappa):
    opened = open_kappa_maps(folder)
    opened.refuse_unfit(CONFIG, "test", 20)
    for batch in (range(20), range(3), [19, 0, 7, 8], [5]):
        found = opened.estimate(np.array(batch))
        assert (found.shape, found.dtype) == ((len(batch), 8, 8, 1), np.float32)
        np.testing.assert_array_equal(found[..., 0], kappa[list(batch)])


def test_maps_that_are_not_asked_for_stay_on_the_disk(tmp_path):
    maps = np.lib.format.open_memmap(
        tmp_path / "kappa.npy", mode="w+", dtype=np.float32, shape=(1000, 128, 128)
    )
    maps.flush()
    np.save(tmp_path / "index.npy", np.arange(1000))
    tracemalloc.start()
    opened = open_kappa_maps(tmp_path)
    opened.estimate(np.array([999, 3]))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < maps.nbytes / 20


def test_the_first_examples_are_enough_if_no_more_are_judged(tmp_path, kappa):
    write_npy(tmp_path, kappa, [*range(12)])
    opened = open_kappa_maps(tmp_path)
    opened.refuse_unfit(CONFIG, "test", 12)
    with pytest.raises(LensingError, match="lacks 8 of the 20 .*--max_examples 12 leaves them out"):
        opened.refuse_unfit(CONFIG, "test", 20)


@pytest.mark.parametrize(
    ("order", "line"),
    [
        ([*range(4), *range(5, 20)], "lacks 1 of the 20 examples of lensing/small test, .* is 4"),
        ([*range(1, 20)], "lacks 1 of the 20 examples of lensing/small test, the first is 0$"),
        ([*range(19), 20], "has example 20, lensing/small test has 0 to 19"),
        ([*range(19), -1], "has example -1, "),
    ],
)
def test_other_indices_are_named(tmp_path, kappa, order, line):
    np.save(tmp_path / "kappa.npy", kappa[: len(order)])
    np.save(tmp_path / "index.npy", order)
    with pytest.raises(LensingError, match=line):
        open_kappa_maps(tmp_path).refuse_unfit(CONFIG, "test", 20)


def test_indices_counted_from_one_are_named(tmp_path, kappa):
    write_npy(tmp_path, kappa, [*range(20)])
    np.save(tmp_path / "index.npy", np.arange(1, 21))
    with pytest.raises(
        LensingError, match="has indices 1 to 20: they are counted from 0; subtract"
    ):
        open_kappa_maps(tmp_path).refuse_unfit(CONFIG, "test", 20)


def test_an_example_that_is_there_twice_is_named(folder, kappa):
    write_npy(folder, kappa, [19, 2], "-c")
    with pytest.raises(
        LensingError, match=r"has example 2 more than once: in kappa-b.npy and kappa-c.npy"
    ):
        open_kappa_maps(folder)


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
@pytest.mark.parametrize("write", [write_npy, write_fits])
def test_a_map_that_is_not_finite_is_named(tmp_path, kappa, write, bad):
    kappa[13, 2, 3] = bad
    write(tmp_path, kappa, [*range(20)])
    opened = open_kappa_maps(tmp_path)
    opened.estimate(np.arange(13))
    with pytest.raises(LensingError, match=r"kappa\.\w+: κ for example 13 is not finite"):
        opened.estimate(np.arange(10, 20))


def test_maps_of_another_size_are_named(tmp_path, kappa):
    write_npy(tmp_path, kappa[:, :4], [*range(20)])
    with pytest.raises(LensingError, match="kappa.npy has maps of 4 x 8 pixels, .* has 8 x 8"):
        open_kappa_maps(tmp_path).refuse_unfit(CONFIG, "test", 20)


@pytest.mark.parametrize(
    ("kappa", "index", "line"),
    [
        (np.zeros((3, 8)), np.arange(3), r"float64 of shape \(3, 8\): κ is floating-point"),
        (np.zeros((3, 8, 8, 2)), np.arange(3), r"shape \(3, 8, 8, 2\)"),
        (np.zeros((3, 8, 8), int), np.arange(3), "int64 of shape"),
        (np.zeros((3, 8, 8), object), np.arange(3), "cannot read .*kappa.npy"),
        (np.zeros((3, 8, 8)), np.arange(4), "3 maps, but 4 indices"),
        (np.zeros((3, 8, 8)), np.arange(3.0), "they are integers"),
        (np.zeros((3, 8, 8)), np.arange(3)[:, None], r"int64 of shape \(3, 1\)"),
    ],
)
def test_arrays_of_another_kind_are_named(tmp_path, kappa, index, line):
    np.save(tmp_path / "kappa.npy", kappa)
    np.save(tmp_path / "index.npy", index)
    with pytest.raises(LensingError, match=line):
        open_kappa_maps(tmp_path)


@pytest.mark.parametrize("name", ["kappa-a.npy", "index-a.npy", "kappa.fits"])
def test_a_file_that_is_damaged_is_named(folder, name):
    for content in (b"", b"not a number", (folder / "kappa-a.npy").read_bytes()[:-7][:150]):
        (folder / name).write_bytes(content)
        with pytest.raises(LensingError, match=name):
            open_kappa_maps(folder)


def test_a_file_that_is_missing_is_named(folder, tmp_path):
    (folder / "index-b.npy").unlink()
    with pytest.raises(LensingError, match="cannot read .*index-b.npy: No such file"):
        open_kappa_maps(folder)
    with pytest.raises(LensingError, match="nothing holds no predictions: neither kappa"):
        open_kappa_maps(tmp_path / "nothing")


def test_a_fits_file_without_indices_says_where_they_should_be(tmp_path, kappa):
    fits = pytest.importorskip("astropy.io.fits")
    fits.PrimaryHDU(kappa).writeto(tmp_path / "kappa.fits")
    with pytest.raises(LensingError, match="the indices are an image extension INDEX"):
        open_kappa_maps(tmp_path)


def test_what_is_no_npy_file_is_called_so(folder):
    for name in ("kappa-a.npy", "index-a.npy"):
        for content in (b"<!DOCTYPE html>", b""):
            kept = (folder / name).read_bytes()
            (folder / name).write_bytes(content)
            with pytest.raises(LensingError, match=f"cannot read .*{name}: it is not a .npy file"):
                open_kappa_maps(folder)
            (folder / name).write_bytes(kept)


@pytest.mark.filterwarnings("error")
def test_maps_too_large_for_float32_are_called_so(tmp_path, kappa):
    maps = kappa.astype(np.float64)
    maps[13, 2, 3] = -1e300
    write_npy(tmp_path, maps, [*range(20)], dtype=np.float64)
    with pytest.raises(LensingError, match=r"κ for example 13 is too large for float32"):
        open_kappa_maps(tmp_path).estimate(np.arange(10, 20))


def test_indices_without_maps_are_named(folder):
    (folder / "kappa-b.npy").unlink()
    with pytest.raises(LensingError, match=r"index-b.npy has no kappa-b.npy beside it"):
        open_kappa_maps(folder)


def test_an_example_that_is_twice_in_one_file_is_named(tmp_path, kappa):
    write_npy(tmp_path, kappa, [3, 1, 3])
    with pytest.raises(LensingError, match=r"example 3 more than once: in kappa.npy itself$"):
        open_kappa_maps(tmp_path)


@pytest.mark.filterwarnings("error")
def test_maps_of_half_precision_are_read(tmp_path, kappa):
    write_npy(tmp_path, kappa, [*range(20)], dtype=np.float16)
    found = open_kappa_maps(tmp_path).estimate(np.arange(20))[..., 0]
    np.testing.assert_array_equal(found, kappa.astype(np.float16))


@pytest.mark.parametrize("name", ["kappa-a.npy", "index-a.npy"])
def test_arrays_after_the_first_one_are_not_left_out_in_silence(folder, kappa, name):
    with open(folder / name, "ab") as file:
        np.save(file, kappa)  # as of somebody who adds batch after batch
    with pytest.raises(LensingError, match=f"{name} goes on for .* bytes after its array of shape"):
        open_kappa_maps(folder)
