"""Compiled functions run wherever the package is installed, cache folder or none."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from lensing_tfds.sky.compiled import compiled

SCRIPT = """
import sys
sys.modules['tensorflow_datasets'] = None  # slow to import, and not needed
from lensing_tfds.sky.compiled import compiled


@compiled()
def half(x):
    return x / 2


assert half(3) == 1.5
print(sum(half.stats.cache_hits.values()))
"""


@pytest.fixture
def hits(tmp_path):
    """A function that runs the script in a process of its own: were its function's code read?"""
    source = tmp_path / "halves.py"
    source.write_text(SCRIPT)
    root = str(pathlib.Path(__file__).parents[3])
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": root}

    def run(before="", **variables):
        command = f"{before} exec {sys.executable} {source}"
        ran = subprocess.run(
            ["bash", "-c", command],
            capture_output=True,
            text=True,
            check=False,
            env={name: v for name, v in (environment | variables).items() if v is not None},
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr == ""
        return int(ran.stdout)

    run.cache = tmp_path / "cache"
    return run


def files(folder, pattern):
    found = list(folder.rglob(pattern))
    assert found
    return found


def test_a_function_whose_code_cannot_be_kept_runs_all_the_same():
    """One from no file at all, for which numba has no place to cache."""
    namespace = {}
    exec(compile("def double(x):\n    return 2 * x", "no file", "exec"), namespace)
    double = compiled()(namespace["double"])
    assert double(21) == 42
    assert double.signatures  # it was compiled


def test_machine_code_is_kept_and_read_by_the_next_process(hits):
    assert [hits(), hits()] == [0, 1]


def flipped(content):
    """A bit of the machine code, which follows the header of an ELF object."""
    start = content.index(b"\x7fELF") + 600
    return content[:start] + bytes([content[start] ^ 1]) + content[start + 1 :]


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("*.nbi", lambda content: b""),
        ("*.nbi", lambda content: content[:-7]),
        ("*.nbi", lambda content: content.replace(b"nbc", b"nbq")),
        ("*.nbc", lambda content: content[: len(content) // 2]),
        ("*.nbc", flipped),
    ],
    ids=["no index", "cut index", "no such file", "half", "bit"],
)
def test_a_damaged_cache_is_made_again(hits, pattern, damage):
    hits()
    (path,) = files(hits.cache, pattern)
    damaged = damage(path.read_bytes())
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    assert [hits(), hits()] == [0, 1]


def test_code_for_other_types_under_this_ones_name_is_not_run(hits, tmp_path):
    """As two processes that compile at once may leave it."""
    hits()
    script = tmp_path / "halves.py"
    (name,) = files(hits.cache, "*.nbc")
    times = (script.stat().st_atime_ns, script.stat().st_mtime_ns)
    for_integers = name.read_bytes()
    shutil.rmtree(hits.cache)
    script.write_text(SCRIPT.replace("half(3) ==", "half(3.)=="))  # as many bytes, as old
    os.utime(script, ns=times)
    assert hits() == 0
    (name,) = files(hits.cache, "*.nbc")
    name.write_bytes(for_integers)
    assert hits() == 0


def test_a_full_disk_leaves_the_code_in_memory(hits):
    """No file may be larger than a block of 1024 bytes: the index may, the code is not."""
    assert [hits("ulimit -f 1;"), hits("ulimit -f 0;"), hits(), hits()] == [0, 0, 0, 1]


def test_where_neither_the_source_nor_the_home_can_be_written(hits, tmp_path):
    """A file stands where numba's folders would be, which stops root too."""
    (tmp_path / "__pycache__").touch()
    (tmp_path / "home").touch()
    nowhere = {"NUMBA_CACHE_DIR": None, "XDG_CACHE_HOME": None, "HOME": str(tmp_path / "home")}
    assert [hits(**nowhere), hits(**nowhere)] == [0, 0]
