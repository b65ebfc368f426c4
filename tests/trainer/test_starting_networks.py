"""Networks that begin as an estimator train as others do, from the dataset's own examples."""

import pytest

from lensing_tfds.errors import LensingError
from trainer.train import train


def quiet(line: str) -> None:
    """A report that nobody reads."""


@pytest.mark.parametrize("model", ["qe_unet-2x1x1"])
def test_a_run_begins_with_the_estimator_and_goes_on_from_it(changed, tmp_path, model):
    config = changed(model=model, learning_rate=1e-4, epochs=1)
    history = train(config, tmp_path, quiet).history
    assert list(history["epoch"]) == [0, 1]
    # Drawn weights would say nothing yet: their correlation is about zero.
    assert history["val_map_correlation"][0] > 0.3
    assert history["val_map_correlation"][1] > 0.9 * history["val_map_correlation"][0]


def test_too_few_examples_are_refused_in_a_line(changed, tmp_path):
    with pytest.raises(LensingError, match="at least 8 examples .* there are 2: more are needed$"):
        train(changed(model="qe_unet-2x1x1", max_examples=2), tmp_path, quiet)
