"""The memory of a machine is what the process may really use."""

import resource
import subprocess
import sys

import pytest

from trainer.machine import memory
from trainer.machine.memory import memory_limit


@pytest.mark.parametrize(
    ("cgroup", "file", "expected"),
    [
        ("0::/a/b", "memory.max", 10**6),
        ("0::/a/b", "a/memory.max", 10**6),
        ("0::/a/b", "a/b/memory.max", 10**6),
        ("5:memory:/a", "memory/a/memory.limit_in_bytes", 10**6),
        ("5:cpu:/a", "memory/a/memory.limit_in_bytes", None),
        ("0::/a/b", "a/b/c/memory.max", None),
    ],
)
def test_a_containers_limit_counts(cgroup, file, expected, tmp_path, monkeypatch):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("1000000\n")
    read = memory.Path.read_text
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    monkeypatch.setattr(
        memory.Path,
        "read_text",
        lambda self, encoding=None: (
            cgroup if str(self) == "/proc/self/cgroup" else read(self, encoding=encoding)
        ),
    )
    assert (memory_limit() == 10**6) == (expected is not None)
    (tmp_path / file).write_text("max\n")
    assert memory_limit() > 10**6


def test_a_users_limit_counts():
    code = "from trainer.machine.memory import memory_limit; print(memory_limit())"
    limit = 20 * 2**30
    done = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True,
        check=True,
        text=True,
    )
    assert int(done.stdout) <= limit
