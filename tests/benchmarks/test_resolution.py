"""The choice of the versions' internal pixels, read off the study's own numbers."""

import dataclasses

import numpy as np
import pytest

from benchmarks import resolution
from lensing_tfds import VERSIONS

SURVEYS = [name for name, config in VERSIONS.items() if config.oversampling > 1]


@pytest.mark.parametrize("version", SURVEYS)
def test_a_version_meets_the_criterion_and_its_output_grid_would_not(version):
    """On a quarter of the patch: the pixels are the same, and the sums are quick."""
    config = VERSIONS[version]
    quarter = dataclasses.replace(
        config, name="quarter", npix=config.npix // 2, lx=config.lx / 2, taper=0, mask=None
    )
    npix = quarter.npix
    grids = (npix, npix * config.oversampling)
    as_output, as_chosen = resolution.errors(quarter, 4 * npix, grids, skies=1, polarized=True)
    assert as_chosen.meets_criterion()
    for spectrum, limit in resolution.CRITERION.items():
        # Where κ ends early, lensing moves little of T, which is then not observed, so far.
        if config.kappa_lmax is None or spectrum != "TT":
            assert as_output.largest(spectrum) > limit
    for group in ("T", "QU"):
        assert as_chosen.maps[group] < 1e-3 * as_chosen.signal[group]
        assert as_output.maps[group] > 1e-3 * as_output.signal[group]


def test_band_powers_and_mean_squares_are_those_of_the_fields():
    """A sky drawn on the output grid: E has the input's power, B none, maps their pixels' rms."""
    config = dataclasses.replace(VERSIONS["v10"], name="small", npix=64, lx=64 * 2 / 60)
    sky = config.sky
    modes = resolution.draw(config, sky, seed=1, polarized=True)
    for name in "TE":  # Nyquist modes count nowhere here
        modes[name][sky.npix // 2] = 0
        modes[name][:, -1] = 0
    unlensed = resolution.stokes(modes, sky)
    powers = resolution.band_powers(unlensed, sky)
    assert np.all(powers["BB"] < 1e-12 * powers["EE"])
    maps = sky.to_map(np.stack([unlensed["Q"], unlensed["U"]]))
    mean_square = resolution.mean_square([unlensed["Q"], unlensed["U"]], sky)
    assert mean_square == pytest.approx(np.mean(maps**2), rel=1e-12)
    scaled = {name: 1.01 * field for name, field in unlensed.items()}
    ratio = resolution.band_powers(scaled, sky)["EE"] / powers["EE"]
    np.testing.assert_allclose(ratio, 1.01**2, rtol=1e-12)


def test_the_whole_study_prints_its_tables_and_draws_its_figure(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(resolution, "SURVEYS", {"v10": (1, 320, (256,)), "v11": (1, 160, (128,))})
    monkeypatch.setattr(resolution, "STUDY", {"v7": (1, 2)})
    resolution.main(["--figure", str(tmp_path / "figure.png")])
    printed = capsys.readouterr().out
    assert "| 2.00' |" in printed and "| 2.34' |" in printed and "| v7 | 27.48' |" in printed
    assert (tmp_path / "figure.png").stat().st_size < 200_000
