"""Batches of pairs of maps for training."""
