"""`tfds.show_examples` for maps: TFDS itself shows only features that are images, or graphs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow_datasets as tfds
    from matplotlib.figure import Figure

_PANEL = 2.2  # inches


class MapVisualizer:
    """Draws every channel of every map of a few examples: a row each, white at zero.

    It is what TFDS calls a `Visualizer`.
    """

    def match(self, ds_info: tfds.core.DatasetInfo) -> bool:
        """Says whether the dataset is one of ours."""
        return ds_info.name == "lensing" and {"lensed", "kappa"} <= set(ds_info.features or ())

    def show(
        self,
        ds: Any,
        ds_info: tfds.core.DatasetInfo,
        rows: int = 3,
        cols: int = 3,
        plot_scale: float = 1.0,
    ) -> Figure:
        """Draws examples.

        Args:
          ds: the examples, not batched.
          ds_info: of their dataset.
          rows: how many examples.
          cols: not used, as the columns are the channels; TFDS always gives it.
          plot_scale: of the figure's size.

        Returns:
          The figure, which pyplot holds too, as a notebook expects.
        """
        from matplotlib import pyplot

        del cols
        channels, units = ds_info.metadata["channels"], ds_info.metadata["units"]
        examples = list(ds.take(rows).as_numpy_iterator())
        panels = [
            (name, channel, number)
            for name, names in channels.items()
            for number, channel in enumerate(names)
        ]
        size = plot_scale * _PANEL
        figure, axes = pyplot.subplots(
            len(examples),
            len(panels),
            figsize=(size * len(panels), size * len(examples)),
            squeeze=False,
            layout="constrained",
        )
        for example, row in zip(examples, axes, strict=True):
            for (name, channel, number), panel in zip(panels, row, strict=True):
                values = example[name][..., number]
                limit = float(abs(values).max()) or 1.0
                panel.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, origin="lower")
                title = name if channel == name else f"{name} {channel}"
                panel.set_title(f"{title} (±{limit:.3g} {units[name]})", fontsize=8)
                panel.set(xticks=[], yticks=[])
            row[0].set_ylabel(f"example {example['index']}", fontsize=8)
        return figure


def register() -> None:
    """Makes `tfds.show_examples` know these maps; TFDS has no public way, so none may be left."""
    # By its name: the attribute of the package is the function.
    module = importlib.import_module("tensorflow_datasets.core.visualization.show_examples")
    known = getattr(module, "_ALL_VISUALIZERS", None)
    if isinstance(known, list) and not any(isinstance(one, MapVisualizer) for one in known):
        known.append(MapVisualizer())
