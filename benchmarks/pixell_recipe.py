"""The examples of a survey version made with pixell, as one who knows it well would: what we time.

All that does not depend on the realisation is made once: amplitudes, angles, the beam. Fields are
drawn as `enmap.rand_map` does it, by `enmap.rand_gauss_harm`, but taken to single precision, in
which pixell's transforms and its lensing are quicker. One call of `lens_map_flat` lenses all
channels.
"""

import numpy as np
from numpy.typing import NDArray

from lensing_tfds.configs import LensingConfig
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.sky import instrument, spectra
from lensing_tfds.sky.flat_sky import FlatSky

Maps = dict[str, NDArray[np.float32]]


class Simulator:
    """One example at a time, of a version without padding, taper or exaggeration.

    Args:
      config: the version.
    """

    def __init__(self, config: LensingConfig):
        from pixell import enmap

        sky = config.internal
        self._config, self._table = config, spectra_of(config)
        edge = sky.side / 2
        self._shape, self._wcs = enmap.geometry(
            [[-edge, -edge], [edge, edge]], shape=(sky.npix, sky.npix), proj="plain"
        )
        ly, lx = enmap.lmap(self._shape, self._wcs)
        self._ell = np.hypot(ly, lx)
        table = self._table
        tt, te, ee = (self._power(c_ell, sky) for c_ell in (table.TT, table.TE, table.EE))
        e_per_t = np.divide(te, tt, out=np.zeros_like(tt), where=tt > 0)
        safe = np.where(self._ell > 0, self._ell, np.inf)
        angle = 2 * np.arctan2(ly, lx)
        factors = {
            "kappa": np.sqrt(self._power(table.kappa, sky)),
            "phi per kappa": 2 / safe**2,
            "T": np.sqrt(tt),
            "E per T": e_per_t,
            "E given T": np.sqrt(np.maximum(ee - e_per_t * te, 0)),
            "cosine": np.cos(angle),
            "sine": np.sin(angle),
            "beam": instrument.beam(self._ell, config.beam_arcmin),
        }
        self._factors = {name: np.asarray(f, np.float32) for name, f in factors.items()}
        self._noise = np.array(
            [
                instrument.white_noise_rms(
                    instrument.channel_noise(config.noise_uK_arcmin, channel), config.sky
                )
                for channel in config.channels
            ],
            np.float32,
        )[:, None, None]
        self._rng = np.random.default_rng(0)

    def _power(self, c_ell: NDArray[np.float64], sky: FlatSky) -> NDArray[np.float64]:
        """C_l in the units of `enmap`'s transforms, which are normalised by the root of npix²."""
        return spectra.at_multipoles(c_ell, self._ell) * sky.npix**2 / sky.area

    def draw(self) -> tuple[dict[str, NDArray[np.complex64]], NDArray[np.complex64]]:
        """Returns the harmonic planes of T, Q, U and E, and of κ."""
        factors = self._factors
        kappa, t = (factors[name] * self._normals() for name in ("kappa", "T"))
        if "Q" not in self._config.channels:
            return {"T": t}, kappa
        e = factors["E per T"] * t + factors["E given T"] * self._normals()
        return {"T": t, "E": e, "Q": factors["cosine"] * e, "U": factors["sine"] * e}, kappa

    def _normals(self) -> NDArray[np.complex64]:
        from pixell import enmap

        return enmap.rand_gauss_harm(self._shape, self._wcs).astype(np.complex64)

    def to_lens(
        self, fields: dict[str, NDArray[np.complex64]], kappa: NDArray[np.complex64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns what `lens_map_flat` takes: maps of the channels, and of φ."""
        from pixell import enmap

        unlensed = np.stack([fields[channel] for channel in self._config.channels])
        phi = self._factors["phi per kappa"] * kappa
        maps, potential = (
            enmap.ifft(enmap.ndmap(modes, self._wcs)).real for modes in (unlensed, phi)
        )
        return maps, potential

    def example(self) -> Maps:
        """Returns the maps of an example, of the shapes (channels, npix, npix) or (npix, npix)."""
        from pixell import enmap, lensing

        config, beam = self._config, self._factors["beam"]
        fields, kappa = self.draw()
        unlensed, phi = self.to_lens(fields, kappa)
        lensed = enmap.fft(lensing.lens_map_flat(unlensed, phi))
        before = np.stack([fields[channel] for channel in config.channels])
        maps = {
            "lensed": self._observe(lensed * beam),
            "unlensed": self._observe(before * beam),
            "kappa": self._observe(kappa),
        }
        if config.unlensed_E:
            maps["unlensed_E"] = self._observe(fields["E"] * beam)
        normals = self._rng.standard_normal(maps["lensed"].shape, np.float32)
        maps["lensed"] += self._noise * normals
        return maps

    def _observe(self, modes: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Cuts harmonic planes to the output grid and takes them to its pixels."""
        from pixell import enmap

        npix = self._config.npix
        modes = enmap.ndmap(modes, self._wcs)
        return enmap.ifft(enmap.resample_fft(modes, (npix, npix), corner=False)).real
