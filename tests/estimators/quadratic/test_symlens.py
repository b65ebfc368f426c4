"""N0 of the quadratic estimators against symlens, an independent code, at L = 100 to 3000."""

import functools

import numpy as np
import pytest
from pixell import enmap
from symlens import factorize, qe

from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import PAIRS, QuadraticEstimator
from lensing_tfds.sky import instrument, spectra
from lensing_tfds.sky.flat_sky import FlatSky

SKY = FlatSky(140, np.radians(3.7))
"""Fine enough for symlens, whose products of maps live on the maps' own pixels: l1 + l2 up to
2 · 5000 do not come back as L < 3000."""

SURVEYS = {  # coadded 90 and 150 GHz, and the modes used
    "Simons Observatory": {"beam_arcmin": 1.4, "noise_uK_arcmin": 6.3, "lmin": 300, "lmax": 4000},
    "CMB-S4": {"beam_arcmin": 1.4, "noise_uK_arcmin": 1.0, "lmin": 300, "lmax": 5000},
}


_factorize = factorize.factorize_2d_convolution_integral


@functools.cache
def _factorized(expression, l1, l2, groups):
    """symlens's algebra, once a pair, and without its checks of itself: both take seconds."""
    return _factorize(expression, list(l1), list(l2), groups and list(groups), validate=False)


def of_symlens(pair, observation, monkeypatch):
    """N0 of κ on the half plane, from symlens's own expressions for Hu & Okamoto's weights."""

    def factorized(expression, l1funcs, l2funcs, groups, validate):
        return _factorized(expression, tuple(l1funcs), tuple(l2funcs), groups and tuple(groups))

    monkeypatch.setattr(factorize, "factorize_2d_convolution_integral", factorized)
    sky, table = observation.sky, observation.spectra
    edge = sky.side / 2
    geometry = enmap.geometry([[-edge, -edge], [edge, edge]], shape=(sky.npix,) * 2, proj="plain")
    ell = np.asarray(enmap.modlmap(*geometry))
    depth = observation.noise_uK_arcmin * np.pi / 180 / 60
    noise = (depth / instrument.beam(ell, observation.beam_arcmin)) ** 2
    spectrum = functools.partial(spectra.at_multipoles, ell=ell)
    feed = {
        "tC_T_T": spectrum(table.lensed_TT) + noise,
        "tC_E_E": spectrum(table.lensed_EE) + 2 * noise,
        "tC_B_B": spectrum(table.lensed_BB) + 2 * noise,
        "tC_T_E": spectrum(table.lensed_TE),
        "uC_T_T": spectrum(table.gradient_TT),
        "uC_E_E": spectrum(table.gradient_EE),
        "uC_T_E": spectrum(table.gradient_TE),
    }
    mask = ((ell >= observation.lmin) & (ell <= observation.lmax)).astype(int)
    plane = np.asarray(qe.N_l(*geometry, feed, "hu_ok", pair, xmask=mask, ymask=mask))
    # pixell's x axis points the other way: the half plane's modes, wherever they stand.
    ly, lx = (np.rint(np.asarray(l) / sky.fundamental).astype(int) for l in enmap.lmap(*geometry))
    ours = np.empty((sky.npix, sky.npix))
    ours[ly, lx] = plane
    return ours[:, : sky.npix // 2 + 1]


@pytest.mark.parametrize("survey", SURVEYS)
@pytest.mark.parametrize("pair", PAIRS)
def test_noise_is_that_of_symlens(pair, survey, monkeypatch):
    """Mode by mode: 0.1 %, which is symlens's single precision.

    TE within 1 %: symlens keeps C^TE in its weights, by another approximation than ours.
    """
    observation = Observation(SKY, spectra.fiducial(), **SURVEYS[survey])
    compared = (SKY.ell >= 100) & (SKY.ell <= 3000)
    compared[:, -1] = False
    ours = QuadraticEstimator(pair, observation).noise[compared]
    theirs = of_symlens(pair, observation, monkeypatch)[compared]
    np.testing.assert_allclose(ours, theirs, rtol=0.01 if pair == "TE" else 1e-3)
