"""The benchmark measures masked skies inside the judge's window, and says what it cannot do."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import maximum_a_posteriori
from estimators.filtering.masked_patch import interior_of
from estimators.posterior.mean_field import MeanField
from estimators.posterior.sky_model import SkyModel
from lensing_tfds import simulate
from lensing_tfds.config_fields.mask import Mask
from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import spectra_of

SMALL = LensingConfig(
    "small", npix=48, lx=2.0, stokes="QU", oversampling=2, beam_arcmin=2.0, noise_uK_arcmin=1.0,
    mask=Mask(border=0.1, edge=0.2, multiplies="signal"),
)  # fmt: skip


def test_correlations_are_those_inside_the_window(capsys):
    arguments = ["--examples", "2", "--fitted", "64", "--mean_field", "4"]
    maximum_a_posteriori.main([json.dumps(SMALL.to_json()), *arguments])
    printed = capsys.readouterr().out
    assert "small: mean field of 4 skies" in printed and "seconds of a core a map" in printed
    line = next(line for line in printed.splitlines() if line.startswith("small 0:"))
    found = float(line.split("rho ")[1].split()[2])
    # By hand: the same ascent, and pixels in the window.
    model = SkyModel(SMALL, spectra_of(SMALL))
    estimator = maximum_a_posteriori.MaximumAPosteriori(
        SMALL, spectra_of(SMALL), model=model, mean_field=MeanField.measured(model, SMALL, 4)
    )
    example, window = simulate(SMALL, "test", [0]), interior_of(SMALL)
    estimate = SMALL.sky.to_map(estimator.kappa(example["lensed"])[0].kappa) * window
    true = example["kappa"][0, ..., 0] * window
    rho = np.sum(true * estimate) / np.sqrt(np.sum(true**2) * np.sum(estimate**2))
    assert found == pytest.approx(rho, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["v16"], "'v16' has no maximum a posteriori here: its T has foregrounds"),
        (["v5"], "'v5' has no maximum a posteriori here: its maps have no noise"),
        (["v99"], "unknown version 'v99'"),
        (["v14", "--mean_field", "1"], "--mean_field is 1: must be at least 2"),
        (["v14", "--examples", "1"], "--examples is 1: must be at least 2"),
        (["v14", "--fitted", "0"], "--fitted is 0: must be at least 1"),
        (["v14", "--output", "none/a.json"], "--output none/a.json: there is no such folder"),
        ([json.dumps(SMALL.to_json()), "--output", "x.json"], "--output holds versions alone"),
        (
            [json.dumps(dataclasses.replace(SMALL, T_lmax=2000).to_json())],
            "'small' has a mask, and skies that no filter of masked maps is there for (T_lmax",
        ),
        (
            [json.dumps(dataclasses.replace(SMALL, oversampling=1).to_json())],
            "'small' is lensed on pixels of 2.5', too coarse for a posterior, which knows of no "
            "waves that these alias: give oversampling 2, or smaller pixels",
        ),
        (
            [json.dumps(dataclasses.replace(SMALL, lx=48.0).to_json())],
            "pixels of 30', too coarse for a posterior, which knows of no waves that these alias: "
            "give smaller pixels, by npix or lx (lensed on 1.25' at most)",
        ),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as found:
        maximum_a_posteriori.main(arguments)
    said = capsys.readouterr().err
    assert found.value.code == 2 and message in said and len(said.splitlines()) == 1
