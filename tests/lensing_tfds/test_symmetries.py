import itertools

import numpy as np
import pytest

from lensing_tfds.symmetries import transform

NPIX = 5
TQU = ("T", "Q", "U")


def symmetries(image: np.ndarray) -> list[np.ndarray]:
    """The dihedral group's eight images, by NumPy: four rotations, with and without a mirror."""
    return [np.rot90(mirrored, turns) for mirrored in (image, image[:, ::-1]) for turns in range(4)]


def matrix(element: int) -> np.ndarray:
    """What an element does to the vector (x, y), as its docstring says it."""
    rows, columns, transposed = (bool(element & 1 << bit) for bit in range(3))
    mirror = np.diag([-1 if columns else 1, -1 if rows else 1])
    return (np.array([[0, 1], [1, 0]]) if transposed else np.eye(2, dtype=int)) @ mirror


def changed(maps: np.ndarray, channels: tuple[str, ...], element: int) -> np.ndarray:
    return transform(maps, channels, np.full(len(maps), element))


def noise(n: int, npix: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, npix, npix, channels)).astype(np.float32)


def test_the_eight_elements_are_the_eight_symmetries_of_the_square():
    image = np.arange(NPIX**2, dtype=np.float32).reshape(NPIX, NPIX)
    maps = transform(np.stack([image[..., None]] * 8), ("T",), np.arange(8))[..., 0]
    assert {m.tobytes() for m in maps} == {s.tobytes() for s in symmetries(image)}
    for a, b in itertools.combinations(maps, 2):
        assert not np.array_equal(a, b)


@pytest.mark.parametrize("element", range(8))
def test_q_and_u_turn_as_the_tensor_that_they_are(element):
    """P = [[Q, U], [U, -Q]] in the axes (x, y) becomes M P Mᵀ, at the pixel that M moves it to."""
    maps = noise(1, NPIX, 3)
    old, new = maps[0], changed(maps, TQU, element)[0]
    m, centre = matrix(element), (NPIX - 1) // 2
    for iy, ix in np.ndindex(NPIX, NPIX):
        jx, jy = m @ (ix - centre, iy - centre) + centre
        (t, q, u), (new_t, new_q, new_u) = old[iy, ix], new[jy, jx]
        tensor = m @ [[q, u], [u, -q]] @ m.T
        assert new_t == t
        np.testing.assert_array_equal([[new_q, new_u], [new_u, -new_q]], tensor)


@pytest.mark.parametrize(("first", "second"), itertools.product(range(8), repeat=2))
def test_one_element_after_another_is_their_product(first, second):
    product = matrix(second) @ matrix(first)
    (element,) = (e for e in range(8) if np.array_equal(matrix(e), product))
    maps = noise(1, NPIX, 3)
    after_another = changed(changed(maps, TQU, first), TQU, second)
    np.testing.assert_array_equal(after_another, changed(maps, TQU, element))


class Spectra:
    """E, B and binned spectra of periodic maps by FFT; nothing of the project's is used.

    The Nyquist frequencies of an even grid, on which E and B are not defined, are left out.
    """

    def __init__(self, npix: int):
        frequency = np.fft.fftfreq(npix, 1 / npix)
        ly, lx = np.meshgrid(frequency, frequency, indexing="ij")
        self.phase = np.exp(2j * np.arctan2(ly, lx))
        self.inside = (np.maximum(abs(lx), abs(ly)) < npix / 2) & (np.hypot(lx, ly) > 0)
        self.ring = np.round(np.hypot(lx, ly)).astype(int)

    def modes(self, image: np.ndarray) -> np.ndarray:
        return np.where(self.inside, np.fft.fft2(image), 0)

    def e_and_b(self, q: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(Q ± iU)(l) = (E ± iB)(l) exp(±2iφ_l)."""
        plus = (self.modes(q) + 1j * self.modes(u)) / self.phase
        minus = (self.modes(q) - 1j * self.modes(u)) * self.phase
        return (plus + minus) / 2, (plus - minus) / 2j

    def q_and_u(self, e: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        plus, minus = (e + 1j * b) * self.phase, (e - 1j * b) / self.phase
        return np.fft.ifft2((plus + minus) / 2).real, np.fft.ifft2((plus - minus) / 2j).real

    def of(self, maps: np.ndarray) -> dict[str, np.ndarray]:
        """Every auto- and cross-spectrum of (npix, npix, 4) maps of T, Q, U and κ."""
        t, q, u, kappa = np.moveaxis(maps.astype(np.float64), -1, 0)
        e, b = self.e_and_b(q, u)
        fields = {"T": self.modes(t), "E": e, "B": b, "K": self.modes(kappa)}
        return {
            x + y: np.bincount(self.ring.ravel(), (fields[x] * fields[y].conj()).real.ravel())
            for x, y in itertools.combinations_with_replacement(fields, 2)
        }


def correlated_sky(spectra: Spectra, npix: int, b_amplitude: float) -> np.ndarray:
    """T, Q, U and κ in which all of T, E, B and κ are correlated."""
    rng = np.random.default_rng(1)
    common, *own = (spectra.modes(rng.normal(size=(npix, npix))) for _ in range(5))
    t, e, b, kappa = (common + modes for modes in own)
    q, u = spectra.q_and_u(e, b_amplitude * b)
    t_map, kappa_map = (np.fft.ifft2(modes).real for modes in (t, kappa))
    return np.stack([t_map, q, u, kappa_map], axis=-1).astype(np.float32)


@pytest.mark.parametrize("npix", [15, 16])
@pytest.mark.parametrize("element", range(8))
def test_a_map_of_pure_e_stays_one_and_no_cross_spectrum_of_scalars_changes(npix, element):
    spectra = Spectra(npix)
    maps = correlated_sky(spectra, npix, b_amplitude=0)
    before = spectra.of(maps)
    after = spectra.of(changed(maps[None], (*TQU, "kappa"), element)[0])
    assert after["BB"].sum() < 1e-10 * after["EE"].sum()
    for name in ("TT", "EE", "KK", "TE", "TK", "EK"):
        np.testing.assert_allclose(after[name], before[name], rtol=1e-4, atol=1e-3, err_msg=name)
        assert np.abs(before[name]).max() > 10


@pytest.mark.parametrize("element", range(8))
def test_b_keeps_its_spectrum_and_changes_its_sign_where_the_sky_is_mirrored(element):
    spectra = Spectra(16)
    maps = correlated_sky(spectra, 16, b_amplitude=1)
    before = spectra.of(maps)
    after = spectra.of(changed(maps[None], (*TQU, "kappa"), element)[0])
    parity = round(np.linalg.det(matrix(element)))
    np.testing.assert_allclose(after["BB"], before["BB"], rtol=1e-4, atol=1e-3)
    for name in ("TB", "EB", "BK"):
        np.testing.assert_allclose(after[name], parity * before[name], rtol=1e-4, atol=1e-2)
        assert np.abs(before[name]).max() > 10


def test_maps_of_other_channels_than_named_are_refused():
    with pytest.raises(ValueError, match="maps of 3 channels are not Q, U"):
        transform(noise(1, NPIX, 3), ("Q", "U"), np.zeros(1, int))
