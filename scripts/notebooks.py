"""Runs the notebooks of docs/notebooks, and keeps what they print and draw.

    python scripts/notebooks.py docs/notebooks/*.ipynb    # executed in place, for the site

Warnings and progress, which differ from run to run, are left out.
"""

from __future__ import annotations

import os
import pathlib
import sys
import tempfile
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = pathlib.Path(__file__).parents[1]
_SECONDS = 600  # a cell may take on a busy machine


def executed(path: pathlib.Path, folder: pathlib.Path) -> Any:
    """Returns a notebook with the outputs of a run.

    Args:
      path: the notebook.
      folder: where it runs.

    Raises:
      nbclient.exceptions.CellExecutionError: a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    # The package of this checkout, wherever the notebook runs; quiet, as in a person's terminal.
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    client = NotebookClient(notebook, timeout=_SECONDS, resources={"metadata": {"path": folder}})
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = _kept(cell.outputs)
    return notebook


def _kept(outputs: Any) -> list[Any]:
    """Values, pictures and, in one piece, what is printed."""
    kept: list[Any] = []
    for output in outputs:
        if output.output_type in ("display_data", "execute_result"):
            kept.append(output)
        elif output.output_type == "stream" and output.name == "stdout":
            if kept and kept[-1].output_type == "stream":
                kept[-1].text += output.text
            elif output.text.strip():
                kept.append(output)
    return kept


def main() -> None:
    """Executes the notebooks that are named, in place."""
    for name in sys.argv[1:]:
        path = pathlib.Path(name)
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(executed(path, pathlib.Path(folder)), path)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
