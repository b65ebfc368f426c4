"""The mean field that the maximum a posteriori leaves out, as a share of the posterior's curvature.

    python -m benchmarks.posterior_mean_field v11 --examples 48

At the true κ of simulated skies the gradient of the whole likelihood is zero on average, so that
its part without the mean field has the mean −H κ, with H the second derivative of ½ ln det Cov. Per
band of L, in units of κ's prior: H, its error, and the curvature 1 + F, with F the mean power of
that gradient.
"""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np

from benchmarks.maximum_a_posteriori import EDGES
from estimators.posterior.sky_model import SkyModel
from lensing_tfds import VERSIONS, simulate
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.sky.binning import Bins


def main() -> None:
    """Prints a table for each version."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.posterior_mean_field")
    parser.add_argument("versions", nargs="*", default=["v11"])
    parser.add_argument("--examples", type=int, default=16, help="of the training split, the first")
    arguments = parser.parse_args()
    for version in arguments.versions:
        config = VERSIONS[version]
        # The same draw on a grid of internal pixels has the true κ in all its modes.
        fine = dataclasses.replace(
            config,
            name="fine",
            npix=config.internal.npix,
            oversampling=1,
            beam_arcmin=0.0,
            noise_uK_arcmin=0.0,
            unlensed_E=False,
        )
        model = SkyModel(config, spectra_of(config))
        sky, root = model.prior.sky, model.prior.kappa_root
        bins = Bins.between(EDGES, sky)
        response, power, information = [], [], []
        for index in range(arguments.examples):
            kappa = sky.to_modes(simulate(fine, "train", [index])["kappa"][0, ..., 0])
            x = np.divide(kappa, root, out=np.zeros_like(kappa), where=root > 0)
            data = model.data(simulate(config, "train", [index])["lensed"][0])
            gradient = model.at(x, data).gradient - x
            response.append(-bins.mean((gradient * x.conj()).real))
            power.append(bins.mean(np.abs(x) ** 2))
            information.append(bins.mean(np.abs(gradient) ** 2))
        mean = np.mean(power, axis=0)
        error = np.std(response, axis=0) / np.sqrt(arguments.examples) / mean
        print(f"{version}, {arguments.examples} examples: L, H, its error, 1 + F, H / (1 + F)")
        for low, h, e, f in zip(
            EDGES,
            np.mean(response, axis=0) / mean,
            error,
            np.mean(information, axis=0),
            strict=False,
        ):
            print(f"{low:5} {h:8.3f} {e:7.3f} {1 + f:9.3f} {h / (1 + f):7.3f} ± {e / (1 + f):.3f}")


if __name__ == "__main__":
    main()
