"""A run says what it will take, and what would give it more."""

import re

from lensing_tfds.versions import VERSIONS
from trainer.loop import announcements
from trainer.runs.plan import Pace, Plan
from trainer.settings.config import resolve


def settings(**changes):
    return resolve("lensing/v8", "", VERSIONS["v8"], model="1x4-3", **changes)


def test_the_time_that_is_left_counts_no_step_that_was_taken():
    pace = Pace(step=2.0, validation=10.0)
    line = announcements.expectation(Plan(4, 30), 1, 15, pace, steps_per_pass=60)
    assert line.startswith("an epoch takes 1m 10s: 30 steps of 2 s (0.5 passes) and 10 s of valid")
    assert re.search(r"; 3 epochs take 3m 00s, until \d\d:\d\d$", line)  # 3 x 70 s less 15 x 2 s


def test_tracing_is_named_where_it_takes_a_while():
    pace = Pace(step=1.0, validation=1.0, starting=20.0)
    line = announcements.expectation(Plan(1, 9), 0, 0, pace, steps_per_pass=9)
    assert "; 1 epoch takes 30s with 20s to start, until " in line


def test_a_finished_run_says_which_flag_gives_it_more():
    constant = settings(epochs=3, schedule="constant")
    assert announcements.all_epochs(3, constant) == "3 epochs (more: --epochs)"
    ended = settings(minutes=5.0, schedule="cosine")
    assert announcements.all_epochs(15, ended) == (
        "15 epochs (its schedule has ended: for more --minutes, train in another --workdir)"
    )
    patient = settings(patience=2)
    assert announcements.ended_early(patient).endswith(
        "2 epochs without a lower val_loss (more: --patience)"
    )
