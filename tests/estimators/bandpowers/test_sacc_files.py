"""Band powers in SACC: written, read back and fitted."""

import numpy as np
import pytest

from estimators.bandpowers.measurement import band_powers
from estimators.bandpowers.rings import BandRings
from estimators.bandpowers.sacc_files import read_sacc, require_sacc, write_sacc
from lensing_tfds.errors import LensingError
from tests.estimators.bandpowers.conftest import CONFIG

BANDS = BandRings.given(CONFIG.sky, [180, 900, 1620, 2340, 3060])


@pytest.fixture(scope="module")
def path(measured, tmp_path_factory):
    pytest.importorskip("sacc")
    file = tmp_path_factory.mktemp("sacc") / "bandpowers.sacc"
    write_sacc(band_powers(measured, BANDS), file)
    return file


def test_what_is_read_back_is_what_was_written_and_gives_the_same_amplitude(path, measured):
    powers, stored = band_powers(measured, BANDS), read_sacc(path)
    np.testing.assert_array_equal(stored.values, powers.values["auto"])
    np.testing.assert_array_equal(stored.windows, powers.biases.windows)
    np.testing.assert_array_equal(stored.covariance.matrix, powers.auto_covariance.matrix)
    assert stored.amplitude == powers.amplitude
    assert stored.amplitude.value == pytest.approx(1, abs=4 * stored.amplitude.error)


def test_any_reader_of_sacc_finds_three_spectra_windows_and_a_covariance(path, measured):
    import sacc

    powers, file = band_powers(measured, BANDS), sacc.Sacc.load_fits(str(path))
    assert file.get_data_types() == ["cmb_convergence_cl", "cl_00"]
    assert set(file.get_tracer_combinations("cl_00")) == {
        ("kappa_hat", "kappa"),
        ("kappa_hat", "tracer"),
    }
    assert file.covariance.dense.shape == (12, 12)
    ell, values, at = file.get_ell_cl("cl_00", "kappa_hat", "tracer", return_ind=True)
    np.testing.assert_array_equal(values, powers.values["tracer_cross"])
    window = file.get_bandpower_windows(at)
    np.testing.assert_allclose(window.weight.T @ powers.biases.theory, powers.expected)
    assert np.all((ell > BANDS.edges[:-1]) & (ell < BANDS.edges[1:]))


def test_another_file_is_refused(tmp_path):
    pytest.importorskip("sacc")
    path = tmp_path / "other.sacc"
    with pytest.raises(LensingError, match="there is no such file"):
        read_sacc(path)
    path.write_bytes(b"no FITS")
    with pytest.raises(LensingError, match="holds no band powers of κ"):
        read_sacc(path)


def test_a_file_without_response_has_no_amplitude(path):
    with pytest.raises(LensingError, match="no response"):
        _ = read_sacc(path)._replace(response=None).amplitude


def test_without_sacc_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sacc", None)
    with pytest.raises(LensingError, match=r"pip install 'lensing-tfds\[sacc\]'"):
        require_sacc()
