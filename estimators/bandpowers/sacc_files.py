"""Band powers in SACC, the format of summary statistics that likelihood codes read.

κ̂κ̂, κ̂κ and κ̂g are `cmb_convergence_cl`, `cl_00` and `cl_00` of the tracers "kappa_hat", "kappa"
and "tracer", each with its windows on C_L, and the covariance of all. What else a likelihood needs,
the biases that were subtracted and the response to the amplitude of C_L^κκ, is in the metadata.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from estimators.bandpowers.amplitude import Amplitude, Response, fit_amplitude
from estimators.bandpowers.covariance import Covariance
from estimators.bandpowers.debiasing import KINDS
from estimators.bandpowers.measurement import BandPowers
from estimators.bandpowers.sky_spectra import AUTO, CROSS, TRACER_CROSS
from lensing_tfds.errors import LensingError
from lensing_tfds.records.storage import replacing
from lensing_tfds.release import stamped

ESTIMATE, TRUTH, TRACER = "kappa_hat", "kappa", "tracer"
"""Names of the tracers."""

_QUANTITIES = {ESTIMATE: "cmb_convergence", TRUTH: "cmb_convergence", TRACER: "generic"}
_SPECTRA = {
    AUTO: ("cmb_convergence_cl", ESTIMATE, ESTIMATE),
    CROSS: ("cl_00", ESTIMATE, TRUTH),
    TRACER_CROSS: ("cl_00", ESTIMATE, TRACER),
}
_METADATA = "lensing_tfds"


class StoredBandPowers(NamedTuple):
    """Band powers of κ̂κ̂ as a file has them.

    Attributes:
      ell: (bands,).
      values: (bands,).
      windows: (bands, rings), on the C_L at `window_ell`.
      window_ell: (rings,).
      covariance: theirs.
      response: to A; None where the file has none.
      metadata: of the file.
    """

    ell: NDArray[np.float64]
    values: NDArray[np.float64]
    windows: NDArray[np.float64]
    window_ell: NDArray[np.float64]
    covariance: Covariance
    response: Response | None
    metadata: dict[str, Any]

    @property
    def amplitude(self) -> Amplitude:
        """A_L.

        Raises:
          LensingError: the file has no response to it.
        """
        if self.response is None:
            raise LensingError("the file has no response of its band powers to A_L")
        return fit_amplitude(self.values, self.response, self.covariance)


def write_sacc(powers: BandPowers, path: Path) -> None:
    """Writes band powers, with windows and covariance.

    Args:
      powers: the band powers.
      path: a FITS file.

    Raises:
      LensingError: it cannot be written, or SACC is not installed.
    """
    sacc = _library()
    biases = powers.biases
    ell = biases.bands.rings.ell
    file = sacc.Sacc()
    for name, quantity in _QUANTITIES.items():
        file.add_tracer("Map", name, quantity=quantity, spin=0, ell=ell, beam=np.ones_like(ell))
    windows = biases.windows
    for kind in KINDS:
        window = sacc.BandpowerWindow(ell, windows.T)
        file.add_ell_cl(*_SPECTRA[kind], windows @ ell, powers.values[kind], window=window)
    file.add_covariance(powers.covariance.matrix)
    file.metadata[_METADATA] = json.dumps(stamped(_metadata(powers)))
    with replacing(path) as temporary:
        file.save_fits(str(temporary), overwrite=True)


def read_sacc(path: Path) -> StoredBandPowers:
    """Reads the band powers of κ̂κ̂ that `write_sacc` wrote.

    Args:
      path: the file.

    Raises:
      LensingError: it cannot be read, holds none, or SACC is not installed.
    """
    sacc = _library()
    if not path.exists():
        raise LensingError(f"{path}: there is no such file")
    try:
        file = sacc.Sacc.load_fits(str(path))
        metadata = json.loads(file.metadata[_METADATA])
        ell, values, matrix, at = file.get_ell_cl(*_SPECTRA[AUTO], return_cov=True, return_ind=True)
        window = file.get_bandpower_windows(at)
        covariance = Covariance(matrix, metadata["simulations"], metadata["shrinkage"])
        means = metadata["response_to_amplitude"]
    except (OSError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise LensingError(f"{path} holds no band powers of κ: {error}") from error
    response = None if means is None else Response(np.array(means))
    return StoredBandPowers(
        ell, values, window.weight.T, window.values, covariance, response, metadata
    )


def _metadata(powers: BandPowers) -> dict[str, Any]:
    biases = powers.biases
    return {
        "estimator": powers.name,
        "dataset": powers.dataset,
        "skies": powers.num_data,
        "simulations": powers.covariance.simulations,
        "shrinkage": powers.covariance.shrinkage,
        "edges": biases.bands.edges.tolist(),
        "noise_bias": "RDN0" if biases.quadratic else "simulated",
        "n0": powers.noise.tolist(),
        "n1": biases.in_bands(biases.n1).tolist(),
        "monte_carlo_correction": powers.correction.tolist(),
        "response_to_amplitude": None
        if powers.response is None
        else powers.response.means.tolist(),
    }


def require_sacc() -> None:
    """Refuses to begin where SACC is not installed.

    Raises:
      LensingError: it is not.
    """
    _library()


def _library() -> ModuleType:
    try:
        import sacc
    except ImportError as error:
        raise LensingError("SACC is not installed: pip install 'lensing-tfds[sacc]'") from error
    return sacc
