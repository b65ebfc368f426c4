"""The exceptions that bad input raises."""


class LensingError(ValueError):
    """Bad input: the message says in one line what is wrong, where, and what to do."""


class TooFewExamplesError(LensingError):
    """The examples do not determine what is measured on them, or fitted to them."""
