"""The formats that networks are written in for other programs, see `trainer.serving`."""

BACKENDS = {"saved_model": "tensorflow", "stablehlo": "jax", "keras": None}
"""Formats, each with the Keras backend that writes it; None where any does."""
