"""The control socket: hostile or broken clients harm neither the engine nor the next client."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pyctl.engine.client import EngineClient
from pyctl.engine.process.server import MOST_CLIENTS
from pyctl.engine.protocol import HEAD, MAGIC, MAX_BLOB, Decoder
from pyctl.errors import SegctlError, UnreachableError, UsageError
from tests.lab.pace import wait_for

PROGRAM = """
import sys
from pathlib import Path
from pyctl.engine.process import log
from pyctl.engine.process.engine import Engine
from pyctl.engine.process.requests import Requests
from pyctl.engine.process.server import Server
from pyctl.model.instance import Instance
log.configure("debug")
with Engine() as engine:
    Server(Path(sys.argv[1]), Requests(engine, Instance("segt-unit"))).serve()
"""


@pytest.fixture
def server(tmp_path):
    """(socket path, process) of a server without rings."""
    path = tmp_path / "engine.sock"
    root = Path(__file__).resolve().parents[4]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path)], cwd=root, stderr=log
        ) as process,
    ):
        wait_for(path.exists, 10)
        try:
            yield path, process
        finally:
            process.kill()


@pytest.fixture
def client(server):
    made = EngineClient(server[0])
    wait_for(lambda: answers(made), 10)
    yield made
    made.close()


def answers(client):
    try:
        return client.hello()["pid"]
    except UnreachableError:
        return 0


@pytest.fixture
def log(server):
    """What the server logged since the last call."""
    with (server[0].parent / "log").open() as told:
        yield lambda: [json.loads(line) for line in told]


def raw(path, data, fds=()):
    """What the server answers to these bytes until it closes or two seconds pass."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        connection.connect(str(path))
        socket.send_fds(connection, [data], list(fds))
        decoder = Decoder()
        while piece := connection.recv(1 << 16):
            if messages := decoder.feed(piece):
                return messages[0].body
    return None


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        HEAD.pack(MAGIC, 2, MAX_BLOB + 1),
        HEAD.pack(MAGIC, 3, 0) + b"[1]",
        HEAD.pack(MAGIC, 4, 0) + b"{]}x",
    ],
    ids=["http", "too large", "no object", "no json"],
)
def test_what_is_no_message_is_answered_with_an_error(client, server, data):
    assert raw(server[0], data)["ok"] is False
    assert client.hello()["pid"] == server[1].pid


def test_descriptors_claimed_but_not_sent_are_an_error(client, server):
    text = json.dumps({"op": "rings_set", "fds": 4}).encode()
    answer = raw(server[0], HEAD.pack(MAGIC, len(text), 0) + text)
    assert "claims 4 descriptors" in answer["error"]["tried"]
    assert answers(client)


def test_descriptors_sent_but_not_claimed_do_not_stay_open(client, server):
    text = json.dumps({"op": "hello"}).encode()
    held = Path(f"/proc/{server[1].pid}/fd")
    before = len(list(held.iterdir()))
    for _ in range(20):
        raw(server[0], HEAD.pack(MAGIC, len(text), 0) + text, fds=(0, 1, 2))
    assert answers(client)
    wait_for(lambda: len(list(held.iterdir())) <= before)


def test_a_client_that_leaves_in_the_middle_harms_nobody(client, server):
    with socket.socket(socket.AF_UNIX) as half:
        half.connect(str(server[0]))
        half.sendall(HEAD.pack(MAGIC, 100, 100) + b"{")
        assert answers(client)
    assert answers(client)


def test_the_longest_silent_of_many_clients_makes_room(client, server):
    held = []
    for _ in range(MOST_CLIENTS + 8):
        held.append(socket.socket(socket.AF_UNIX))
        held[-1].connect(str(server[0]))
        held[-1].settimeout(10)
        held[-1].sendall(HEAD.pack(MAGIC, 99, 0))
    assert held[0].recv(1) == b""
    wait_for(lambda: answers(client) == server[1].pid)
    for one in held:
        one.close()


def test_the_socket_is_for_its_owner_alone(server):
    assert server[0].stat().st_mode & 0o777 == 0o600


def test_an_error_of_the_engine_comes_back_as_its_class(client, log):
    with pytest.raises(UsageError):
        client.log_level("loud")
    (told,) = (one for one in log() if one["event"] == "request failed")
    assert told["op"] == "log_level"
    assert "'loud' is no log level" in told["error"]
    with pytest.raises(SegctlError):
        client.port_delete(0)


def test_sigterm_ends_it_cleanly_and_takes_the_socket_away(client, server):
    path, process = server
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    assert not path.exists()


def test_stop_is_answered_before_it_ends(client, server):
    client.stop()
    assert server[1].wait(5) == 0
    with pytest.raises(UnreachableError):
        client.hello()


def test_events_and_sessions_of_an_idle_engine_are_empty(client):
    assert client.events().events == []
    assert client.sessions() == []
    assert client.counters(0) == {}
    assert client.take_rings() is None


def test_debug_logs_can_be_switched_on_while_it_runs(client, server, log):
    heard = []

    def reset() -> bool:
        """Close a client that has not read its answer; whether anything was ever said of one."""
        text = json.dumps({"op": "hello"}).encode()
        with socket.socket(socket.AF_UNIX) as gone:
            gone.connect(str(server[0]))
            gone.sendall(HEAD.pack(MAGIC, len(text), 0) + text)
            gone.recv(1, socket.MSG_PEEK)
        assert answers(client)
        heard.extend(one["event"] for one in log() if one["level"] == "debug")
        return bool(heard)

    client.log_level("info")
    assert not any(reset() for _ in range(3))
    client.log_level("debug")
    wait_for(reset, 10)
    assert set(heard) == {"client gone"}


def test_a_stranger_is_refused(client, server, log):
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    server[0].chmod(0o666)
    for folder in list(server[0].parents)[:-2]:
        folder.chmod(0o755)
    script = (
        "import os,socket,sys;os.setuid(65534);s=socket.socket(socket.AF_UNIX);"
        "s.connect(sys.argv[1]);print(s.recv(10))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(server[0])],
        check=False,
        timeout=10,
        capture_output=True,
        text=True,
    )
    # Refused by closing: it sends nothing, so that no reset can come in its place.
    assert (done.returncode, done.stdout, done.stderr) == (0, "b''\n", "")
    (told,) = (one for one in log() if one["event"] == "stranger refused")
    assert told["uid"] == 65534
    assert answers(client)
