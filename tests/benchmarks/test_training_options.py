"""The page of options has those that are nowhere else, each beside the same run without it."""

import dataclasses

from benchmarks.training_options import OPTIONS, config_of
from trainer.settings.optimization import PRECISIONS

CONFIGS = {name: config_of(settings, "") for name, (_, settings) in OPTIONS.items()}


def test_every_precision_and_whitened_maps_are_measured():
    assert {config.precision for config in CONFIGS.values()} == set(PRECISIONS)
    assert CONFIGS["whitened"].model == f"whiten-{CONFIGS['stack'].model}"


def test_an_option_is_all_that_a_run_differs_in():
    for name, (beside, settings) in OPTIONS.items():
        if not beside:
            continue
        own = settings.items() - OPTIONS[beside][1].items()
        meant = {"model" if key == "whiten" else key for key, _ in own}
        ours, theirs = (dataclasses.asdict(CONFIGS[run]) for run in (name, beside))
        assert {key for key in ours if ours[key] != theirs[key]} == meant, name
