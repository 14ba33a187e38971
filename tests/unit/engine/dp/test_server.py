"""The socket: who may have it, who is answered, and that nothing ends the thread."""

from __future__ import annotations

import contextlib
import io
import socket
import stat
import threading

import pytest

from pyctl.engine.dp.dispatch import Dispatcher
from pyctl.engine.dp.server import DpServer
from pyctl.engine.process import log
from pyctl.engine.process.engine import Engine
from pyctl.errors import RefusedError, SegctlError
from tests.lab.pace import wait_for
from tests.lab.segctl.dp import DpClient


@pytest.fixture
def dispatcher():
    with Engine(max_sessions=1024) as engine:
        yield Dispatcher(engine, log_level="warning")


@pytest.fixture
def heard(capsys):
    """What was logged since the last call; the log goes to the stderr that capsys put there."""
    told = []

    def read() -> str:
        if not told:
            log.configure("warning")
        told.append(capsys.readouterr().err)
        return told[-1]

    return read


@pytest.fixture
def path(tmp_path):
    return tmp_path / "dp.sock"


@pytest.fixture
def client(dispatcher, path):
    with DpServer(path, dispatcher):
        made = DpClient(path)
        yield made
        made.close()
    assert not path.exists()


def test_only_its_owner_may_send(client):
    assert stat.S_IMODE(client.path.stat().st_mode) == 0o600


def test_replies_come_to_the_address_of_the_asker(client):
    client.sync()
    other = DpClient(client.path)
    other.sync()
    other.close()
    assert client.silent()


@pytest.mark.parametrize("data", [b"", bytes(8192), bytes(9000), b"[" * 8192])
def test_nonsense_is_a_line_in_the_log(client, heard, data):
    heard()
    client.send_raw(data)
    client.sync()
    assert client.silent()
    lines = heard().splitlines()
    assert len(lines) == 1
    assert "dp request refused" in lines[0]
    assert len(lines[0]) < 400


def test_a_crash_in_a_request_is_told_and_survived(client, dispatcher, heard):
    heard()

    def crash(_):
        raise ZeroDivisionError

    kind = next(kind for kind in dispatcher._handlers if kind.__name__ == "GetDebug")
    dispatcher._handlers[kind] = crash
    client.send("ctrl_get_debug")
    client.sync()
    assert "dp request crashed" in heard()


def test_a_log_that_cannot_be_written_ends_nothing(client, capsys):
    """Its reader may be gone: `segctl engine 2>&1 | head`."""
    with io.StringIO() as closed, contextlib.redirect_stderr(closed):
        log.configure("warning")
    client.send_raw(b"")
    client.sync()
    log.configure("error")


def test_an_asker_without_an_address_or_gone_is_told_of_in_the_log(client, heard):
    heard()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
        nameless.sendto(b'{"ctrl_count_session": {}}', str(client.path))
    client.sync()
    assert "no address" in heard()
    gone = DpClient(client.path)
    gone.close()
    client.sync()


def test_a_reader_that_does_not_read_stops_nothing_for_long(client, monkeypatch, heard):
    heard()
    monkeypatch.setattr(
        "pyctl.engine.dp.replies.session_list",
        lambda _: (bytes(8) for _ in range(5000)),
    )
    lazy = DpClient(client.path)
    lazy.send("ctrl_list_session")
    client.sync()
    wait_for(lambda: "dp reply dropped" in heard())
    lazy.close()


def test_a_dead_ones_socket_is_taken_over(dispatcher, path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(path))
    with DpServer(path, dispatcher):
        pass


def test_another_ones_socket_in_its_place_is_left_there(dispatcher, path):
    """Somebody removed ours, and started a second engine."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        with DpServer(path, dispatcher):
            path.unlink()
            other.bind(str(path))
        assert path.exists()


def test_a_link_to_a_socket_is_left_alone(dispatcher, path):
    target = path.with_name("elsewhere.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(target))
    path.symlink_to(target)
    with pytest.raises(RefusedError):
        DpServer(path, dispatcher)
    assert path.is_symlink()
    assert target.exists()


def test_a_slow_listing_does_not_hold_up_the_end(dispatcher, path, monkeypatch):
    served = threading.Event()

    def endless(_):
        while True:
            served.set()
            yield bytes(8)

    monkeypatch.setattr("pyctl.engine.dp.replies.session_list", endless)
    with DpServer(path, dispatcher):
        client = DpClient(path)
        reader = threading.Thread(target=_read_all, args=(client,), daemon=True)
        reader.start()
        client.send("ctrl_list_session")
        assert served.wait(10)
    client.close()


def _read_all(client: DpClient) -> None:
    with contextlib.suppress(OSError):
        while True:
            client.receive()


def test_thousands_of_bad_datagrams_leave_nothing_behind(client, heard):
    heard()
    for number in range(3000):
        client.send_raw(b'{"ctrl_cfg_policy": {"mac": [%d' % number)
    client.sync()
    assert heard().count("dp request refused") == 3000
    assert client.silent()


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_live_ones_socket_is_left_alone(dispatcher, path, kind):
    with socket.socket(socket.AF_UNIX, kind) as alive:
        alive.bind(str(path))
        if kind == socket.SOCK_STREAM:
            alive.listen(1)
        with pytest.raises(RefusedError, match="Another process serves there"):
            DpServer(path, dispatcher)
        assert path.exists()


def test_what_is_no_socket_is_left_alone(dispatcher, path):
    path.write_text("mine")
    with pytest.raises(RefusedError):
        DpServer(path, dispatcher)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["nowhere/dp.sock", "a-file/dp.sock", "x" * 300, "x" * 120]
)
def test_a_path_that_cannot_be_bound_is_named(dispatcher, tmp_path, name):
    (tmp_path / "a-file").touch()
    with pytest.raises(SegctlError, match="serve the dp protocol at"):
        DpServer(tmp_path / name, dispatcher)
