"""Point sources: the moments that number counts have, and single sources where they are few."""

import numpy as np
import pytest
from scipy import integrate

from lensing_tfds.sky.point_sources import PointSources, PowerLaw, Schechter

RADIO = PowerLaw(2.1, 0.015)
DUSTY = Schechter(-2.12, 4e-4, 0.015)
UNIT = 400.0  # Jy / sr / µK
PIXEL = np.radians(1 / 60) ** 2


def normals(count):
    return np.random.default_rng(4).standard_normal((1, count), np.float32)


@pytest.mark.parametrize("counts", [RADIO, DUSTY])
@pytest.mark.parametrize("order", [2, 3, 4])
def test_moments_of_counts_are_their_integrals(counts, order):
    def integrand(flux):
        if isinstance(counts, PowerLaw):
            return flux ** (order - counts.slope)
        return flux**order * (flux / counts.knee) ** counts.slope * np.exp(-flux / counts.knee)

    first, last = 1e-4, 0.01
    expected = integrate.quad(integrand, first, last, limit=200)[0]
    found = counts.moment(order, np.array(first), np.array(last))
    assert found == pytest.approx(expected, rel=1e-6)
    assert counts.moment(order, np.array(0.02), np.array(0.03)) == pytest.approx(0, abs=1e-30)


@pytest.mark.parametrize("counts", [RADIO, DUSTY])
@pytest.mark.parametrize("pixel", [1.0, 27.0])
def test_pixels_have_the_cumulants_of_poisson_sources(counts, pixel):
    """The second to the fourth, by a quadrature over all numbers that are drawn: to 1e-3.

    The fourth of many faint sources in a large pixel, next to nothing, to 2 %.
    """
    sources = PointSources(counts, 3e-6, UNIT, PIXEL * pixel**2)
    step = 1 / 4096
    z = np.arange(-6.7, 6.7, step) + step / 2
    weights = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * step
    values = sources.maps(z.astype(np.float32)[None].copy())[0].astype(float)
    mean = weights @ values
    second, third, fourth = (weights @ (values - mean) ** order for order in (2, 3, 4))
    assert abs(mean) < 1e-3 * sources.cumulant(2) ** 0.5
    assert second == pytest.approx(sources.cumulant(2), rel=1e-3)
    assert third == pytest.approx(sources.cumulant(3), rel=1e-3)
    assert fourth - 3 * second**2 == pytest.approx(sources.cumulant(4), rel=0.02)
    # C_l of white noise is its variance times the pixel's area.
    assert sources.cumulant(2) * sources.pixel_area == pytest.approx(3e-6, rel=1e-12)


def test_single_sources_stand_out_as_often_as_they_are():
    """Pixels with a bright radio source, as many as the counts say, and none much above the cut."""
    sources = PointSources(RADIO, 2.6e-6, UNIT, PIXEL)
    maps = sources.maps(normals(4_000_000))[0]
    number = 2.6e-6 * UNIT**2 / RADIO.moment(2, np.array(0.0), np.array(0.015))
    bright, brightest = 0.005, 0.015
    expected = number * PIXEL * (bright**-1.1 - brightest**-1.1) / 1.1 * maps.size
    found = np.sum(maps > bright / (UNIT * PIXEL))
    # Two sources in a pixel, and the faint ones' mean, are worth 3 %; chance is 5 %.
    assert abs(found / expected - 1) < 0.2
    assert maps.max() < 1.5 * brightest / (UNIT * PIXEL)


def test_faint_sources_add_up_to_a_gaussian():
    maps = PointSources(DUSTY, 3e-6, UNIT, PIXEL * 60**2).maps(normals(200_000))[0].astype(float)
    assert abs(np.mean(maps**3) / maps.std() ** 3) < 0.05
