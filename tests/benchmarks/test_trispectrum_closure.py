"""The benchmark of the trispectrum's closure: its estimators, its table, and one line of error."""

import dataclasses

import numpy as np
import pytest

from benchmarks import trispectrum_closure as benchmark
from estimators.trispectrum.closure import Closure
from lensing_tfds import VERSIONS


def test_the_table_has_a_line_an_estimator_and_band():
    names = [field.name for field in dataclasses.fields(Closure)][:-1]
    columns = {name: np.array([i + 0.25, i + 0.5]) for i, name in enumerate(names)}
    found = Closure(**columns, errors={name: np.full(2, 0.01) for name in names})
    lines = benchmark.table({"EB": found}, (100, 200, 400)).splitlines()
    assert {line.count("|") for line in lines} == {2 + 2 + len(names) - 1}
    assert lines[2].startswith("| EB | 100–200 | 0.2500 | 1.2500 | 2.2500 | 3.2500 ± 0.0100 |")
    assert lines[3].endswith("| 8.5000 ± 0.0100 |")


def test_estimators_are_the_pairs_and_their_combination():
    assert list(benchmark.estimators(VERSIONS["v11"])) == ["EE", "EB", "MV"]
    (alone,) = benchmark.estimators(VERSIONS["v11"], ["EB"], 2000.0).values()
    assert alone.observation.lmax == 2000.0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["v11", "--eights", "12"], "12 times eight skies: the errors need 16 at least"),
        (["v9", "--pairs", "EB"], "v9 has no EB: choose among TT"),
        (["v11", "--lmax", "1"], "lmax is 1"),
    ],
)
def test_what_cannot_be_done_is_one_line(flags, message, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(flags)
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
