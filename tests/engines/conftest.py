"""What the tests of all engines share: the real command, in a process of its own."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds

from lensing_tfds import LensingConfig, simulate
from lensing_tfds.configs import SPLITS
from tests.processes import is_dead, writer_of

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="session")
def small() -> LensingConfig:
    return LensingConfig(
        "small", npix=16, lx=5.0, seed=3, num_examples={"train": 90, "validation": 7, "test": 5}
    )


@pytest.fixture(scope="session")
def slow() -> LensingConfig:
    """A config whose shards, of four, take long enough to be caught half-written."""
    return LensingConfig(
        "slow", npix=128, lx=5.0, num_examples={"train": 1200, "validation": 8, "test": 8}
    )


@pytest.fixture
def generate(tmp_path):
    """Starts `python -m pipelines.generate` and yields the process; its end is awaited."""

    @contextlib.contextmanager
    def start(config, *flags):
        command = [sys.executable, "-m", "pipelines.generate", "--data_dir", str(tmp_path)]
        command += ["--config", json.dumps(config.to_json()), *flags]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
            output, _ = process.communicate(timeout=300)
            assert process.returncode == 0, output
            assert f"lensing/{config.name} is in" in output
        finally:
            process.kill()
            process.wait()

    return start


@pytest.fixture
def folder(tmp_path):
    """Returns the folder of a dataset that `generate` builds."""
    return lambda config: next((tmp_path / "lensing" / config.name).iterdir())


@pytest.fixture
def assert_is_simulated(tmp_path, folder):
    """Compares every decoded example with the simulator's, and what lies in the folder."""

    def digest(examples) -> str:
        arrays = (np.ascontiguousarray(examples[name]) for name in sorted(examples))
        return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()

    def check(config, num_shards):
        builder = tfds.builder(f"lensing/{config.name}", data_dir=tmp_path)
        for split in SPLITS:
            count = config.num_examples[split]
            info = builder.info.splits[split]
            assert (info.num_examples, info.num_shards) == (count, min(num_shards, count))
            read = list(builder.as_dataset(split=split).as_numpy_iterator())
            read.sort(key=lambda example: example["index"])  # TFDS interleaves shards
            decoded = {name: np.stack([example[name] for example in read]) for name in read[0]}
            assert digest(decoded) == digest(simulate(config, split, range(count))), split
        extra = [
            path.name
            for path in folder(config).iterdir()
            if not re.search(r"\.json$|\.tfrecord-\d+-of-\d+(\.crc32c)?$", path.name)
            or path.name.startswith("beam-summary")
        ]
        assert not extra

    return check


class Killer(threading.Thread):
    """Kills, once, a process that is in the middle of writing a shard.

    Attributes:
      killed: its process id; None as long as none was caught.
    """

    def __init__(self, root: pathlib.Path):
        super().__init__(daemon=True)
        self.root = root
        self.killed: int | None = None

    def run(self) -> None:
        deadline = time.monotonic() + 120
        while self.killed is None and time.monotonic() < deadline:
            for path in self.root.glob("lensing/*/*/.unfinished-*.tfrecord-*"):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    if path.stat().st_size:
                        self._kill(path)
                        break
            time.sleep(0.002)

    def _kill(self, path: pathlib.Path) -> None:
        pid = writer_of(path)
        assert pid != os.getpid()
        if pid is None:
            return
        os.kill(pid, signal.SIGKILL)
        while not is_dead(pid):
            time.sleep(0.01)
        if path.exists():  # it died before the shard had its name
            self.killed = pid


@pytest.fixture
def killer(tmp_path):
    thread = Killer(tmp_path)
    thread.start()
    return thread
