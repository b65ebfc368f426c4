"""The exception that bad input raises."""


class LensingError(ValueError):
    """Bad input: the message says in one line what is wrong, where, and what to do."""
