"""Chief and workers: Keras Tuner's environment variables, checked before anything waits for them.

    KERASTUNER_TUNER_ID      "chief", or a worker's own name; restarted, a worker keeps it
    KERASTUNER_ORACLE_IP     where the chief listens, as the next
    KERASTUNER_ORACLE_PORT

Without them a process searches alone.
"""

from __future__ import annotations

import os
import socket
import time
from enum import Enum

from lensing_tfds.errors import LensingError

_VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
_CONNECT_SECONDS = 5.0
_LOST_SECONDS = 30.0  # without an answer: then the chief is gone


class Role(Enum):
    """A process's part in a search."""

    ALONE = "alone"
    CHIEF = "chief"
    WORKER = "worker"


def role() -> Role:
    """Reads this process's part from its environment.

    Raises:
      LensingError: some of the variables are set and others are not, or the port is no port.
    """
    values = {name: os.environ.get(name) for name in _VARIABLES}
    if values["KERASTUNER_ORACLE_IP"] is None and values["KERASTUNER_ORACLE_PORT"] is None:
        return Role.ALONE
    for name, value in values.items():
        if not value:
            raise LensingError(f"{name} is not set: chief and workers need {', '.join(_VARIABLES)}")
    address()
    return Role.CHIEF if "chief" in str(values["KERASTUNER_TUNER_ID"]) else Role.WORKER


def address() -> tuple[str, int]:
    """Reads where the chief listens.

    Raises:
      LensingError: the port is no port.
    """
    port = os.environ["KERASTUNER_ORACLE_PORT"]
    if not port.isdecimal() or not 0 < int(port) < 2**16:
        raise LensingError(f"KERASTUNER_ORACLE_PORT is {port!r}: must be in [1, 65535]")
    return os.environ["KERASTUNER_ORACLE_IP"], int(port)


def refuse_taken_port(ip: str, port: int) -> None:
    """Makes sure that a chief can listen: gRPC would share a port with another chief in silence.

    Raises:
      LensingError: it cannot.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError as error:
            raise LensingError(
                f"the oracle cannot listen on {ip}:{port}: {error.strerror}; name another port"
            ) from error


def free_port(ip: str) -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((ip, 0))
        return int(probe.getsockname()[1])


def answers(ip: str, port: int) -> bool:
    """Tries whether somebody listens at an address."""
    try:
        with socket.create_connection((ip, port), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False


def wait_for_chief(seconds: float) -> None:
    """Waits for the chief to listen: Keras Tuner itself would wait for an hour and say nothing.

    Raises:
      LensingError: it does not, within so many seconds.
    """
    if not _chief_answers(seconds, every=0.2):
        raise LensingError(
            f"no chief answers at {'{}:{}'.format(*address())} (waited {seconds:g} s): start one, "
            "the same command with KERASTUNER_TUNER_ID=chief, or wait longer with --chief_timeout"
        )


def refuse_lost_chief() -> None:
    """Ends a worker whose chief is gone; what it trained is kept in its trial's folder.

    Raises:
      LensingError: the chief does not answer any more.
    """
    if role() is not Role.WORKER:
        return
    if not _chief_answers(_LOST_SECONDS, every=1):
        raise LensingError(
            f"the chief at {'{}:{}'.format(*address())} does not answer any more; start it again, "
            "then the workers: the search goes on"
        )


def _chief_answers(seconds: float, every: float) -> bool:
    """Says whether the chief answers within so many seconds, asked again and again."""
    deadline = time.monotonic() + seconds
    while not answers(*address()):
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
