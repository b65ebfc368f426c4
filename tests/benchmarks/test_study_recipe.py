"""The study's recipe, which we compare with, is a fair one: right on a well-resolved sky."""

import numpy as np

from benchmarks import kernel, study_recipe, study_remap
from lensing_tfds import LensingConfig
from lensing_tfds.sky import spectra


def test_its_remap_is_good_where_the_sky_is_smooth():
    """A wave of 32 pixels, shifted by a fraction of one: to 1e-4 away from the clamped edges."""
    y, x = np.meshgrid(np.arange(64.0), np.arange(64.0), indexing="ij")

    def wave(y, x):
        return np.cos(2 * np.pi * (2 * x + y) / 64)

    shift_y, shift_x = 0.3 * np.ones((64, 64)), -0.6 * np.ones((64, 64))
    remapped = study_recipe.remap(wave(y, x), shift_y, shift_x)
    inner = np.s_[6:-6, 6:-6]
    np.testing.assert_allclose(remapped[inner], wave(y + 0.3, x - 0.6)[inner], atol=1e-4)


def test_its_examples_have_the_right_power():
    """κ's variance of 100 examples against the spectrum, to five standard errors of about 1 %."""
    config = LensingConfig("c", npix=50, lx=10.0)
    simulator = study_recipe.Simulator(config)
    kappa = np.array([simulator.example(seed)[1] for seed in range(1, 101)])
    frequency = 2 * np.pi * np.fft.fftfreq(50, config.side / 50)
    ell = np.hypot(frequency[:, None], frequency[None, :])
    ell[:, 25] = ell[25, :] = 0  # synfast_flat's own Nyquist lines
    power = spectra.at_multipoles(spectra.fiducial().kappa, ell) / config.side**2
    assert abs(kappa.var() / power.sum() - 1) < 0.07


def test_the_benchmarks_print_a_row_for_each_case(monkeypatch, capsys):
    monkeypatch.setattr(study_remap, "EXAMPLES", 1)
    study_remap.main()
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[0] for row in rows] == [f"v{i}" for i in range(1, 9)]
    monkeypatch.setattr(kernel, "ROUNDS", 1)
    monkeypatch.setattr(kernel, "SECONDS", 0.01)
    monkeypatch.setattr(kernel.os, "sched_setaffinity", lambda *_: None)
    kernel.main()
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["50", "100", "128", "256", "512"]
