"""The benchmark of foregrounds' bias: measured band by band, of each estimator."""

import numpy as np

from benchmarks import foreground_bias
from lensing_tfds import LensingConfig
from lensing_tfds.config_fields.foregrounds import Foregrounds


def test_strong_foregrounds_bias_and_hardening_costs_noise():
    """Thermal SZ effect alone, twenty times too strong: negative at any L."""
    only = {"radio": 0.0, "dusty": 0.0, "cib": 0.0, "ksz": 0.0, "tsz": 20.0}
    config = LensingConfig(
        "small", npix=32, lx=32 * 4 / 60, oversampling=2, beam_arcmin=4.0, noise_uK_arcmin=1.0,
        foregrounds=Foregrounds(**only),
    )  # fmt: skip
    found = foreground_bias.biases(config, 150, lmax=2400.0, edges=(200.0, 1000.0))
    assert list(found) == ["plain", "source-hardened", "tsz-hardened"]
    bias, error, ratio = (column[0] for column in found["plain"])
    assert ratio == 1 and bias < -4 * error
    for name in ("source-hardened", "tsz-hardened"):
        assert found[name][2][0] > 1
        assert abs(found[name][0][0]) < np.abs(bias)
