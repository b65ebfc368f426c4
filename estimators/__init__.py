"""Estimators of κ that need no training, and the judge of any estimate."""
