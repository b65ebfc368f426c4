import socket
import time

import pytest

from lensing_tfds.errors import LensingError
from tuning import cluster
from tuning.cluster import Role


def become(monkeypatch, **values):
    for name, value in values.items():
        monkeypatch.setenv(f"KERASTUNER_{name}", value)


@pytest.fixture(name="listener")
def listener_fixture():
    """Somebody who listens, on a port of his own."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as gRPC's servers
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


def test_a_process_is_what_keras_tuners_variables_say(monkeypatch):
    assert cluster.role() is Role.ALONE
    become(monkeypatch, TUNER_ID="worker-0", ORACLE_IP="127.0.0.1", ORACLE_PORT="8000")
    assert cluster.role() is Role.WORKER
    become(monkeypatch, TUNER_ID="chief")
    assert cluster.role() is Role.CHIEF


@pytest.mark.parametrize("missing", ["TUNER_ID", "ORACLE_IP", "ORACLE_PORT"])
def test_a_missing_variable_is_named(missing, monkeypatch):
    become(monkeypatch, TUNER_ID="chief", ORACLE_IP="127.0.0.1", ORACLE_PORT="8000")
    monkeypatch.delenv(f"KERASTUNER_{missing}")
    with pytest.raises(LensingError, match=f"KERASTUNER_{missing} is not set"):
        cluster.role()


@pytest.mark.parametrize("port", ["http", "0", "65536"])
def test_an_impossible_port_is_named(port, monkeypatch):
    become(monkeypatch, TUNER_ID="chief", ORACLE_IP="127.0.0.1", ORACLE_PORT=port)
    with pytest.raises(LensingError, match=f"KERASTUNER_ORACLE_PORT is '{port}'"):
        cluster.role()


def test_a_taken_port_is_refused_though_grpc_would_share_it(listener):
    port = listener.getsockname()[1]
    with pytest.raises(LensingError, match=f"cannot listen on 127.0.0.1:{port}: Address already"):
        cluster.refuse_taken_port("127.0.0.1", port)
    cluster.refuse_taken_port("127.0.0.1", cluster.free_port("127.0.0.1"))


def test_a_worker_without_a_chief_says_so_and_does_not_wait_an_hour(monkeypatch):
    port = cluster.free_port("127.0.0.1")
    become(monkeypatch, TUNER_ID="worker-0", ORACLE_IP="127.0.0.1", ORACLE_PORT=str(port))
    began = time.monotonic()
    with pytest.raises(LensingError, match=f"no chief answers at 127.0.0.1:{port}"):
        cluster.wait_for_chief(0.5)
    assert time.monotonic() - began < 10
    monkeypatch.setattr(cluster, "_LOST_SECONDS", 0.5)
    with pytest.raises(LensingError, match="does not answer any more; start it again"):
        cluster.refuse_lost_chief()


def test_a_worker_asks_its_chief_where_that_listens(listener, monkeypatch):
    port = str(listener.getsockname()[1])
    become(monkeypatch, TUNER_ID="worker-0", ORACLE_IP="127.0.0.1", ORACLE_PORT=port)
    listener.settimeout(5)
    for ask in (lambda: cluster.wait_for_chief(0.5), cluster.refuse_lost_chief):
        ask()
        connection, (ip, _) = listener.accept()  # fails if nobody asked
        connection.close()
        assert ip == "127.0.0.1"


@pytest.mark.parametrize("role", [Role.ALONE, Role.CHIEF])
def test_a_process_that_has_no_chief_looks_for_none(role, monkeypatch):
    if role is Role.CHIEF:
        become(monkeypatch, TUNER_ID="chief", ORACLE_IP="127.0.0.1", ORACLE_PORT="8000")
    assert cluster.role() is role
    asked = []
    monkeypatch.setattr(cluster, "answers", lambda ip, port: asked.append(port) or True)
    cluster.refuse_lost_chief()
    assert not asked
