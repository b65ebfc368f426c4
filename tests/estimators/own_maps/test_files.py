"""Maps from files, κ into files; what is in no such file is named in one line."""

import dataclasses
import warnings

import numpy as np
import pytest

from estimators.own_maps import files
from estimators.own_maps.files import OwnMaps, read_maps, read_mask, refuse_output, write_kappa
from estimators.uncertainty import LEVELS, Uncertainty, rings_of
from lensing_tfds import __version__
from lensing_tfds.configs import LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.release import RELEASE

T = LensingConfig("t", npix=16, lx=1.0)
QU = LensingConfig("qu", npix=16, lx=1.0, stokes="QU")
TQU = LensingConfig("tqu", npix=16, lx=1.0, stokes="TQU")


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def saved(folder, array, name="maps.npy"):
    np.save(folder / name, array)
    return folder / name


def fits_file(folder, array, name="maps.fits", east=-1, north=1, coordinates=True, **cards):
    fits, wcs = pytest.importorskip("astropy.io.fits"), pytest.importorskip("astropy.wcs")
    where = wcs.WCS(naxis=2)
    where.wcs.ctype, where.wcs.crpix = ["RA---CAR", "DEC--CAR"], [8.5, 8.5]
    where.wcs.cdelt = [east / 16, north / 16]
    hdu = fits.PrimaryHDU(array, where.to_header() if coordinates else None)
    hdu.header.update({key: value for key, value in cards.items() if value is not None})
    hdu.writeto(folder / name)
    return folder / name


def errors(config):
    bands = np.ones((len(LEVELS), 1))
    return Uncertainty(
        config.sky, np.ones(rings_of(config.sky).num), [1.0, 9.0], bands, [1.0, 2.0], 64
    )


@pytest.mark.parametrize(
    ("config", "shape", "number"),
    [
        (T, (16, 16), 1),
        (T, (16, 16, 1), 1),
        (T, (3, 16, 16), 3),
        (T, (3, 16, 16, 1), 3),
        (T, (1, 16, 16), 1),
        (QU, (16, 16, 2), 1),
        (QU, (4, 16, 16, 2), 4),
        (TQU, (16, 16, 3), 1),
    ],
)
def test_one_patch_or_many_of_numpy(config, shape, number, tmp_path):
    array = noise(*shape)
    own = read_maps(saved(tmp_path, array), config)
    assert own.maps.shape == (number, 16, 16, len(config.channels))
    assert own.maps.dtype == np.float32
    np.testing.assert_array_equal(own.maps.ravel(), array.astype(np.float32).ravel())
    assert own.is_one == (shape in ((16, 16), (16, 16, 1), (16, 16, 2), (16, 16, 3)))


def test_what_simulate_gives_is_read_as_the_readme_saves_it(tmp_path):
    array = noise(2, 16, 16, 2)
    np.savez(tmp_path / "maps.npz", lensed=array, kappa=array[..., :1])
    own = read_maps(tmp_path / "maps.npz", QU)
    np.testing.assert_array_equal(own.maps, array.astype(np.float32))


@pytest.mark.parametrize(
    ("config", "shape", "line"),
    [
        (QU, (16, 16), r"shape \(16, 16\): must be \(16, 16, 2\) or \(n, 16, 16, 2\), of Q, U"),
        (QU, (16, 16, 3), r"leave T out: maps\[..., 1:\]"),
        (QU, (2, 16, 16), r"channels are the last axis: numpy.moveaxis\(maps, -3, -1\)"),
        (QU, (5, 2, 16, 16), r"channels are the last axis"),
        (T, (20, 20), r"maps of 20 x 20 pixels, must be 16 x 16 of 3.75' .*npix 20"),
        (QU, (5, 20, 20, 2), r"maps of 20 x 20 pixels"),
        (T, (16,), r"shape \(16,\): must be \(16, 16\) or \(n, 16, 16\), of T$"),
        (T, (0, 16, 16), r"shape \(0, 16, 16\)"),
        (T, (16, 15), r"shape \(16, 15\)"),
    ],
)
def test_other_shapes_are_named(config, shape, line, tmp_path):
    with pytest.raises(LensingError, match=line):
        read_maps(saved(tmp_path, noise(*shape)), config)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("maps.npy", b"not a map", "it is not a .npy file"),
        ("maps.npz", b"not a map", "cannot read .*maps.npz"),
        ("maps.npz", b"PK\x03\x04 half a map", "cannot read .*maps.npz: File is not a zip file"),
        ("maps.fits", b"not a map", "cannot read .*maps.fits"),
        ("maps.txt", b"1 2 3", "maps.txt must end in .npy, .npz, .fits"),
    ],
)
def test_what_is_no_such_file_is_named(name, content, line, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LensingError, match=line), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy's, of the file's length
        read_maps(tmp_path / name, T)


@pytest.mark.parametrize("array", [noise(16, 16) * 1j, np.full((16, 16), "µK")])
def test_what_is_no_number_is_named(array, tmp_path):
    with pytest.raises(LensingError, match="maps are real numbers, µK"):
        read_maps(saved(tmp_path, array), T)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(LensingError, match="cannot read .*maps.npy: No such file"):
        read_maps(tmp_path / "maps.npy", T)


@pytest.mark.parametrize("names", [("kappa",), ("unlensed",), ("a", "b"), ("lensed", "maps"), ()])
def test_arrays_that_may_be_no_maps_are_not_taken_for_them(names, tmp_path):
    np.savez(tmp_path / "maps.npz", **{name: noise(16, 16) for name in names})
    line = f"holds {', '.join(names) or 'nothing'}: one array, .* must be named lensed or maps"
    with pytest.raises(LensingError, match=line):
        read_maps(tmp_path / "maps.npz", T)


@pytest.mark.parametrize("names", [("maps",), ("lensed", "kappa"), ("kappa", "arr_0")])
def test_maps_are_found_by_their_name_or_have_none(names, tmp_path):
    arrays = {name: np.full((16, 16), place) for place, name in enumerate(names)}
    np.savez(tmp_path / "maps.npz", **arrays)
    wanted = next(place for place, name in enumerate(names) if name != "kappa")
    assert (read_maps(tmp_path / "maps.npz", T).maps == wanted).all()


@pytest.mark.filterwarnings("error")
def test_numbers_beyond_single_precision_become_infinite_in_silence(tmp_path):
    own = read_maps(saved(tmp_path, noise(16, 16) * 1e300), T)
    assert np.isinf(own.maps).any()


@pytest.mark.filterwarnings("error")
def test_a_file_that_is_cut_off_is_named_in_one_line(tmp_path, capfd):
    path = fits_file(tmp_path, noise(40, 16, 16))
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(LensingError, match="cannot read .*maps.fits"):
        read_maps(path, T)
    assert capfd.readouterr() == ("", "")


def test_a_convention_says_nothing_of_arrays_that_are_not_on_the_sky(tmp_path):
    with pytest.raises(LensingError, match="--polarization IAU is for FITS files"):
        read_maps(saved(tmp_path, noise(16, 16, 2)), QU, "IAU")


@pytest.mark.parametrize(
    ("config", "shape", "cards", "taken"),
    [
        (T, (16, 16), {}, np.s_[None, None]),
        (T, (3, 16, 16), {"CTYPE3": "STOKES"}, np.s_[None, :1]),
        (T, (5, 1, 16, 16), {}, np.s_[:]),
        (QU, (2, 16, 16), {}, np.s_[None]),
        (QU, (3, 16, 16), {}, np.s_[None, 1:]),
        (QU, (5, 3, 16, 16), {}, np.s_[:, 1:]),
        (TQU, (3, 16, 16), {}, np.s_[None]),
        (QU, (3, 16, 16), {"CTYPE3": "STOKES", "CRVAL3": 2.0, "CRPIX3": 1.0}, np.s_[None, :2]),
        (TQU, (3, 16, 16), {"CTYPE3": "STOKES", "CRVAL3": 3.0, "CDELT3": -1.0}, np.s_[None, ::-1]),
    ],
)
def test_stokes_parameters_of_fits_are_found(config, shape, cards, taken, tmp_path):
    array = noise(*shape)
    path = fits_file(tmp_path, array, east=1, POLCCONV="IAU", **cards)
    own = read_maps(path, config)
    assert ("by their number" in dict(own.notes)["In the file"]) == (not cards)
    signs = np.array([{"T": 1, "Q": -1, "U": 1}[name] for name in config.channels])
    expected = np.moveaxis(array[taken], 1, -1) * signs
    # 1e-4: on plate carrée pixels at the equator north is up, but for rounding.
    np.testing.assert_allclose(own.maps, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "cards", "line"),
    [
        ((16, 16), {}, "has T and lacks Q, U, which lensing/qu is observed in"),
        ((4, 16, 16), {}, "4 maps along its third axis"),
        ((2, 16, 16), {"CTYPE3": "STOKES", "CRVAL3": 1.0}, "has T, Q and lacks U"),
        ((2, 16, 16), {"CTYPE3": "STOKES", "CRVAL3": 3.0}, "has U, Stokes 4 and lacks Q"),
        ((2, 20, 20), {}, "maps of 20 x 20 pixels"),
        ((2, 16, 15), {}, "must have 16 x 16 pixels"),
        ((2, 16, 16), {"BUNIT": "MJy/sr"}, "has the unit 'MJy/sr'"),
        ((2, 16, 16), {"POLCCONV": "HEALPIX"}, "POLCCONV 'HEALPIX': must be COSMO or IAU"),
        ((2, 16, 16), {"POLCCONV": None}, "does not say the sign of U .*give --polarization COSMO"),
        ((2, 16, 16), {"coordinates": False}, "no celestial coordinates"),
        ((1, 1, 2, 16, 16), {}, "must have 2 to 4 axes"),
        ((2, 16, 16), {"CTYPE3": "FREQ"}, "has axes FREQ, without a name beside the pixels'"),
        ((3, 1, 16, 16), {"CTYPE3": "FREQ", "CTYPE4": "STOKES"}, "has axes FREQ, STOKES beside"),
        ((2, 16, 16), {"CTYPE3": "STOKES", "CRVAL3": "one"}, "cannot read .*maps.fits"),
    ],
)
def test_other_fits_files_are_named(shape, cards, line, tmp_path):
    path = fits_file(tmp_path, noise(*shape), **{"POLCCONV": "IAU"} | cards)
    with pytest.raises(LensingError, match=line):
        read_maps(path, QU)


@pytest.mark.parametrize("shape", [(3, 16, 16), (5, 3, 16, 16)])
def test_one_map_of_a_nameless_axis_is_not_chosen(shape, tmp_path):
    """They may be patches: the other two of three would be left out."""
    with pytest.raises(LensingError, match="3 maps along its third axis, .*T alone.*CTYPE3"):
        read_maps(fits_file(tmp_path, noise(*shape)), T)


def test_a_fits_file_of_a_table_alone_is_named(tmp_path):
    fits = pytest.importorskip("astropy.io.fits")
    table = fits.BinTableHDU.from_columns([fits.Column("T", "D", array=np.zeros(12))])
    table.writeto(tmp_path / "maps.fits")
    with pytest.raises(LensingError, match="holds no image: HEALPix maps must be projected"):
        read_maps(tmp_path / "maps.fits", T)


def several_images(path, names):
    """A FITS file of images whose pixels are their places from 1 on; None is one without a name."""
    fits = pytest.importorskip("astropy.io.fits")
    with fits.open(path) as hdus:
        header = hdus[0].header
        images = [fits.PrimaryHDU()] if names[0] != "primary" else []
        for place, name in enumerate(names, start=1):
            kind = fits.PrimaryHDU if name == "primary" else fits.ImageHDU
            image = kind(np.full((16, 16), float(place)), header)
            if name not in ("primary", None):
                image.name = name
            images.append(image)
    fits.HDUList(images).writeto(path, overwrite=True)
    return path


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (("primary",), 1),
        (("primary", "IVAR"), 1),
        (("IVAR", "maps"), 2),
        (("primary", "Lensed", "KAPPA"), 2),
        (("KAPPA", None), 2),
    ],
)
def test_an_image_of_fits_is_found_by_its_name_or_has_none(names, place, tmp_path):
    path = several_images(fits_file(tmp_path, noise(16, 16), east=1), names)
    assert (read_maps(path, T).maps == place).all()


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        (("IVAR",), "IVAR"),
        (("KAPPA", "UNLENSED"), "KAPPA, UNLENSED"),
        (("primary", None), "one without a name, one without a name"),
        (("primary", "MAPS", "LENSED"), "one without a name, MAPS, LENSED"),
    ],
)
def test_images_that_may_be_no_maps_are_not_taken_for_them(names, listed, tmp_path):
    path = several_images(fits_file(tmp_path, noise(16, 16)), names)
    with pytest.raises(LensingError, match=f"holds the images {listed}: one, .* LENSED or MAPS"):
        read_maps(path, T)


def test_an_estimate_is_not_taken_for_maps(tmp_path):
    for path in (fits_file(tmp_path, noise(16, 16)), saved(tmp_path, noise(16, 16))):
        kappa = tmp_path / {".fits": "kappa.fits", ".npy": "kappa.npz"}[path.suffix]
        write_kappa(kappa, read_maps(path, T), noise(1, 16, 16), errors(T))
        with pytest.raises(LensingError, match="kappa.* must be named"):
            read_maps(kappa, T)


def test_the_convention_is_the_headers_or_the_flags_and_they_must_agree(tmp_path):
    array = noise(2, 16, 16)
    silent = fits_file(tmp_path, array, "silent.fits")
    iau = fits_file(tmp_path, array * np.array([1, -1])[:, None, None], "iau.fits", POLCCONV="IAU")
    found = read_maps(silent, QU, "COSMO").maps
    np.testing.assert_array_equal(read_maps(iau, QU).maps, found)
    np.testing.assert_array_equal(read_maps(iau, QU, "IAU").maps, found)
    assert not np.allclose(read_maps(silent, QU, "IAU").maps, found)
    with pytest.raises(LensingError, match=r"--polarization COSMO: .* says IAU \(POLCCONV\)"):
        read_maps(iau, QU, "COSMO")


@pytest.mark.parametrize(("unit", "factor"), [("uK", 1), ("K", 1e-6), ("mK_CMB", 1e-3), (None, 1)])
def test_units_are_read(unit, factor, tmp_path):
    array = noise(16, 16)
    own = read_maps(fits_file(tmp_path, array * factor, east=1, BUNIT=unit), T)
    np.testing.assert_allclose(own.maps[0, ..., 0], array, rtol=1e-6)
    assert ("taken for granted" in dict(own.notes)["Unit"]) == (unit is None)


def test_scaled_integers_of_fits_are_read_and_blank_ones_are_not_finite(tmp_path):
    array = np.arange(256, dtype=np.int16).reshape(16, 16)
    path = fits_file(tmp_path, array, east=1, BSCALE=0.5, BZERO=3.0, BLANK=7)
    expected = np.where(array == 7, np.nan, 3 + 0.5 * array)
    np.testing.assert_array_equal(read_maps(path, T).maps[0, ..., 0], expected.astype(np.float32))


@pytest.mark.parametrize("shape", [(2, 16, 16), (3, 2, 16, 16)])
def test_kappa_is_written_where_the_maps_pixels_are(shape, tmp_path):
    """On the sky κ stays where it was, however the maps' axes run; so does one patch or many."""
    fits, wcs = pytest.importorskip("astropy.io.fits"), pytest.importorskip("astropy.wcs")
    own = read_maps(fits_file(tmp_path, noise(*shape), north=-1, POLCCONV="COSMO"), QU)
    kappa = np.zeros((len(own.maps), 16, 16), np.float32)
    kappa[:, 12, 3] = 1  # to the north and to the west
    write_kappa(tmp_path / "kappa.fits", own, kappa, errors(QU))
    with fits.open(tmp_path / "kappa.fits") as hdus:
        assert hdus[0].data.shape == (*shape[:-3], 16, 16)
        where = wcs.WCS(hdus[0].header, naxis=2)
        y, x = np.unravel_index(np.argmax(hdus[0].data.reshape(-1, 16, 16)[0]), (16, 16))
        lon, lat = where.wcs_pix2world(x, y, 0)
        assert (lon - 360, lat) == pytest.approx((-4.5 / 16, 4.5 / 16))
        assert hdus[0].header["CREATOR"] == f"lensing-tfds {__version__}"
        assert "BUNIT" not in hdus[0].header and "POLCCONV" not in hdus[0].header
        np.testing.assert_allclose(hdus["KAPPA_STD"].data, errors(QU).pixel_std, rtol=1e-6)
        np.testing.assert_array_equal(hdus["ERROR_POWER"].data["L"], rings_of(QU.sky).ell)
        np.testing.assert_array_equal(hdus["ERROR_POWER"].data["error_power"], errors(QU).power)


@pytest.mark.parametrize("shape", [(16, 16), (3, 16, 16)])
def test_kappa_of_numpy_is_numpys(shape, tmp_path):
    own = read_maps(saved(tmp_path, noise(*shape)), T)
    kappa = noise(len(own.maps), 16, 16)
    write_kappa(tmp_path / "kappa.npz", own, kappa, errors(T))
    with np.load(tmp_path / "kappa.npz") as found:
        assert found["kappa"].shape == shape and found["kappa"].dtype == np.float32
        np.testing.assert_array_equal(found["kappa"].reshape(kappa.shape), kappa.astype(np.float32))
        assert set(found.files) == {"kappa", "kappa_std", "L", "error_power", RELEASE}
        assert str(found[RELEASE]) == __version__
        np.testing.assert_allclose(found["kappa_std"], errors(T).pixel_std, rtol=1e-6)


@pytest.mark.parametrize(
    ("output", "maps", "line"),
    [
        ("kappa.npy", "maps.npy", "must end in .npz, which holds κ and its errors"),
        ("kappa.fits", "maps.npy", "does not say where its pixels are"),
        ("maps.npz", "maps.npz", "is the file of the maps"),
        ("kappa.txt", "maps.npy", "must end in"),
    ],
)
def test_an_output_that_cannot_be_is_refused(output, maps, line, tmp_path):
    with pytest.raises(LensingError, match=line):
        refuse_output(tmp_path / output, tmp_path / maps)


def test_the_mask_is_not_overwritten(tmp_path):
    path = tmp_path / "mask.npz"
    with pytest.raises(LensingError, match="mask.npz is the file of the mask"):
        refuse_output(path, tmp_path / "maps.npy", path)


def test_a_folder_is_refused_before_an_estimate(tmp_path):
    (tmp_path / "kappa.npz").mkdir()
    with pytest.raises(LensingError, match="--output .*kappa.npz is a folder: name a file"):
        refuse_output(tmp_path / "kappa.npz", tmp_path / "maps.npy")


def test_a_mask_is_turned_as_its_maps_are(tmp_path):
    half = np.ones((16, 16))
    half[:8, :3] = 0
    own = OwnMaps(tmp_path, np.full((1, 16, 16, 1), np.nan, np.float32), None, (), True)
    nowhere = fits_file(tmp_path, half, "half.fits", coordinates=False)
    for path in (saved(tmp_path, half), nowhere):
        np.testing.assert_array_equal(read_mask(path, own, T), half)
    assert not own.times(half).maps[0, :8, :3].any()

    class Frame:
        def flipped(self, maps):
            return maps[..., ::-1]

    turned = dataclasses.replace(own, frame=Frame())
    np.testing.assert_array_equal(read_mask(path, turned, T), half[:, ::-1])


def test_impossible_masks_are_refused_and_masks_of_ones_are_none(tmp_path):
    own = OwnMaps(tmp_path, np.ones((1, 16, 16, 1), np.float32), None, (), True)
    assert read_mask(saved(tmp_path, np.ones((16, 16))), own, T) is None
    assert read_mask(fits_file(tmp_path, np.ones((16, 16), np.uint8)), own, T) is None
    with pytest.raises(LensingError, match=r"shape \(8, 16\): a mask has that of a map, 16 x 16"):
        read_mask(saved(tmp_path, np.ones((8, 16))), own, T)
    with pytest.raises(LensingError, match=r"npy: the mask leaves no pixel"):
        read_mask(saved(tmp_path, np.zeros((16, 16))), own, T)


def test_a_mask_of_other_pixels_on_the_sky_is_refused(tmp_path):
    own = read_maps(fits_file(tmp_path, noise(16, 16)), T)
    half = np.ones((16, 16))
    half[:8, :3] = 0
    same = fits_file(tmp_path, half, "same.fits")
    np.testing.assert_array_equal(read_mask(same, own, T), half[:, ::-1])
    nowhere = fits_file(tmp_path, half, "nowhere.fits", coordinates=False)
    np.testing.assert_array_equal(read_mask(nowhere, own, T), half[:, ::-1])
    for name, cards in {"flipped": {"east": 1}, "moved": {"CRPIX2": 9.5}}.items():
        with pytest.raises(LensingError, match=f"{name}.fits has pixels that are up to"):
            read_mask(fits_file(tmp_path, half, f"{name}.fits", **cards), own, T)


def test_a_mask_the_other_way_round_is_refused(tmp_path):
    half = np.ones((16, 16))
    half[:8, :3] = 0
    own = OwnMaps(tmp_path, noise(2, 16, 16, 1).astype(np.float32), None, (), False).times(half)
    np.testing.assert_array_equal(read_mask(saved(tmp_path, half), own, T), half)
    with pytest.raises(LensingError, match="100% of what .*mask.npy says is observed is exactly"):
        read_mask(saved(tmp_path, 1 - half, "mask.npy"), own, T)


def test_maps_that_a_mask_has_multiplied_already_are_refused(tmp_path):
    """Smooth ones, of few modes: as observed they pass, also with NaN where nothing is seen."""
    ramp = np.clip((np.arange(16) - 1) / 6, 0, 1)
    mask = np.sin(np.pi / 2 * np.minimum(ramp, ramp[::-1])[:, None]) ** 2 * np.ones(16)
    y, x = np.mgrid[:16, :16] / 16
    maps = np.stack([np.cos(2 * np.pi * (n * x + y + n / 7)) for n in range(2)])[..., None]
    own = OwnMaps(tmp_path / "maps.npy", maps.astype(np.float32), None, (), False)
    path = saved(tmp_path, mask, "mask.npy")
    np.testing.assert_array_equal(read_mask(path, own, T), mask)
    with pytest.raises(LensingError, match="maps.npy fades as .*mask.npy does: .* divide them by"):
        read_mask(path, own.times(mask), T)
    unseen = dataclasses.replace(own, maps=np.where(mask[..., None] > 0, own.maps, np.nan))
    np.testing.assert_array_equal(read_mask(path, unseen, T), mask)


def test_a_mask_below_a_half_everywhere_warns_of_nothing(tmp_path):
    own = OwnMaps(tmp_path, noise(2, 16, 16, 1).astype(np.float32), None, (), False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_mask(saved(tmp_path, np.full((16, 16), 0.3)), own, T)


def test_errors_are_not_said_of_what_a_mask_hides(tmp_path):
    own = read_maps(fits_file(tmp_path, noise(16, 16)), T)
    inside = np.ones((16, 16), bool)
    inside[:, :3] = False
    for name in ("kappa.npz", "kappa.fits"):
        write_kappa(tmp_path / name, own, noise(1, 16, 16), errors(T), inside)
    with np.load(tmp_path / "kappa.npz") as found:
        np.testing.assert_array_equal(np.isnan(found["kappa_std"]), ~own.in_file_order(inside))
    with pytest.importorskip("astropy.io.fits").open(tmp_path / "kappa.fits") as hdus:
        np.testing.assert_array_equal(np.isnan(hdus["KAPPA_STD"].data), ~own.in_file_order(inside))


def test_a_fits_file_without_astropy_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "astropy.io", None)
    with pytest.raises(LensingError, match=r"needs astropy, .*pip install 'lensing-tfds\[fits\]'"):
        files.read_maps(tmp_path / "maps.fits", T)
