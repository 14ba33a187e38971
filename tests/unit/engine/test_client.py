"""An engine that is away, silent or talks nonsense is unreachable, in bounded time."""

from __future__ import annotations

import socket
import threading

import pytest

from pyctl.engine.client import EngineClient
from pyctl.engine.protocol import Message, encode
from pyctl.errors import UnreachableError


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
