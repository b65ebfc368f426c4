"""Spectra of tensors: CAMB's, proportional to r, and read with the table of the scalars."""

import importlib.resources

import numpy as np
import pytest

from lensing_tfds.sky import spectra, tensor_spectra


def packaged(name):
    return importlib.resources.files("lensing_tfds.sky").joinpath(name).read_text("utf-8")


def test_the_table_is_cambs_at_another_r():
    """At r = 0.1, times ten, at CAMB's default accuracy: 1 % of it in rms for l = 2 to 600."""
    camb = pytest.importorskip("camb")
    from lensing_tfds.sky.camb_spectra import model_of

    model = model_of({})
    model.WantTensors, model.WantScalars, model.DoLensing = True, True, False
    model.NonLinear = "NonLinear_none"
    model.InitPower.r, model.InitPower.nt = 0.1, 0.0
    model.InitPower.pivot_tensor = 0.05
    model.max_l_tensor, model.max_eta_k_tensor, model.max_l = 900, 2000.0, 900
    found = 10 * camb.get_results(model).get_tensor_cls(lmax=600, CMB_unit="muK", raw_cl=True)
    table = tensor_spectra.fiducial()
    for column, name in enumerate(("TT", "EE", "BB")):
        ratio = found[2:601, column] / getattr(table, name)[2:601]
        assert np.sqrt(np.mean((ratio - 1) ** 2)) < 0.01, name


def test_a_table_that_has_tensors_behind_it_is_read_with_them():
    """As the file of a cosmology of a config's own is; the scalars are the same either way."""
    scalars, tensors = packaged(spectra.TABLE), packaged(tensor_spectra.TABLE)
    both = spectra.parse(scalars + tensors)
    assert both.tensors is not None and spectra.parse(scalars).tensors is None
    np.testing.assert_array_equal(both.tensors.BB, tensor_spectra.fiducial().BB)
    np.testing.assert_array_equal(both.TT, spectra.fiducial().TT)


@pytest.mark.parametrize(
    "change", [lambda t: t[: t.rindex("\n1000 ")], lambda t: t.replace("e-0", "e+0")]
)
def test_a_damaged_table_is_refused(change):
    with pytest.raises(ValueError, match="tensor"):
        tensor_spectra.parse(change(packaged(tensor_spectra.TABLE)))
