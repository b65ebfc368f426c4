"""The benchmark of delensing: its tables on a small patch, its figure, and one line of error."""

import re

import numpy as np
import pytest

from benchmarks import delensing as benchmark
from estimators.delensing.delensed_maps import delensed_bands
from estimators.ensemble import SkyEnsemble
from lensing_tfds.configs import LensingConfig

ENSEMBLE = SkyEnsemble.of(
    LensingConfig(
        name="small", npix=48, lx=48 * 2.0 / 60, stokes="QU", oversampling=2, beam_arcmin=1.0,
        noise_uK_arcmin=0.5,
    )
)  # fmt: skip
LMAX = 1200.0


def numbers(text):
    return [[float(n) for n in re.findall(r"[+-]?\d+\.\d+", line)] for line in text.splitlines()]


def test_the_first_table_orders_estimates_by_what_they_leave(capsys):
    benchmark.print_residuals(ENSEMBLE, 8, LMAX)
    lines = numbers(capsys.readouterr().out)[2:]
    assert [len(line) for line in lines] == [3, 5, 5, 5]  # of the truth nothing is moved
    true, shared, split, _ = (line[0] for line in lines)
    assert true < shared < split < 0.9


def test_the_second_table_and_the_figure_have_all_three_ways(capsys):
    bands = delensed_bands(ENSEMBLE.config, LMAX)
    found = benchmark._delensed(ENSEMBLE, bands, 20, LMAX, 50.0)
    benchmark.print_ratios(bands.mean(benchmark._tensors(ENSEMBLE)), found)
    text = capsys.readouterr().out
    lines = numbers(text)[2:]
    assert [len(line) for line in lines] == [6, 6, 6]
    undelensed, shared, split = (line[2] for line in lines)
    assert undelensed == pytest.approx(1, abs=0.001)
    assert shared < split
    assert "| not_delensed |" in text and "| quadratic_split |" in text
    drawn = benchmark.figure(ENSEMBLE, bands, found, 50.0)
    assert len(drawn.axes) == 2 and np.isfinite(drawn.axes[1].dataLim.get_points()).all()


def test_what_cannot_be_done_is_one_line(capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["v11", "--lmax", "20", "--skies", "2"])
    assert capsys.readouterr().err.count("\n") == 1
