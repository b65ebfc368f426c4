"""The mean field that the maximum a posteriori leaves out, as a share of the posterior's curvature.

    python -m benchmarks.posterior_mean_field v11 --examples 48

At the true κ of simulated skies the gradient of the whole likelihood is zero on average, so that
its part without the mean field has the mean −H κ, with H the second derivative of ½ ln det Cov. Per
band of L, in units of κ's prior: H, its error, and the curvature 1 + F, with F the mean power of
that gradient.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.maximum_a_posteriori import EDGES
from estimators.posterior.mean_field import likelihood_gradient, true_kappa
from estimators.posterior.sky_model import SkyModel
from lensing_tfds import VERSIONS
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
        model = SkyModel(config, spectra_of(config))
        bins = Bins.between(EDGES, model.prior.sky)
        response, power, information = [], [], []
        for index in range(arguments.examples):
            x = true_kappa(model, config, index)
            gradient = likelihood_gradient(model, config, index)
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
