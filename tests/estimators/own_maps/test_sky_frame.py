"""Pixels on the sky: which way they run, and Q and U turned to their axes."""

import itertools
import pathlib

import numpy as np
import pytest

from estimators.own_maps.sky_frame import frame_of
from estimators.quadratic.fields import fields_of
from lensing_tfds.errors import LensingError
from lensing_tfds.sky.flat_sky import FlatSky
from lensing_tfds.sky.instrument import taper_window

astropy_wcs = pytest.importorskip("astropy.wcs")

NPIX, ARCMIN = 16, 4.0
SKY = FlatSky(NPIX, np.radians(NPIX * ARCMIN / 60))
PATH = pathlib.Path("maps.fits")


def header(projection="ZEA", dec=0.0, east=-1, north=1, turned=0.0, size=(ARCMIN, ARCMIN)):
    """Coordinates of a patch centred on a declination, its axes turned by some degrees."""
    wcs = astropy_wcs.WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{projection}", f"DEC--{projection}"]
    wcs.wcs.crval = [40.0, 0.0 if projection == "CAR" else dec]
    wcs.wcs.crpix = [NPIX / 2 + 0.5, NPIX / 2 + 0.5]
    wcs.wcs.cdelt = [east * size[0] / 60, north * size[1] / 60]
    if projection == "CAR":
        wcs.wcs.crpix[1] -= dec / wcs.wcs.cdelt[1]
    cosine, sine = np.cos(np.radians(turned)), np.sin(np.radians(turned))
    wcs.wcs.pc = [[cosine, -sine], [sine, cosine]]
    return wcs.to_header()


def polarized_at(header, y, x, psi):
    """The angle, in pixels from x towards y, of a step on the sky of position angle psi."""
    wcs = astropy_wcs.WCS(header)
    lon, lat = np.radians(wcs.wcs_pix2world(x, y, 0))
    # A great circle: the sine and cosine rules for a short step.
    step = 1e-6
    lat_to = np.arcsin(np.sin(lat) * np.cos(step) + np.cos(lat) * np.sin(step) * np.cos(psi))
    lon_to = lon + np.arctan2(
        np.sin(psi) * np.sin(step) * np.cos(lat), np.cos(step) - np.sin(lat) * np.sin(lat_to)
    )
    x_to, y_to = wcs.wcs_world2pix(*np.degrees((lon_to, lat_to)), 0)
    return np.arctan2(y_to - y, x_to - x)


ORIENTATIONS = [*itertools.product((-1, 1), (-1, 1), (0.0, 25.0, 90.0))]


@pytest.mark.parametrize(("east", "north", "turned"), ORIENTATIONS)
@pytest.mark.parametrize("dec", [0.0, -60.0, 88.0])
def test_polarization_along_a_direction_on_the_sky_is_along_it_on_the_pixels(
    east, north, turned, dec
):
    """Wherever the patch is, and whichever way its axes run: by going that way on the sky."""
    cards, psi = header("ZEA", dec, east, north, turned), 0.4
    frame = frame_of(cards, SKY, PATH)
    y, x = np.indices((NPIX, NPIX), float)
    theta = polarized_at(cards, y, x, psi)
    # A flip of an axis turns angles round; both together do not.
    theta = frame.flipped(-theta if frame.flip_x != frame.flip_y else theta)
    ones = np.ones((NPIX, NPIX))
    found = frame.to_axes(np.cos(2 * psi) * ones, np.sin(2 * psi) * ones, "IAU")
    # 1e-3: positions are differences of pixels half a pixel apart, and ZEA shears a little.
    np.testing.assert_allclose(found, (np.cos(2 * theta), np.sin(2 * theta)), atol=1e-3)
    of_cosmo = frame.to_axes(np.cos(2 * psi) * ones, -np.sin(2 * psi) * ones, "COSMO")
    np.testing.assert_array_equal(of_cosmo, found)


@pytest.mark.parametrize(("east", "north"), itertools.product((-1, 1), (-1, 1)))
def test_axes_that_run_west_or_south_are_turned(east, north):
    frame = frame_of(header(east=east, north=north), SKY, PATH)
    assert (frame.flip_x, frame.flip_y) == (east < 0, north < 0)
    lon, lat = astropy_wcs.WCS(frame.header).wcs_pix2world(*np.indices((NPIX, NPIX))[::-1], 0)
    assert (np.diff(frame.flipped(lon), axis=1) > 0).all()
    assert (np.diff(frame.flipped(lat), axis=0) > 0).all()
    np.testing.assert_array_equal(frame.flipped(frame.flipped(lon)), lon)


@pytest.mark.parametrize(
    ("cards", "line"),
    [
        ({"size": (5.0, 5.0)}, r"5 x 5 arcmin in its middle, off 4' by up to 25"),
        ({"size": (4.0, 4.1)}, r"4 x 4.1 arcmin"),
        ({"projection": "CAR", "dec": -50.0}, r"2.57. x 4 arcmin"),
    ],
)
def test_other_pixels_are_refused(cards, line):
    with pytest.raises(LensingError, match=f"maps.fits has pixels of {line}.*"):
        frame_of(header(**cards), SKY, PATH)


def test_pixels_that_are_a_little_off_are_taken():
    """At 4 degrees from the equator, plate carrée pixels are 0.3 % too narrow."""
    frame_of(header("CAR", dec=4.0), SKY, PATH)


def test_skewed_axes_are_refused():
    cards = header()
    cards["PC1_2"] = 0.06
    with pytest.raises(LensingError, match="3.4 degrees off a right angle"):
        frame_of(cards, SKY, PATH)


@pytest.mark.parametrize("dec", [0.0, -60.0])
def test_axes_may_be_the_other_way_round(dec):
    """Declination along x: the same sky, mirrored at the diagonal, has the same Q and U there."""
    cards = header(dec=dec)
    swapped = cards.copy()
    for one, two in ((1, 2), (2, 1)):
        for name in ("CTYPE{}", "CRVAL{}", "CRPIX{}", "CDELT{}"):
            swapped[name.format(two)] = cards[name.format(one)]
    frame, other = frame_of(cards, SKY, PATH), frame_of(swapped, SKY, PATH)
    signs = np.random.default_rng(0).standard_normal((2, NPIX, NPIX))
    here = frame.to_axes(*frame.flipped(signs), "IAU")
    there = other.to_axes(*other.flipped(signs.swapaxes(1, 2)), "IAU")
    # What is turned by 90 degrees has the other sign, and its pixels are turned with it. 1e-3: ZEA
    # shears a little, and the angle is that of another axis.
    for one, two in zip(here, there, strict=True):
        assert any(
            np.allclose(one, sign * np.rot90(two, k), atol=1e-3)
            for sign, k in ((1, 0), (1, 2), (-1, 1), (-1, 3))
        )


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"CTYPE1": "XX---YYY"}, "has coordinates that say nothing: Unrecognized projection code"),
        ({"CTYPE2": ""}, "has coordinates that say nothing: Unmatched celestial axes"),
        ({"CDELT1": 0.0}, "has coordinates that say nothing: .*singular"),
        ({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CRPIX1": 9000.0}, "not on the sky"),
    ],
)
def test_coordinates_that_make_no_sense_are_refused_in_one_line(changed, line):
    cards = header()
    cards.update(changed)
    with pytest.raises(LensingError, match=line) as refused:
        frame_of(cards, SKY, PATH)
    assert "\n" not in str(refused.value)


def test_maps_without_coordinates_are_refused():
    with pytest.raises(LensingError, match="no celestial coordinates"):
        frame_of(astropy_wcs.WCS(naxis=2).to_header(), SKY, PATH)


CURVED = FlatSky(32, np.radians(5))
LMAX = 800


@pytest.fixture(name="alms", scope="module")
def alms_fixture():
    """T, E and B of a whole sky, on the patch's scales: T is E, and there is no B."""
    curvedsky = pytest.importorskip("pixell.curvedsky")
    ell = np.arange(LMAX + 1.0)
    alm = curvedsky.rand_alm(np.where(ell > 200, 1 / np.maximum(ell, 1) ** 2, 0), lmax=LMAX, seed=1)
    return np.stack([alm, alm, 0 * alm])


@pytest.mark.parametrize(("dec", "turned"), [(0.0, 0.0), (-60.0, 30.0), (88.0, 0.0)])
def test_e_of_the_whole_sky_is_e_of_the_patch_wherever_that_is(alms, dec, turned):
    """By pixell's harmonics on the sphere (COSMO): with its sign, and hardly a B."""
    curvedsky = pytest.importorskip("pixell.curvedsky")
    arcmin = np.degrees(CURVED.pixel) * 60
    wcs = astropy_wcs.WCS(header("ZEA", dec, turned=turned, size=(arcmin, arcmin)))
    wcs.wcs.crpix = [CURVED.npix / 2 + 0.5] * 2
    y, x = np.indices((CURVED.npix,) * 2)
    lon, lat = np.radians(wcs.wcs_pix2world(x, y, 0))
    on_sky = curvedsky.alm2map_pos(alms, np.array([lat.ravel(), lon.ravel()]))
    frame = frame_of(wcs.to_header(), CURVED, PATH)
    t, q, u = frame.flipped(on_sky.reshape(3, CURVED.npix, CURVED.npix))
    q, u = frame.to_axes(q, u, "COSMO")
    maps = np.stack([t, q, u], axis=-1)[None] * taper_window(CURVED, 1.5)[:, :, None]
    modes = fields_of(maps, ("T", "Q", "U"), CURVED)
    inside = (CURVED.ell > 300) & (CURVED.ell < LMAX)

    def power(one, two):
        return np.sum((modes[one] * modes[two].conj()).real[0][inside])

    assert power("T", "E") > 0.99 * np.sqrt(power("T", "T") * power("E", "E"))
    # What a window of 5 degrees leaks at these l. Not turned, it has 80 % of E and more.
    assert power("B", "B") < 0.07 * power("E", "E")
