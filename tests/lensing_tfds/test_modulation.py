"""Skies that are turned and dimmed before they are lensed."""

import dataclasses

import numpy as np
import pytest

from lensing_tfds import LensingConfig, simulate
from lensing_tfds.config_fields.optical_depth import OpticalDepth
from lensing_tfds.config_fields.rotation import Rotation
from lensing_tfds.errors import LensingError
from lensing_tfds.symmetries import ORDER, transform
from lensing_tfds.versions import get_config

ROTATION = {"amplitude": 1e-3}
DEPTH = {"rms": 0.1, "L_c": 500}

# κ so faint that lensing does nothing: the lensed sky is then the modulated one.
STILL = LensingConfig(
    "still",
    npix=32,
    lx=5.0,
    stokes="TQU",
    kappa_exaggeration_factor=1e-6,
    rotation=Rotation(**ROTATION),
    optical_depth=OpticalDepth(**DEPTH),
)


def test_the_sky_is_turned_and_dimmed_by_the_labels():
    maps = simulate(STILL, "train", range(3))
    alpha, tau = maps["rotation"][..., 0], maps["tau"][..., 0]
    passed = np.exp(-tau)
    unlensed = maps["unlensed"]
    p = (unlensed[..., 1] + 1j * unlensed[..., 2]) * np.exp(2j * alpha) * passed
    expected = np.stack([unlensed[..., 0] * passed, p.real, p.imag], axis=-1)
    np.testing.assert_allclose(maps["lensed"], expected, atol=2e-3)
    assert np.abs(maps["lensed"] - unlensed).max() > 1


def test_fields_have_their_spectra():
    """Each ring within 5 sigma of the formulas, written out."""
    maps = simulate(STILL, "train", range(150))
    sky = STILL.sky
    ring = np.round(sky.ell / sky.fundamental).astype(int)
    for name, formula in (
        ("rotation", lambda l: 1e-3 * 2 * np.pi / (l * (l + 1))),
        ("tau", lambda l: 0.01 * 4 * np.pi / 500**2 * np.exp(-((l / 500) ** 2))),
    ):
        modes = sky.to_modes(maps[name][..., 0].astype(float))
        assert abs(modes[:, 0, 0]).max() < 1e-8
        for number in range(1, 12):
            inside = (ring == number) & sky.inner
            weight = sky.mode_counts[inside]
            expected = np.average(formula(sky.ell[inside]), weights=weight)
            power = np.mean(abs(modes[:, inside]) ** 2, axis=0) * sky.area
            got = np.average(power, weights=weight)
            assert abs(got / expected - 1) < 5 * 1.5 * np.sqrt(2 / weight.sum() / 150)


def test_unlensed_maps_and_kappa_are_those_of_the_sky_without():
    plain = dataclasses.replace(STILL, name="plain", rotation=None, optical_depth=None)
    ours, theirs = simulate(STILL, "train", [5]), simulate(plain, "train", [5])
    for name in ("unlensed", "kappa"):
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_a_mirrored_sky_is_turned_the_other_way():
    """The angle moves as a pseudoscalar, τ as a scalar: then the mirrored sky is one of ours."""
    maps = simulate(STILL, "train", [2])
    for element in range(ORDER):
        turned = {
            name: transform(maps[name], channels, np.array([element]))
            for name, channels in (
                ("lensed", "TQU"),
                ("unlensed", "TQU"),
                ("rotation", ("rotation",)),
                ("tau", ("tau",)),
            )
        }
        p = turned["unlensed"][..., 1] + 1j * turned["unlensed"][..., 2]
        p = p * np.exp(2j * turned["rotation"][..., 0] - turned["tau"][..., 0])
        np.testing.assert_allclose(turned["lensed"][..., 1], p.real, atol=2e-3)
        np.testing.assert_allclose(turned["lensed"][..., 2], p.imag, atol=2e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rotation": {"amplitude": 0}}, "rotation: amplitude is 0, must be a number from 1e-15"),
        (
            {"rotation": ROTATION, "stokes": "T"},
            "amplitude is 0.001, must be left out",
        ),
        ({"optical_depth": {"rms": -1, "L_c": 9}}, "optical_depth: rms is -1, must be a number"),
        ({"optical_depth": {"rms": 1, "L_c": 0}}, "optical_depth: L_c is 0, must be a number"),
    ],
)
def test_impossible_fields_are_named(change, message):
    with pytest.raises(LensingError) as caught:
        get_config({"name": "survey", "npix": 32, "lx": 4.0, "stokes": "QU"} | change)
    assert message in str(caught.value)
