"""A network that does not fit is refused by its name alone."""

import dataclasses

import pytest

from lensing_tfds.versions import VERSIONS
from trainer.loop import memory
from trainer.loop.memory import TooLargeError, refuse_too_large
from trainer.settings.config import resolve

CONFIG = resolve("lensing/v8", "/data", VERSIONS["v8"], model="unet")


def test_every_default_fits_into_a_machine_of_eight_gigabytes(monkeypatch):
    monkeypatch.setattr(memory, "memory_limit", lambda: 8 * 2**30)
    for name, lensing in VERSIONS.items():
        refuse_too_large(resolve(f"lensing/{name}", "/data", lensing), lensing)


def test_the_batch_that_is_said_to_fit_does_and_the_next_does_not(monkeypatch):
    monkeypatch.setattr(memory, "memory_limit", lambda: 10**9)
    config = dataclasses.replace(CONFIG, batch_size=100_000)
    with pytest.raises(TooLargeError) as error:
        refuse_too_large(config, VERSIONS["v8"])
    fitting = int(str(error.value).split("at most ")[1].split(",")[0])
    assert 100 < fitting < 10_000
    refuse_too_large(dataclasses.replace(config, batch_size=fitting), VERSIONS["v8"])
    with pytest.raises(TooLargeError):
        refuse_too_large(dataclasses.replace(config, batch_size=fitting + 1), VERSIONS["v8"])


def test_on_a_gpu_the_hosts_memory_bounds_the_weights_only(monkeypatch):
    monkeypatch.setattr(memory, "memory_limit", lambda: 10**9)
    monkeypatch.setattr(memory.devices, "has_accelerator", lambda: True)
    refuse_too_large(dataclasses.replace(CONFIG, batch_size=100_000), VERSIONS["v8"])
    with pytest.raises(TooLargeError, match="0.0 GB for layers' outputs"):
        refuse_too_large(dataclasses.replace(CONFIG, model="9x9999-3"), VERSIONS["v8"])
