"""Numbers of the random fields of an example: part of the data's definition, never to be changed.

A field that a config does not have is not drawn, and changes no other.
"""

TEMPERATURE, KAPPA, E_MODE = 0, 1, 3

NOISE = {"T": 2, "Q": 4, "U": 5}

HOLES = 6
"""Places of a mask's holes."""

TENSOR_RATIO, TENSOR_E, TENSOR_T, TENSOR_B = 7, 8, 9, 10
"""The example's r, and its tensor modes."""

ROTATION, OPTICAL_DEPTH = 11, 12
"""Fields by which the sky is modulated."""

FOREGROUNDS = {"radio": 16, "dusty": 17, "cib": 18, "tsz": 19, "ksz": 20}

_FIELDS_OF_A_SPLIT = 2**8
_FIELDS_OF_A_LOOK = 2**16


def noise(channel: str, look: int = 0, split: int = 0) -> int:
    """Returns the field of a channel's noise.

    Args:
      channel: "T", "Q" or "U".
      look: another look at the same sky has other noise.
      split: as has another split.
    """
    return NOISE[channel] + split * _FIELDS_OF_A_SPLIT + look * _FIELDS_OF_A_LOOK
