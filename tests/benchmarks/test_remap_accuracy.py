"""The accuracy that we claim, in every version and at every pixel."""

import pytest

from benchmarks import remap_accuracy
from lensing_tfds import VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_lensed_maps_are_right_to_1e_4_of_the_lensing_signal(monkeypatch, version):
    monkeypatch.setattr(remap_accuracy, "EXAMPLES", 4)
    assert remap_accuracy.errors(version).max() < 1e-4


def test_a_row_for_each_version(monkeypatch, capsys):
    monkeypatch.setattr(remap_accuracy, "EXAMPLES", 1)
    remap_accuracy.main()
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[0] for row in rows] == list(VERSIONS)
