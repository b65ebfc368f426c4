"""The table of docs/frameworks.md is the benchmark's, and only that of the page is replaced."""

import pathlib

import numpy as np
import pytest

from benchmarks.frameworks import BEGIN, END, filled, rates, table
from lensing_tfds import LensingError

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "frameworks.md"


def test_ratios_are_of_the_same_round():
    measured = np.array([[[10, 100], [9, 50]], [[10, 10], [9, 4]], [[10, 40], [9, 4]]])
    last = table(["ours", "theirs"], measured).splitlines()[-1]
    assert last == "| theirs | 9 | 4 | 0.4x (0.1–0.5) |"


def test_examples_that_are_lost_are_no_speed():
    batches = [{"index": range(3)}, [1, 2]]
    assert min(rates(lambda: iter(batches), 5)) > 0
    with pytest.raises(LensingError, match="5 examples came, of 6"):
        rates(lambda: iter(batches), 6)


def test_a_page_gets_its_table_in_its_place():
    text = PAGE.read_text("utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    assert filled(text, "new\n") == f"{before}{BEGIN}new\n{END}{after}"
    with pytest.raises(LensingError, match="the page has no lines"):
        filled("a page", "new")
