"""A run's folder: its settings, checkpoints and history, and how it goes on after a stop."""
