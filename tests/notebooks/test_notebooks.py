"""The notebooks of docs/ run, and what they hold for the site is what they give."""

import importlib.util
import pathlib

import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def runner():
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "scripts" / "notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kinds(notebook):
    """The kinds of output of each cell, in order."""
    return [
        [sorted(output.get("data", {"text": None})) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_gives_what_it_holds(path, runner, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    kept = nbformat.read(path, as_version=4)
    assert kinds(runner.executed(path, tmp_path)) == kinds(kept)
    assert any("image/png" in kind for cell in kinds(kept) for kind in cell)
    assert path.stat().st_size < 1e6


def test_all_of_them_are_here():
    assert [path.stem for path in NOTEBOOKS] == ["judging", "maps", "network", "own_network"]
