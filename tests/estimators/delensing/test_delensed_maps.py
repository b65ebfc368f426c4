"""Maps of B less a template of κ: by the true κ next to nothing is left."""

import dataclasses

import numpy as np
import pytest

from estimators.delensing.delensed_maps import BANDS, Delenser, delensed_bands
from estimators.ensemble import SkyEnsemble
from lensing_tfds import LensingConfig, simulate
from lensing_tfds.errors import LensingError

CONFIG = LensingConfig(
    name="small", npix=48, lx=48 * 2.0 / 60, stokes="QU", oversampling=2, beam_arcmin=2.0,
    noise_uK_arcmin=0.05,
)  # fmt: skip
LMAX = 1200.0


def test_the_true_kappa_leaves_little_and_its_negative_four_times_what_there_was():
    """B − (B − ε) is small, and B + (B − ε) nearly 2 B; maps and powers are of the same modes."""
    examples = simulate(CONFIG, "test", range(4))
    kappa = examples["kappa"][..., 0]
    bands = delensed_bands(CONFIG, LMAX)
    delenser = Delenser(SkyEnsemble.of(CONFIG), bands)
    found = delenser.maps(examples["lensed"], {"true": kappa, "wrong": -kappa})
    assert found.observed_powers.shape == (4, BANDS)
    assert (found.delensed_powers["true"] < 0.1 * found.observed_powers).all()
    ratio = found.delensed_powers["wrong"].sum() / found.observed_powers.sum()
    assert ratio == pytest.approx(4, rel=0.1)
    after = (found.observed - found.templates["true"]).astype(np.float64)
    modes = CONFIG.sky.to_modes(after)
    in_bands = bands.mean(np.abs(modes) ** 2) * CONFIG.sky.area
    assert in_bands == pytest.approx(found.delensed_powers["true"], rel=1e-3)


@pytest.mark.parametrize(
    ("config", "lmax", "message"),
    [
        (CONFIG, 100.0, "no B mode of 'small' lies in"),
        (CONFIG, 300.0, "a fifth of what --lmax 300 leaves: give a higher one"),
        (CONFIG, 1e6, "a fifth of what --lmax 1e[+]06 leaves: give a lower one"),
        (CONFIG, np.nan, "--lmax nan: must be a finite number above zero"),
        (CONFIG, np.inf, "--lmax inf: must be a finite number above zero"),
        (dataclasses.replace(CONFIG, taper=0.2), LMAX, "which mix E and B"),
    ],
)
def test_bands_that_cannot_be_delensed_are_one_line(config, lmax, message):
    with pytest.raises(LensingError, match=message):
        delensed_bands(config, lmax)
