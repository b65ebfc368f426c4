"""Beam: the dataset's work on many machines. Run `python -m pipelines.generate --help`."""
