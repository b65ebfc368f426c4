"""The comparison with pixell: of the same lensing, and a fair one on a well-resolved sky."""

import pytest

from benchmarks import pixell_lensing


def test_rows_and_errors(monkeypatch, capsys):
    """pixell's spline gets 2.3' pixels right to 2 %: what it is given is what we are given."""
    pytest.importorskip("pixell")
    monkeypatch.setattr(pixell_lensing, "ROUNDS", 1)
    monkeypatch.setattr(pixell_lensing, "SECONDS", 0.01)
    pixell_lensing.compare(256)
    rows = [row.split() for row in capsys.readouterr().out.splitlines()]
    assert [row[1] for row in rows] == list(pixell_lensing.CODES)
    errors = {row[1]: float(row[-1]) for row in rows}
    assert errors["ours"] < 1e-5
    assert errors["displace_map"] < 0.02 and errors["lens_map_flat"] < 0.02
