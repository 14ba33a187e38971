"""An engine that is away, silent or talks nonsense is unreachable, in bounded time."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from pyctl.engine._binding import pack_array
from pyctl.engine.client import _PAGE, EngineClient
from pyctl.engine.protocol import Message, encode
from pyctl.errors import UnreachableError

HELLO = {"ok": True, "version": "1", "abi": "", "wire": "", "stats": {}}


def peer(tmp_path, *answers):
    """A socket path behind which each connection gets one of the answers, then the end."""
    path = tmp_path / "peer.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve():
        with listener:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return path


def test_no_socket_is_unreachable(tmp_path):
    with pytest.raises(UnreachableError, match="hello"):
        EngineClient(tmp_path / "none").hello()


def test_silence_is_unreachable_after_the_timeout(tmp_path):
    path = tmp_path / "silent.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(UnreachableError, match="timed out"):
            EngineClient(path, timeout=0.05).hello()


def test_a_closed_connection_is_unreachable_and_opened_again(tmp_path):
    path = peer(tmp_path, b"", encode(Message({"ok": True})))
    client = EngineClient(path)
    with pytest.raises(UnreachableError, match="closed"):
        client.sync()
    client.sync()
    client.close()


def test_nonsense_is_unreachable(tmp_path):
    client = EngineClient(peer(tmp_path, b"nonsense"))
    with pytest.raises(UnreachableError):
        client.sync()


def test_a_question_that_a_signal_broke_off_leaves_no_answer_behind(
    tmp_path, interrupt
):
    """It came late, and was the next question's: an agent told to end while it started left all behind."""
    path = tmp_path / "late.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.settimeout(10)
    listener.bind(str(path))
    listener.listen()
    broken = threading.Event()

    def serve():
        with listener, listener.accept()[0] as first:
            first.recv(1 << 16)
            interrupt()
            broken.wait(10)
            with contextlib.suppress(OSError):
                first.sendall(encode(Message(HELLO | {"pid": 1})))
            with contextlib.suppress(OSError), listener.accept()[0] as second:
                second.recv(1 << 16)
                second.sendall(encode(Message(HELLO | {"pid": 2})))

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    client = EngineClient(path)
    with pytest.raises(KeyboardInterrupt):
        client.hello()
    broken.set()
    assert client.hello()["pid"] == 2
    client.close()
    server.join(10)


class Counting(EngineClient):
    """An engine that has two pages of hits, and counts on while they are read."""

    def __init__(self, tmp_path):
        super().__init__(tmp_path / "none")
        self.asked = []

    def _ask(self, op, blob=b"", fds=(), **fields):
        self.asked.append((op, fields["after"], fields["cursor"]))
        first = fields["cursor"] == 0
        body = {"epoch": 2, "serial": 8 + len(self.asked), "cursor": 1 if first else 0}
        row = (7, 1, 5, 9) if first else (8, 2, 6, 10)
        return body, pack_array("sg_hit", [row]), ()


def test_hits_are_read_to_the_last_page_and_what_changed_meanwhile_is_left(tmp_path):
    client = Counting(tmp_path)
    found = client.hits(2, after=4)
    assert [(one.key, one.hits) for one in found.hits] == [(7, 1), (8, 2)]
    assert (found.epoch, found.serial) == (2, 9)
    assert client.asked == [("hits", 4, 0), ("hits", 4, 1)]


def test_hits_of_another_counting_are_all_read(tmp_path):
    """Another one's serial number says nothing."""
    client = Counting(tmp_path)
    found = client.hits(1, after=4)
    assert [one.key for one in found.hits] == [7, 8]
    assert client.asked == [("hits", 4, 0), ("hits", 0, 0), ("hits", 0, 1)]


class Sessions(EngineClient):
    """An engine with many sessions and names, in pages as long as asked for."""

    def __init__(self, tmp_path, held: int):
        super().__init__(tmp_path / "none")
        self.held, self.asked = held, []

    def _ask(self, op, blob=b"", fds=(), **fields):
        assert fields["port_id"] == 300
        self.asked.append(fields["limit"])
        first = fields["cursor"]
        count = min(fields["limit"], self.held - first)
        after = first + count if first + count < self.held else 0
        struct = {"sessions": "sg_session_info", "names": "sg_name_record"}[op]
        return {"cursor": after}, pack_array(struct, [{}] * count), ()


@pytest.mark.parametrize("limit", [1, _PAGE, _PAGE + 1, 3 * _PAGE])
def test_as_many_sessions_are_read_as_asked_for_and_there_are(tmp_path, limit):
    held = 2 * _PAGE + 5
    client = Sessions(tmp_path, held)
    assert len(client.sessions(300, limit)) == min(limit, held)
    assert len(client.names(300, limit)) == min(limit, held)
    assert sum(client.asked) >= min(limit, held)
    assert max(client.asked) <= _PAGE


def test_sessions_are_counted_to_the_last(tmp_path):
    assert Sessions(tmp_path, 2 * _PAGE + 5).session_count(300) == 2 * _PAGE + 5
    assert Sessions(tmp_path, 0).session_count(300) == 0
