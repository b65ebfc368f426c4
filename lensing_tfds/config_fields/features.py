"""Features of an example: what float32 values it holds under which name."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Feature:
    """Maps, or a number, that every example holds under one name.

    Attributes:
      name: the feature's: "lensed".
      text: what it is, a sentence.
      unit: of its values.
      channels: names of a map's channels, in order: ("T", "Q", "U"). None: it is a number.
    """

    name: str
    text: str
    unit: str
    channels: tuple[str, ...] | None = None

    def shape(self, npix: int) -> tuple[int, ...]:
        """Returns (npix, npix, channels), or () of a number."""
        return () if self.channels is None else (npix, npix, len(self.channels))
