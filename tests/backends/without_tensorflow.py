"""Runs a script as if TensorFlow were not installed: `python without_tensorflow.py SCRIPT ...`."""

import importlib.machinery
import runpy
import sys

ABSENT = ("tensorflow", "tensorflow_datasets", "tensorboard")


class PathFinder(importlib.machinery.PathFinder):
    """Finds what is installed, but for `ABSENT`."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname.partition(".")[0] in ABSENT:
            return None
        return super().find_spec(fullname, path, target)


if __name__ == "__main__":
    sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = PathFinder
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
