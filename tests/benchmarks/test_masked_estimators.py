"""The tables of masked estimators are of the numbers that the judge found."""

import numpy as np
import pytest

from benchmarks import masked_estimators
from lensing_tfds.config_fields.mask import Mask
from lensing_tfds.configs import LensingConfig

SMALL = LensingConfig(
    "small", npix=48, lx=2.0, stokes="QU", oversampling=2, beam_arcmin=2.0, noise_uK_arcmin=1.0,
    mask=Mask(edge=0.3), splits=2,
)  # fmt: skip


def test_tables_hold_the_judge_s_numbers():
    judged, seconds, share = masked_estimators.measure(SMALL, 16, 8, is_iterated=False)
    assert 0 < share < 1 and seconds["qe_mv"] > 0
    mv = next(one for one in judged if one.estimator.name == "qe_mv")
    wiener = next(one for one in judged if one.estimator.name == "qe_mv_wiener")
    *_, last = mv.skill.bands.edges
    everything = masked_estimators.pooled_correlation(wiener, last)
    assert everything == pytest.approx(float(wiener.skill.map_correlation.value), abs=0.05)
    assert masked_estimators.last_edge(mv, 1000) <= 1020
    table = masked_estimators.response_table(judged, 0.5)
    ell = mv.skill.bands.ell
    band = int(np.argmin(np.abs(ell - 1000)))
    assert f"{mv.skill.transfer_ell.value[band]:.4f}" in table
    assert "QE MV: response" in table
    assert "QE MV, Wiener" in masked_estimators.correlation_table(judged, seconds)


def test_pairs_of_splits_respond_as_the_plain_estimate():
    said = masked_estimators.splits_line(SMALL, 4)
    response = float(said.split("plain estimate's ")[1].split()[0])
    assert response == pytest.approx(1, abs=0.1)
