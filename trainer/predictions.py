"""A folder of predictions: κ maps and their indices, in the format of docs/predictions.md."""

DESCRIPTION = "predictions.json"
"""The file that says what the predictions are of, and what made them."""
