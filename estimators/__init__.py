"""Estimators of κ that need no training, and judges of any estimate."""
