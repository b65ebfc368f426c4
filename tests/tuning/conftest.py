"""A quick search on the tiny dataset, shared by the tests of tuning."""

import dataclasses
import json
import os

import pytest

from trainer.networks.stacks import StackSpace
from tuning.config import SearchConfig

# Networks that train in a second.
SPACE = {
    "depth": [1, 2],
    "width": [2, 4],
    "tail": 0,
    "last_kernel": [3, 5],
    "batch_size": [16, 25],
}


@pytest.fixture(scope="session", autouse=True)
def _unmeasured(unmeasured):
    """Trials here are given their pace; those of `python -m tuning` in a process measure it."""


@pytest.fixture(scope="session")
def config(data_dir: str) -> SearchConfig:
    """A random search of two epochs a trial."""
    return SearchConfig(
        dataset="lensing/tiny",
        data_dir=data_dir,
        space=StackSpace().changed(SPACE),
        tuner="random",
        max_epochs=2,
    )


@pytest.fixture
def changed(config: SearchConfig):
    """A function that gives the quick search with some fields changed."""
    return lambda **fields: dataclasses.replace(config, **fields)


@pytest.fixture
def arguments(data_dir: str, tmp_path) -> list[str]:
    """Flags of `python -m tuning` that make the quick search, in the folder `search`."""
    space = tmp_path / "space.json"
    space.write_text(json.dumps(SPACE))
    return [
        *("--dataset", "lensing/tiny", "--data_dir", data_dir),
        *("--workdir", str(tmp_path / "search")),
        *("--space", str(space), "--tuner", "random", "--max_epochs", "2", "--max_trials", "2"),
    ]


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """No test is a chief or a worker because of the shell that it was started from."""
    for name in [name for name in os.environ if name.startswith("KERASTUNER_")]:
        monkeypatch.delenv(name)
