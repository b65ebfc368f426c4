"""Settings of a training: their bounds, each version's recipes, and what a search may try."""
