"""Estimates κ from somebody's own maps: `python -m trainer.reconstruct`.

    python -m trainer.reconstruct --model pretrained:v12 --maps maps.fits --output kappa.fits
    python -m trainer.reconstruct --model runs/v11 --maps maps.npy --output kappa.npz
    python -m trainer.reconstruct --model qe --dataset lensing/v12 --maps a.npy --output kappa.npz

The maps are observed ones, µK, of the pixels that the model was made for. Beside the file of κ and
its errors stand a page, `kappa.html`, and a picture, `kappa.png`. docs/reconstruct.md has the
formats, and what is checked.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lensing_tfds.command_line import CommandParser, command, printable
from lensing_tfds.quiet import quiet_tensorflow
from lensing_tfds.records.storage import expanded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from estimators.ensemble import SkyEnsemble
    from estimators.estimator import Estimator, Observed
    from lensing_tfds.configs import LensingConfig

_PRETRAINED = "pretrained:"
_QUADRATIC, _ITERATED = "qe", "iterated"
_SAME_MASK = 0.01  # what masks may differ by in a pixel


def open_model(
    model: str, dataset: str | None = None, data_dir: str | None = None
) -> tuple[Callable[[], Estimator], SkyEnsemble]:
    """Returns a function that makes an estimator, which may take minutes, and the skies it is for.

    Args:
      model: "pretrained:v12"; "qe" or "iterated", which a dataset says the noise, the beam and the
        spectra of; or a run's folder.
      dataset: of the latter two: "lensing/v12", or a config's JSON.
      data_dir: where a dataset of somebody's own config was built.

    Raises:
      LensingError: there is no such model, the dataset is missing, or one too many.
    """
    from estimators.ensemble import SkyEnsemble
    from lensing_tfds.errors import LensingError
    from lensing_tfds.records.stored_config import meant_config
    from trainer.runs.run import load_run

    if model in (_QUADRATIC, _ITERATED):
        if dataset is None:
            raise LensingError(
                f"--model {model} needs --dataset, which says the maps' noise, beam and spectra: "
                "lensing/v12, or a config's JSON"
            )
        ensemble = SkyEnsemble.of(*meant_config(dataset, data_dir))
        make = _quadratic if model == _QUADRATIC else _iterated
        return functools.partial(make, ensemble), ensemble
    if dataset is not None:
        raise LensingError(
            f"--dataset is for --model {_QUADRATIC} and {_ITERATED}: {model} has its own"
        )
    if model.startswith(_PRETRAINED):
        from trainer.pretrained_models import pretrained

        name = model.removeprefix(_PRETRAINED).removeprefix("lensing/")
        lensing = pretrained(f"lensing/{name}").task.lensing
        return functools.partial(_fitted, name), SkyEnsemble.of(lensing)
    if not Path(model).exists():
        raise LensingError(
            f"--model {model}: must be {_PRETRAINED}v12 or another version, {_ITERATED}, "
            f"{_QUADRATIC}, or a run's folder, and there is no folder {model}"
        )
    run = load_run(model)
    return functools.partial(run.estimator, "test", 1), SkyEnsemble.of(run.lensing)


def with_mask(
    model: str, make: Callable[[], Estimator], ensemble: SkyEnsemble, mask: NDArray[np.float64]
) -> tuple[Callable[[], Estimator], SkyEnsemble]:
    """Returns what `open_model` does, for maps that are multiplied by a mask.

    Args:
      model: "qe" or "iterated", of maps without a mask; or another, of maps with this one.
      make: as `open_model` returns it.
      ensemble: likewise.
      mask: (npix, npix), 0 to 1.

    Raises:
      LensingError: the model knows no mask or another one, or the maps of "qe" and "iterated" have
        one already, or no theory.
    """
    from estimators.filtering.masked_patch import can_be_filtered, is_masked
    from lensing_tfds.errors import LensingError

    config = ensemble.config
    if model not in (_QUADRATIC, _ITERATED) and is_masked(config):
        _refuse_another_mask(model, config, mask)
        return make, ensemble
    if model not in (_QUADRATIC, _ITERATED):
        raise LensingError(
            f"--mask is for --model {_ITERATED} and {_QUADRATIC}, which filter by it, with "
            f"--dataset: {model} was made for maps without this mask"
        )
    if is_masked(config) or not can_be_filtered(config):
        why = "has a mask or a taper of its own" if is_masked(config) else "has no filter by theory"
        raise LensingError(
            f"--mask with maps of lensing/{config.name}, which {why}: give a --dataset of noise, "
            "lensed on fine pixels (oversampling), without mask and taper"
        )
    masked = dataclasses.replace(ensemble, mask=mask)
    fit = _quadratic if model == _QUADRATIC else _iterated
    return functools.partial(fit, masked), masked


def _refuse_another_mask(model: str, config: LensingConfig, mask: NDArray[np.float64]) -> None:
    """Refuses a mask that is not the one that a model's maps have."""
    import numpy as np

    from estimators.filtering.masked_patch import window_of
    from lensing_tfds.config_fields.mask import SIGNAL
    from lensing_tfds.errors import LensingError

    if config.mask is not None and config.mask.multiplies == SIGNAL:
        raise LensingError(
            f"--mask with {model}: the mask of lensing/{config.name} multiplies the signal beneath "
            "noise, and not the maps; give maps of that mask as they were observed, without --mask"
        )
    has_holes = config.mask is not None and config.mask.holes > 0
    other = np.abs(mask - window_of(config)) > _SAME_MASK
    if has_holes:
        other &= mask > 0
    if other.any():
        raise LensingError(
            f"--mask is not that of {model}, which was made for the mask of lensing/{config.name}: "
            f"{other.mean():.1%} of the pixels differ; fit a model to a config with your mask, or "
            f"use --model {_ITERATED} with a --dataset without one"
        )


def _quadratic(ensemble: SkyEnsemble) -> Estimator:
    """The best Wiener-filtered quadratic estimator, of the modes that a real sky has."""
    from estimators.references import quadratic_references

    found = quadratic_references(ensemble, lambda: training_skies(ensemble), "simulated skies")
    return next(estimator for estimator in found if estimator.name.endswith("_wiener"))


def _iterated(ensemble: SkyEnsemble) -> Estimator:
    """The iterated estimator: of a version as it comes with the package, else fitted now."""
    from estimators.references import fitted_iterated
    from trainer.pretrained_models import has_pretrained

    if ensemble.mask is None and has_pretrained(ensemble.config):
        return _fitted(ensemble.config.name)
    print(f"fitting {_ITERATED} to simulated skies of lensing/{ensemble.config.name}")
    return fitted_iterated(ensemble, lambda: training_skies(ensemble), "simulated skies")


def _fitted(name: str) -> Estimator:
    """The iterated estimator that comes with the package for a version."""
    from estimators.references import iterated
    from trainer.pretrained_models import pretrained

    model = pretrained(f"lensing/{name}")
    basis = f"fitted on {model.max_examples} training examples of lensing/{name}"
    estimator = iterated(model.task.lensing, model.staged, basis)
    return dataclasses.replace(estimator, uncertainty=model.uncertainty)


def training_skies(ensemble: SkyEnsemble) -> Iterator[Observed]:
    """Simulates the training skies that an estimator's gains are fitted to, some at a time."""
    from estimators.iterated.fitting import examples_wanted
    from estimators.own_maps.reconstruction import simulated_skies

    return simulated_skies(ensemble, "train", examples_wanted(ensemble.config))


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = CommandParser(
        "trainer.reconstruct",
        "Estimate the convergence from your own observed maps, in files of NumPy or FITS.",
    )
    parser.add_argument(
        "--model",
        type=expanded,
        required=True,
        help=f"{_PRETRAINED}v12 and the like, {_ITERATED}, {_QUADRATIC}, or a run's folder",
    )
    parser.add_argument(
        "--maps", type=expanded, required=True, help="observed maps: .npy, .npz (µK) or .fits"
    )
    parser.add_argument(
        "--mask",
        type=expanded,
        help="1 where the sky is observed, 0 where not: maps are multiplied by it",
    )
    parser.add_shared("--output", required=True, help="κ and its errors: .npz or .fits")
    parser.add_argument(
        "--polarization",
        choices=("COSMO", "IAU"),
        help="convention of Q and U in a FITS file [its POLCCONV]",
    )
    parser.add_shared(
        "--dataset",
        help=f"lensing/<config> or JSON: the maps' noise, beam and spectra, for {_ITERATED} and "
        f"{_QUADRATIC}",
        otherwise="the model's",
    )
    parser.add_shared("--data_dir")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with status 2 for bad input."""
    arguments = parse_arguments(argv)
    with command(arguments.verbose, extra="trainer"):
        # Imported here, so that --help and a mistyped flag answer at once.
        with quiet_tensorflow():
            from estimators.filtering.masked_patch import INSIDE
            from estimators.own_maps import files
            from estimators.own_maps.reconstruction import reconstruct
            from estimators.reports import own_maps_page
            from lensing_tfds.errors import LensingError
            from lensing_tfds.records.storage import is_remote, make_folder

        for flag in ("maps", "mask", "output"):
            if (place := getattr(arguments, flag)) is not None and is_remote(place):
                raise LensingError(f"--{flag} {place}: must be a file on a disk, not in a bucket")
        output, path = Path(arguments.output), Path(arguments.maps)
        mask = None if arguments.mask is None else Path(arguments.mask)
        files.refuse_output(output, path, mask)
        make, ensemble = open_model(arguments.model, arguments.dataset, arguments.data_dir)
        own = files.read_maps(path, ensemble.config, arguments.polarization)
        if mask is not None and (seen := files.read_mask(mask, own, ensemble.config)) is not None:
            make, ensemble = with_mask(arguments.model, make, ensemble, seen)
            own = own.times(seen)
        own = own.zero_where_unseen(ensemble.config)
        make_folder(output.parent)
        found = reconstruct(make, ensemble, own)
        own_maps_page.remove(output)  # κ that is new beside a page that is not would mislead
        window = ensemble.window
        inside = None if window is None else window >= INSIDE
        files.write_kappa(output, own, found.kappa, found.errors, inside)
        page = own_maps_page.write(output, arguments.model, found)
        print(own_maps_page.summary(found))
        print(f"κ: {printable(output)}")
        print(f"page: {printable(page)}")


if __name__ == "__main__":
    main()
