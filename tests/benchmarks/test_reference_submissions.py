"""A network's line of the leaderboard says what its run has done."""

import types

import numpy as np
import pytest

from benchmarks.reference_submissions import description_of, main
from lensing_tfds import VERSIONS
from trainer.runs.plan import Plan


def run(plan, **config):
    """The fields of a run that its description is made of."""
    settings = {"max_examples": None, "fresh": False, "batch_size": 16}
    return types.SimpleNamespace(
        name="unet",
        config=types.SimpleNamespace(**settings | config),
        history={"epoch": np.array([0, 1, 2, 3]), "seconds": np.array([np.nan, 60, 59, 70])},
        lensing=VERSIONS["v11"],
        plan=plan,
    )


@pytest.mark.parametrize(
    ("plan", "config", "training"),
    [
        (Plan(5, 17), {}, "51 steps of 16 of the 4,000 training examples, in 3 minutes"),
        (None, {"max_examples": 128}, "3 passes through the 128 training examples, in 3 minutes"),
        (Plan(5, 17), {"fresh": True}, "51 steps of 16 of fresh skies, in 3 minutes"),
    ],
)
def test_a_run_is_described_by_what_it_has_done(plan, config, training):
    found = description_of(run(plan, **config))
    assert (found.name, found.training) == ("unet network", training)


def test_nothing_to_submit_is_said(capsys):
    with pytest.raises(SystemExit):
        main([])
    assert "give --versions or --runs" in capsys.readouterr().err
