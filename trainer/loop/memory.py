"""Networks that are too large for this machine's memory, or for their maps."""

from __future__ import annotations

from lensing_tfds.configs import DATASET_VERSION, LensingConfig
from lensing_tfds.errors import LensingError
from lensing_tfds.task import Task
from trainer.machine import devices
from trainer.machine.memory import memory_limit
from trainer.networks import families
from trainer.settings.config import TrainerConfig


class TooLargeError(LensingError):
    """A network is too large for this machine or its maps: the settings are at fault."""


def refuse_too_large(config: TrainerConfig, lensing: LensingConfig) -> None:
    """Refuses a network that cannot fit into memory, or its maps, before anything is built.

    On a GPU only what the host must hold too is counted: weights, their gradients and the
    optimizer's moments.

    Args:
      config: what it says of the network and how it is trained is used.
      lensing: the dataset's own config.

    Raises:
      TooLargeError: the network needs more than this machine, or this container, has; or its kernel
        is wider than twice the map, beyond which a weight meets no pixel.
    """
    kernel, npix = families.parse(config.model).widest_kernel, lensing.npix
    if kernel > 2 * npix:
        raise TooLargeError(
            f"{config.model} has a kernel {kernel} pixels wide, and maps of {config.dataset} are "
            f"{npix} pixels wide: take one of at most {2 * npix - 1}"
        )
    task = Task(lensing, DATASET_VERSION)
    needed = config.memory(task)
    fixed = needed.total - needed.activations
    activations = 0 if devices.has_accelerator() else needed.activations
    limit = memory_limit()
    if fixed + activations <= limit:
        return
    fitting = (limit - fixed) * config.batch_size // needed.activations
    remedy = f"take a --batch_size of at most {fitting}, or a" if fitting >= 1 else "take a"
    raise TooLargeError(
        f"{config.model} needs about {_gigabytes(fixed + activations)} in training "
        f"({_gigabytes(fixed)} for weights, gradients and moments, {_gigabytes(activations)} for "
        f"layers' outputs in batches of {config.batch_size}), but there are {_gigabytes(limit)}: "
        f"{remedy} smaller --model"
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
