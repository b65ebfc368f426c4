"""The figures of the pages on what is lensed and judged show what their captions say."""

import numpy as np

from benchmarks import concepts
from lensing_tfds import LensingConfig


def test_lensing_moves_power_to_small_scales_and_makes_b():
    config = LensingConfig(
        "small", npix=64, lx=64 * 2 / 60, stokes="TQU", oversampling=2, beam_arcmin=1.4,
        noise_uK_arcmin=5,
    )  # fmt: skip
    figure = concepts.lensing_figure(config, skies=2)
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[5].get_lines()}
    assert set(lines) == {"TT, unlensed", "TT, lensed", "EE, unlensed", "EE, lensed", "BB, lensed"}
    # Without noise, which would be hundreds of times more at the last band.
    assert 1.05 < lines["TT, lensed"][-1] / lines["TT, unlensed"][-1] < 100
    assert np.all(lines["BB, lensed"] < lines["EE, lensed"])
    figure.draw_without_rendering()
    legend = figure.axes[5].get_legend().get_window_extent()
    for line in figure.axes[5].get_lines():
        assert (
            not line.get_transform()
            .transform_path(line.get_path())
            .intersects_bbox(legend, filled=False)
        )


def test_the_iterated_estimator_is_above_the_quadratic_one():
    figure = concepts.judging_figure("v11", skies=2)
    quadratic, iterated = (bars.lines[0].get_ydata() for bars in figure.axes[1].containers)
    assert iterated[:10].mean() > quadratic[:10].mean() + 0.02
    forecasts = [line.get_ydata() for line in figure.axes[1].get_lines()[:2]]
    assert len(iterated) > 10 and all(np.nanmax(line) <= 1 for line in forecasts)
