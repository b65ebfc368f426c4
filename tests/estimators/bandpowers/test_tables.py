"""Band powers as text."""

import csv
import dataclasses
import io

import pytest

from estimators.bandpowers.measurement import band_powers
from estimators.bandpowers.rings import BandRings
from estimators.bandpowers.tables import COLUMNS, as_csv, as_markdown, basis
from tests.estimators.bandpowers.conftest import CONFIG

BANDS = BandRings.given(CONFIG.sky, [180, 900, 1620, 2340, 3060])


def test_the_csv_has_every_number_of_every_band(measured):
    powers = band_powers(measured, BANDS)
    rows = list(csv.DictReader(io.StringIO(as_csv(powers))))
    assert tuple(rows[0]) == COLUMNS and len(rows) == BANDS.num
    for number, row in enumerate(rows):
        found = {name: float(value) for name, value in row.items()}
        assert found["auto"] == pytest.approx(powers.values["auto"][number])
        left = found["raw"] - found["n0"] - found["n1"] + found["monte_carlo"]
        assert found["auto"] == pytest.approx(left)
        assert found["auto_1.0"] == pytest.approx(found["theory"])


def test_the_table_is_in_units_of_theory(measured):
    powers = band_powers(measured, BANDS)
    row = as_markdown(powers).splitlines()[2].split("|")
    first = powers.values["auto"][0] / powers.expected[0]
    assert float(row[7].split("±")[0]) == pytest.approx(first, abs=6e-4)


def test_without_other_spectra_there_is_no_amplitude(measured):
    powers = band_powers(dataclasses.replace(measured, low=None, high=None), BANDS)
    assert powers.amplitude is None
    assert basis(powers)[-1].startswith("A_L: not fitted")
    assert "nan" in as_csv(powers) and as_markdown(powers)


def test_an_amplitude_at_the_end_of_the_search_is_no_measurement(measured):
    powers = band_powers(measured, BANDS)
    assert "not measured" not in basis(powers)[-1]
    far = {kind: 100 * values for kind, values in powers.values.items()}
    text = basis(dataclasses.replace(powers, values=far))[-1]
    assert text == "A_L: not measured, χ² still falls where the search ends, at 4 of -2 to 4"
