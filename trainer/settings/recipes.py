"""Recipes of each version: its default network, and those of its own study, as data.

Where the study names no value, the choice made here stands beside it as a comment. The surveys'
versions, v9 on, have no study, and all is such a choice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from lensing_tfds.errors import LensingError
from lensing_tfds.field_types import check_types
from trainer.networks import families, iterated, qe_unet, unrolled
from trainer.networks.stacks import WHITEN
from trainer.networks.unet import UNetSpace
from trainer.settings.optimization import check_length, check_optimization

FITTED_TAKES = ("max_examples", "uncertainty")
"""The settings of a run, beside network and dataset, that a network takes that is fitted."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One way to train on a version.

    Attributes:
      model: the network's name, see `trainer.networks.families`.
      optimizer: "adam", "adamw" or "sgd".
      learning_rate: the highest over the run.
      schedule: "constant", or "cosine" for a rate that falls to zero at the end of the run.
      warmup_steps: in which the rate rises first; a tenth of a cosine at most.
      momentum: of SGD, in [0, 1); Adam takes none.
      nesterov: whether SGD's momentum looks ahead.
      weight_decay: of AdamW: the share of a weight that a step takes off it, times the rate.
      clipnorm: the largest norm of each variable's gradient; None does not clip.
      global_clipnorm: the same, of all variables' gradients together; None beside a clipnorm.
      batch_size: examples a step.
      precision: of what a network computes between its weights, which are float32: "float32",
        "bfloat16" or "float16". Fourier transforms, the network's last layer and its loss are
        float32 always.
      ema_momentum: of an exponential moving average of the weights, which is what is validated and
        kept as the best: about the mean of the last 1 / (1 - momentum) steps; None for none.
      epochs: passes over the training split; None where minutes decide.
      minutes: of training, validation included; None where epochs decide. The study names neither.
        Ten leave time to build a version before and to judge the network after, within a quarter
        of an hour on two cores. The best epoch is what is kept.
    """

    model: str
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    warmup_steps: int = 0
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    clipnorm: float | None = 1.0
    global_clipnorm: float | None = None
    batch_size: int = 128
    precision: str = "float32"
    ema_momentum: float | None = None
    epochs: int | None = None
    minutes: float | None = 10.0

    def __post_init__(self) -> None:
        check_types(self)
        families.parse(self.model)
        settings = {field.name: getattr(self, field.name) for field in dataclasses.fields(Recipe)}
        del settings["model"]
        check_length(settings.pop("epochs"), settings.pop("minutes"))
        check_optimization(**settings)


# Learns where the study's networks see too little of what lensing says (`whitening`): the first of
# v4's `--epochs 2`, five minutes on one core, ends at a validation correlation of .985.
_UNET = Recipe(
    "unet",
    optimizer="adamw",
    learning_rate=2e-3,
    schedule="cosine",
    warmup_steps=100,
    weight_decay=1e-5,
    clipnorm=None,
    global_clipnorm=1.0,
    batch_size=32,
)
_UNET_PIXELS = 8 * 256**2  # of a batch at most: a training step then takes 1.8 GiB
_UNET_SURVEY = dataclasses.replace(_UNET, batch_size=8)

# A network that begins as an estimator: at 1e-3 the first steps hurt it.
_STARTING = dataclasses.replace(_UNET, model=qe_unet.NAME, learning_rate=5e-4, batch_size=16)
_STARTING_PIXELS = 16 * 128**2  # of a batch at most
_STARTING_FAMILIES = (qe_unet.FAMILY.name, unrolled.FAMILY.name)

# v1-v3: the study used Keras' defaults, which are batches of 32 and no clipping.
_EARLY = Recipe(model="2x64-1x32-9", batch_size=32, clipnorm=None)
_V6 = Recipe(model="12x32-3", learning_rate=1e-4)
_SGD = Recipe(
    model="7x64-3",
    optimizer="sgd",
    learning_rate=1e-2,  # Keras' default; the study names none.
    momentum=0.9,
    nesterov=True,
    clipnorm=None,
)

# v9 on: no study trained a stack on these; a plain one. What a training
# step keeps of a 256 x 256 map is 8 MiB for each layer of 32 filters (see families.memory), which
# makes 1.0 GiB in batches of 16, as measured, beside TensorFlow's own 0.7 GiB; v8's and v7's 64
# filters in batches of 128 would need 17 GiB, and with the libraries' workspaces not fit into a
# machine of 24. A core trains on 3 examples a second, so that an epoch of 4,000 takes two cores a
# quarter of an hour. v11's maps have a quarter of the pixels: twice the filters, twice the batch.
# The last kernel of 9 makes an estimate see 21 pixels, 42' at 2'. The rate is a third of the early
# versions', for the larger gradients' noise of small batches; nobody has tuned it.
_SURVEY = Recipe(model="6x32-9", learning_rate=3e-4, batch_size=16)

_TRAINED: dict[str, tuple[Recipe, ...]] = {
    "v1": (_UNET, _EARLY),
    "v2": (
        _UNET,
        dataclasses.replace(_EARLY, model="4x64-9"),
    ),
    "v3": (
        _UNET,
        dataclasses.replace(_EARLY, model="4x64-1x32-9"),
    ),
    "v4": (_UNET, *map(Recipe, ("4x64-1x32-9", "3x64-1x32-9", "5x64-1x32-9"))),
    "v5": (_UNET, *map(Recipe, ("6x64-3", "7x64-3", "6x64-7", "10x32-3", "hires"))),
    "v6": (_UNET, *(dataclasses.replace(_V6, model=m) for m in ("12x32-3", "24x16-3", "48x8-3"))),
    "v7": (_UNET, *(Recipe(f"{depth}x64-{kernel}") for depth in (6, 8, 10) for kernel in (3, 9))),
    "v8": (_UNET, Recipe("5x64-1x32-3"), _SGD),
    "v9": (_UNET_SURVEY, _SURVEY),
    "v10": (_UNET_SURVEY, _SURVEY),
    "v11": (_UNET, dataclasses.replace(_SURVEY, model="6x64-9", batch_size=32)),
    "v12": (_UNET_SURVEY, _SURVEY),
    "v13": (_UNET_SURVEY, _SURVEY),
    "v14": (_UNET, dataclasses.replace(_SURVEY, model="6x64-9", batch_size=32)),
    "v15": (_UNET_SURVEY, _SURVEY),
    "v16": (_UNET_SURVEY, _SURVEY),
    "v17": (_UNET_SURVEY, _SURVEY),
}

# At the optimum of Gaussian skies but for a percent or two, in minutes, and on v1-v8 above
# every network that was trained. `unet` learns v9 too slowly: after 45,000 examples it has not
# reached the quadratic estimator.
_ITERATED = Recipe(iterated.NAME)

# Above it by .002 of ρ on v13 and v14, whose masks, tensors, rotation and optical depth the
# iterated estimator knows in part, after a quarter of an hour of a core.
_UNROLLED = dataclasses.replace(_STARTING, model=unrolled.NAME, minutes=15.0)

_BEST = {
    "v13": (dataclasses.replace(_UNROLLED, batch_size=4), _ITERATED),
    "v14": (_UNROLLED, _ITERATED),
}

# The first of a version is its default; the first of a family is what its others are trained like.
RECIPES = {
    version: (*_BEST.get(version, (_ITERATED,)), *trained) for version, trained in _TRAINED.items()
}

# Of a config of one's own: the stack that did well on the widest range of versions.
_STACK = Recipe(model="4x64-1x32-9")
_STACK_PIXELS = 128 * 128**2  # of a batch at most: a training step then takes 3.5 GiB


def recipe_for(version: str, model: str | None = None, npix: int = 0) -> Recipe:
    """Finds the settings that a version's study used.

    Args:
      version: "v1" ... "v17", or a custom config's name.
      model: a network; None for the version's default. One that the study never trained on this
        version is trained like the version's first network of its family; one that is fitted has
        no settings.
      npix: pixels on a side of a custom config's maps: of large ones fewer make a batch.

    Raises:
      LensingError: the model's name is not in the grammar.
    """
    recipes = recipes_of(version, npix)
    if model is None:
        return recipes[0]
    if families.is_fitted(model):
        return Recipe(model)
    studied = {recipe.model: recipe for recipe in recipes}
    plain = model.removeprefix(WHITEN)  # a whitened stack is trained as the stack is
    recipe = studied.get(plain) or trained_recipe(version, families.family_of(plain), npix)
    return dataclasses.replace(recipe, model=model)


def refuse_settings_of_training(model: str, given: Iterable[str]) -> None:
    """Makes sure that nobody asks a network that is fitted for what only training has.

    Args:
      model: the network.
      given: the names of the settings, fields of `TrainerConfig`, that somebody named.

    Raises:
      LensingError: one says nothing about a fit.
    """
    if not families.is_fitted(model):
        return
    for name in given:
        if name not in ("model", *FITTED_TAKES):
            raise LensingError(
                f"{name} is for networks that are trained: {model} is fitted in closed form, and "
                f"takes {' and '.join(FITTED_TAKES)} only"
            )


def trained_recipe(version: str, family: str, npix: int = 0) -> Recipe:
    """Finds a version's default of the networks of a family that is trained, which a search varies.

    Networks that begin as an estimator have the same on every version. Another family that the
    version has no recipe of is trained like its U-Net.

    Args:
      version: as of `recipe_for`.
      family: its name.
      npix: pixels on a side, as of `recipe_for`.
    """
    if family in _STARTING_FAMILIES:
        recipe = dataclasses.replace(_STARTING, model=family)
        return _fitting(recipe, _STARTING_PIXELS, npix)
    recipes = {families.family_of(r.model): r for r in reversed(recipes_of(version, npix))}
    return recipes.get(family) or recipes[UNetSpace.family]


def first_trained(version: str, npix: int = 0) -> Recipe:
    """Finds the first of a version's networks that is trained, not fitted.

    Args:
      version: as of `recipe_for`.
      npix: pixels on a side, as of `recipe_for`.
    """
    return next(r for r in recipes_of(version, npix) if not families.is_fitted(r.model))


def recipes_of(version: str, npix: int = 0) -> tuple[Recipe, ...]:
    """All recipes of a version, its default's first; of a custom config, those that it gets.

    Args:
      version: as of `recipe_for`.
      npix: pixels on a side, as of `recipe_for`.
    """
    return RECIPES.get(version) or (
        _fitting(_UNET, _UNET_PIXELS, npix),
        _fitting(_STACK, _STACK_PIXELS, npix),
    )


def _fitting(recipe: Recipe, pixels: int, npix: int) -> Recipe:
    fitting = max(1, pixels // max(1, npix) ** 2)
    return dataclasses.replace(recipe, batch_size=min(recipe.batch_size, fitting))
