"""Evidence: every network on every version, trained and judged by one command, and its page.

    python -m benchmarks.results                                   # ten minutes a network
    python -m benchmarks.results --versions v11 --models unrolled --minutes 60
    python -m benchmarks.results --page docs/results.md            # only writes the page

A cell is a network on a version: `cells.py` names it, `work.py` makes it, in a process of its own,
`evidence.py` gathers the figures (`figures.py`) of what is there, `record.py` keeps them in a file,
`page.py`, `picture.py` and `readme.py` show them. A command that was stopped goes on where it was,
and a page holds what is finished.
"""
