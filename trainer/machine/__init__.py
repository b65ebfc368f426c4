"""The machine that a run is on: its devices and its memory."""
