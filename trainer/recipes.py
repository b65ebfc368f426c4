"""Recipes of each version's own study: networks, optimizers and batch sizes, as data.

Where the study names no value, the choice made here stands beside it as a comment. The surveys'
versions, v9 on, have no study, and all is such a choice.
"""

from __future__ import annotations

import dataclasses

from lensing_tfds.errors import LensingError
from lensing_tfds.field_types import check_types
from trainer.networks import families, iterated
from trainer.optimization import check_length, check_optimization

FITTED_TAKES = ("max_examples",)
"""The only setting of a run, beside network and dataset, that a network takes that is fitted."""


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
    epochs: int | None = None
    minutes: float | None = 10.0

    def __post_init__(self) -> None:
        check_types(self)
        self._refuse_settings_of_training()
        settings = {field.name: getattr(self, field.name) for field in dataclasses.fields(Recipe)}
        del settings["model"]
        check_length(settings.pop("epochs"), settings.pop("minutes"))
        check_optimization(**settings)

    def _refuse_settings_of_training(self) -> None:
        """Makes sure that a network that is fitted has no setting but those that do nothing."""
        if not families.is_fitted(self.model):
            return
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            takes = field.name in FITTED_TAKES or field.default is dataclasses.MISSING
            if not takes and value != field.default:
                raise LensingError(
                    f"{field.name} is {value!r}: {self.model} is fitted in closed form, and takes "
                    f"{' and '.join(FITTED_TAKES)} only"
                )


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

# v9-v12: no study trained such a network on these; a plain stack to begin with. What a training
# step keeps of a 256 x 256 map is 8 MiB for each layer of 32 filters (see families.memory), which
# makes 1.0 GiB in batches of 16, as measured, beside TensorFlow's own 0.7 GiB; v8's and v7's 64
# filters in batches of 128 would need 17 GiB, and with the libraries' workspaces not fit into a
# machine of 24. A core trains on 3 examples a second, so that an epoch of 4,000 takes two cores a
# quarter of an hour. v11's maps have a quarter of the pixels: twice the filters, twice the batch.
# The last kernel of 9 makes an estimate see 21 pixels, 42' at 2'. The rate is a third of the early
# versions', for the larger gradients' noise of small batches; nobody has tuned it.
_SURVEY = Recipe(model="6x32-9", learning_rate=3e-4, batch_size=16)

# At the optimum of Gaussian skies but for a percent, in a minute.
_ITERATED = Recipe(iterated.NAME)

# The first of a version is its default.
RECIPES: dict[str, tuple[Recipe, ...]] = {
    "v1": (_EARLY,),
    "v2": (dataclasses.replace(_EARLY, model="4x64-9"),),
    "v3": (dataclasses.replace(_EARLY, model="4x64-1x32-9"),),
    "v4": tuple(Recipe(model) for model in ("4x64-1x32-9", "3x64-1x32-9", "5x64-1x32-9")),
    "v5": tuple(Recipe(model) for model in ("6x64-3", "7x64-3", "6x64-7", "10x32-3", "hires")),
    "v6": tuple(dataclasses.replace(_V6, model=m) for m in ("12x32-3", "24x16-3", "48x8-3")),
    "v7": tuple(Recipe(f"{depth}x64-{kernel}") for depth in (6, 8, 10) for kernel in (3, 9)),
    "v8": (Recipe("5x64-1x32-3"), _SGD),
    "v9": (_SURVEY,),
    "v10": (_ITERATED, _SURVEY),
    "v11": (_ITERATED, dataclasses.replace(_SURVEY, model="6x64-9", batch_size=32)),
    "v12": (_ITERATED, _SURVEY),
}

# A config that no study has trained on: the network that did well on the widest range of versions.
CUSTOM = Recipe(model="4x64-1x32-9")
_CUSTOM_PIXELS = 128 * 128**2  # of a batch at most: a training step then takes 3.5 GiB


def recipe_for(version: str, model: str | None = None, npix: int = 0) -> Recipe:
    """Finds the settings that a version's study used.

    Args:
      version: "v1" ... "v12", or a custom config's name.
      model: a network; None for the version's default. One that the study never trained on this
        version gets the settings of the version's first network of its family, or of its default to
        be trained; one that is fitted has none.
      npix: pixels on a side of a custom config's maps: of large ones fewer make a batch.

    Raises:
      LensingError: the model's name is not in the grammar.
    """
    recipes = _recipes(version, npix)
    if model is None:
        return recipes[0]
    if families.is_fitted(model):
        return Recipe(model)
    studied = {recipe.model: recipe for recipe in recipes}
    if model in studied:
        return studied[model]
    family = type(families.parse(model))
    alike = (recipe for recipe in recipes if isinstance(families.parse(recipe.model), family))
    return dataclasses.replace(next(alike, trained_recipe(version, npix)), model=model)


def trained_recipe(version: str, npix: int = 0) -> Recipe:
    """Finds a version's default of the networks that are trained, which a search varies.

    Args:
      version: as of `recipe_for`, as is the next.
      npix: pixels on a side.
    """
    return next(
        recipe for recipe in _recipes(version, npix) if not families.is_fitted(recipe.model)
    )


def _recipes(version: str, npix: int) -> tuple[Recipe, ...]:
    return RECIPES.get(version) or (_custom(npix),)


def _custom(npix: int) -> Recipe:
    fitting = max(1, _CUSTOM_PIXELS // max(1, npix) ** 2)
    return dataclasses.replace(CUSTOM, batch_size=min(CUSTOM.batch_size, fitting))
