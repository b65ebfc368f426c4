"""Networks: after this import, `keras.saving.load_model` reads every model that a run saved."""

import importlib
import sys
from types import ModuleType

import wrapt

REGISTERED = (
    "trainer.loop.losses",
    "trainer.loop.metrics",
    "trainer.networks.border_layer",
    "trainer.networks.by_example",
    "trainer.networks.feature_layers",
    "trainer.networks.filter_layers",
    "trainer.networks.flow_layers",
    "trainer.networks.modes",
    "trainer.networks.padding",
    "trainer.networks.patch_layer",
    "trainer.networks.physical",
    "trainer.networks.quadratic_layers",
    "trainer.networks.remapping",
    "trainer.networks.whitening",
)
"""Modules of layers, losses and metrics that saved models name, and those that these need and that
begin with Keras."""

_whole: set[str] = set()


def _register(module: ModuleType) -> None:
    """Registers layers, losses and metrics with Keras, once it is there.

    Whichever of the modules is imported first imports Keras. It is half imported then, and another
    that needs it could not be: all wait until it is whole, which calls this again.
    """
    _whole.add(module.__name__)
    half = [name for name in REGISTERED if name in sys.modules and name not in _whole]
    if "keras" in _whole and not half:
        for name in REGISTERED:
            importlib.import_module(name)


# Now if Keras is imported already, else when it is: who reads a name or a space does not wait.
for _name in ("keras", *REGISTERED):
    wrapt.register_post_import_hook(_register, _name)
