"""Networks: after this import, `keras.saving.load_model` reads every model that a run saved."""

import importlib
from types import ModuleType

import wrapt

# Whichever is imported first imports Keras, and that all of them: none may need another one, or a
# module that itself begins with Keras, which would be half imported then.
REGISTERED = (
    "trainer.loop.losses",
    "trainer.loop.metrics",
    "trainer.networks.flow_layers",
    "trainer.networks.padding",
    "trainer.networks.physical",
    "trainer.networks.quadratic_layers",
    "trainer.networks.remap_layers",
    "trainer.networks.whitening",
)
"""Modules of layers, losses and metrics that saved models name."""


def _register(keras: ModuleType) -> None:
    """Registers layers, losses and metrics with Keras, once it is there."""
    del keras
    for module in REGISTERED:
        importlib.import_module(module)


# Now if Keras is imported already, else when it is: who reads a name or a space does not wait.
wrapt.register_post_import_hook(_register, "keras")
