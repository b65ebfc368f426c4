"""Processes that simulate: in order, bit for bit, whoever dies; nothing is left of them."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lensing_tfds import LensingConfig, LensingError, simulate, simulators
from lensing_tfds.cosmology import spectra_of
from lensing_tfds.simulation import Simulator
from lensing_tfds.simulator_process import Work
from lensing_tfds.simulators import Simulators
from lensing_tfds.symmetries import transform

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = LensingConfig("looked-at", npix=16, lx=2.0, stokes="QU", noise_uK_arcmin=1.0)
WORK = Work(CONFIG, "train", spectra_of(CONFIG), looks=2, turned=True, skies=8, slots=3)


def spans(start: int, stop: int) -> list[range]:
    return [range(first, min(first + 8, stop)) for first in range(start, stop, 8)]


@pytest.fixture(scope="module")
def two():
    with Simulators(WORK, 2) as started:
        yield started


def assert_right(block) -> None:
    examples = simulate(CONFIG, "train", block.indices)
    np.testing.assert_array_equal(block.lensed[0], examples["lensed"])
    np.testing.assert_array_equal(block.kappa[0], examples["kappa"])
    mirrored = transform(examples["kappa"], ("kappa",), np.full(len(block.indices), 1))
    np.testing.assert_array_equal(block.kappa[1], mirrored)
    ((lensed, _),) = Simulator(CONFIG, "train").looks(block.indices, 2)
    turned = transform(lensed[1], CONFIG.channels, np.full(len(block.indices), 1))
    np.testing.assert_array_equal(block.lensed[1], turned)


def test_blocks_come_in_order_bit_for_bit_though_a_process_is_killed(two):
    wanted = spans(2**40, 2**40 + 75)
    seen = []
    for block in two.blocks(wanted):
        if len(seen) == 4:
            (victim, *_) = two.process_ids
            os.kill(victim, signal.SIGKILL)
        assert_right(block)
        seen.append(block.indices)
        block.release()
    assert seen == wanted
    assert victim not in two.process_ids


def test_blocks_wait_until_they_are_released_and_no_more_are_simulated(two):
    blocks = two.blocks(spans(0, 1000))
    held = [next(blocks) for _ in range(WORK.slots)]
    before = two.simulated
    time.sleep(0.2)
    assert two.simulated == before
    for block in held:
        assert_right(block)


def test_another_stream_ends_the_one_before(two):
    old = two.blocks(spans(0, 1000))
    next(old)
    new = two.blocks(spans(5000, 5016))
    for block in new:
        assert_right(block)
        block.release()
    assert list(old) == []


def test_processes_that_cannot_work_are_given_up_with_their_last_words(monkeypatch):
    monkeypatch.setattr(simulators, "_CODE", "raise SystemExit('no luck')")
    with Simulators(WORK, 2) as started, pytest.raises(LensingError, match="4 .* died .*: no luck"):
        next(started.blocks(spans(0, 8)))


PARENT = """
import time
from tests.lensing_tfds.test_simulators import Simulators, WORK, spans
with Simulators(WORK, 2) as started:
    blocks = started.blocks(spans(0, 10**6))
    for _ in range(3):
        next(blocks).release()
    while len(started.process_ids) < 2:
        time.sleep(0.01)
    print(*started.process_ids, flush=True)
    time.sleep(600)
"""


def test_nothing_is_left_when_who_started_them_is_killed():
    before = segments()
    command = [sys.executable, "-c", PARENT]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        left = set(map(int, parent.stdout.readline().split()))
        assert len(left) == 2
        for number in left:  # a batch system's warning, and Ctrl-C, are not for them
            os.kill(number, signal.SIGTERM)
            os.kill(number, signal.SIGINT)
        time.sleep(0.1)
        assert all(map(_runs, left))
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    deadline = time.monotonic() + 60
    while left and time.monotonic() < deadline:
        left = set(filter(_runs, left))
        time.sleep(0.05)
    assert not left
    assert segments() <= before


def segments() -> set[str]:
    """Names of shared memory; other tests' semaphores come and go."""
    return {name for name in os.listdir("/dev/shm") if not name.startswith("sem.")}


def _runs(number: int) -> bool:
    """Says whether there is such a process, and it is more than a table's entry."""
    try:
        with open(f"/proc/{number}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
