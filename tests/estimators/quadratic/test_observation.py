"""What the observed modes hold, and which are used."""

import numpy as np
import pytest

from estimators.quadratic.observation import Observation
from estimators.quadratic.quadratic_estimator import pairs_of
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.simulation import simulate
from lensing_tfds.sky import spectra
from lensing_tfds.sky.flat_sky import FlatSky

SKY = FlatSky(32, np.radians(2.0))
FIDUCIAL = spectra.fiducial()


def test_which_modes_are_used():
    """Both limits belong to the band; the monopole and the Nyquist lines are never used."""
    everything = Observation(SKY, FIDUCIAL).used
    nothing = np.zeros(SKY.ell.shape, bool)
    nothing[0, 0] = nothing[16] = nothing[:, 16] = True
    np.testing.assert_array_equal(everything, ~nothing)
    limits = {"lmin": 3 * SKY.fundamental, "lmax": 5 * SKY.fundamental}
    row = Observation(SKY, FIDUCIAL, **limits).used[0]
    assert list(np.flatnonzero(row)) == [3, 4, 5]
    odd = FlatSky(31, SKY.side)
    assert Observation(odd, FIDUCIAL).used.sum() == odd.ell.size - 1


def test_total_is_the_power_of_simulated_maps():
    """Beam, noise, and lensed signal of T, as the dataset's own simulation has them: 1.5 %."""
    config = {"name": "o", "npix": 64, "lx": 2.5, "oversampling": 2, "beam_arcmin": 3.0,
              "noise_uK_arcmin": 5.0}  # fmt: skip
    sky = FlatSky(64, np.radians(2.5))
    total = Observation(sky, FIDUCIAL, 3.0, 5.0).total("T", "T")
    modes = sky.to_modes(simulate(config, "train", range(400))["lensed"][..., 0])
    power = (np.abs(modes) ** 2).mean(axis=0) * sky.area
    for low, high in ((300, 1500), (1500, 3000), (3000, 4500)):
        band = (sky.ell > low) & (sky.ell < high)
        assert np.mean(power[band] / total[band]) == pytest.approx(1, abs=0.015)


def test_polarization_has_root_two_of_the_noise_depth():
    quiet, noisy = (Observation(SKY, FIDUCIAL, noise_uK_arcmin=depth) for depth in (0, 3.0))
    white = {pair: (noisy.total(*pair) - quiet.total(*pair))[3, 3] for pair in ("TT", "EE", "BB")}
    assert white["TT"] == pytest.approx(np.radians(3 / 60) ** 2)
    assert white["EE"] == pytest.approx(2 * white["TT"])
    assert white["BB"] == pytest.approx(2 * white["TT"])
    np.testing.assert_array_equal(noisy.total("T", "E"), quiet.total("T", "E"))
    assert not noisy.total("T", "B").any()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"beam_arcmin": -1}, "beam_arcmin is -1: must be a finite number of at least 0"),
        ({"noise_uK_arcmin": float("nan")}, "noise_uK_arcmin is nan"),
        ({"lmin": 500, "lmax": 400}, "lmax is 400: must be above lmin, 500"),
        ({"lmin": 9000}, r"no mode of the patch lies in 9000 <= l .* 180 to 2880 along an axis"),
    ],
)
def test_bad_values(fields, message):
    with pytest.raises(LensingError, match=message):
        Observation(SKY, FIDUCIAL, **fields)


@pytest.mark.parametrize(
    ("T_lmax", "lmax", "highest"), [(None, None, None), (900, None, 900), (900, 500, 500)]
)
def test_a_configs_observation_ends_at_its_band_limit(T_lmax, lmax, highest):
    config = LensingConfig(
        "c", npix=64, lx=10.0, T_lmax=T_lmax, beam_arcmin=3.0, noise_uK_arcmin=5.0
    )
    found = Observation.of(config, FIDUCIAL, lmax)
    by_hand = Observation(config.sky, FIDUCIAL, 3.0, 5.0, lmax=highest)
    np.testing.assert_array_equal(found.used, by_hand.used)
    np.testing.assert_array_equal(found.total("T", "T"), by_hand.total("T", "T"))


@pytest.mark.parametrize(
    ("stokes", "pairs"),
    [("T", {"TT"}), ("QU", {"EE", "EB"}), ("TQU", {"TT", "TE", "TB", "EE", "EB"})],
)
def test_pairs_are_those_of_the_fields_observed(stokes, pairs):
    config = LensingConfig("c", npix=16, lx=10.0, stokes=stokes)
    assert set(pairs_of(config)) == pairs


def test_total_has_the_noises_knee_and_the_mean_of_the_tensors():
    """Written out: N [1 + (l / 500)^-3] in E and B, and r's mean times the tensors' B."""
    config = LensingConfig(
        "n",
        npix=32,
        lx=4.0,
        stokes="QU",
        noise_uK_arcmin=3.0,
        one_over_f={"P_knee": 500},
        tensors={"r_min": 0.09, "r_max": 0.16},
    )
    table = spectra.fiducial_with_tensors()
    observation = Observation.of(config, table)
    used, ell = observation.used, config.sky.ell
    noise = (np.radians(3 / 60) * 2**0.5) ** 2 * (1 + (ell[used] / 500) ** -3)
    ratio = (0.09 + 0.12 + 0.16) / 3
    for name, lensed in (("EE", table.lensed_EE), ("BB", table.lensed_BB)):
        tensors = spectra.at_multipoles(getattr(table.tensors, name), ell[used])
        expected = spectra.at_multipoles(lensed, ell[used]) + ratio * tensors + noise
        np.testing.assert_allclose(observation.total(*name)[used], expected, rtol=1e-12)
