"""Compiled functions run wherever the package is installed, cache folder or none."""

import os
import pathlib
import shutil
import subprocess
import sys

from lensing_tfds.sky.compiled import compiled


def test_a_function_whose_code_cannot_be_kept_runs_all_the_same():
    """One from no file at all, for which numba has no place to cache."""
    namespace = {}
    exec(compile("def double(x):\n    return 2 * x", "no file", "exec"), namespace)
    double = compiled()(namespace["double"])
    assert double(21) == 42
    assert double.signatures  # it was compiled


def test_machine_code_is_kept_and_read_by_the_next_process(tmp_path):
    source = tmp_path / "halves.py"
    source.write_text(
        "import sys\n"
        "sys.modules['tensorflow_datasets'] = None  # slow to import, and not needed\n"
        "from lensing_tfds.sky.compiled import compiled\n\n\n"
        "@compiled()\ndef half(x):\n    return x / 2\n\n\n"
        "half(3)\nprint(sum(half.stats.cache_hits.values()))\n"
    )
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(pathlib.Path(__file__).parents[3]),
    }
    hits = [
        subprocess.run(
            [sys.executable, source], capture_output=True, text=True, check=True, env=environment
        ).stdout.split()
        for _ in range(2)
    ]
    shutil.rmtree(tmp_path / "cache")  # it was written
    assert hits == [["0"], ["1"]]
