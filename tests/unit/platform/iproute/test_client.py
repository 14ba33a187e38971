"""What is pyroute2's is asked of the kernel, and answered by nobody else, in time, once and whole."""

from __future__ import annotations

import errno
import gc
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyctl.platform.iproute import client
from pyctl.platform.iproute.client import IprouteClient
from pyctl.platform.netlink import raw
from pyctl.platform.netlink.raw import NetlinkError, attr_text

LINK = 16
MULTI = 0x2
Answer = Callable[[int], list[bytes]]
"""From a question's sequence number to the datagrams that answer it."""


def message(kind: int, number: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, number, 0) + body


def refusal(number: int, code: int, words: str = "") -> bytes:
    request = struct.pack("=IHHII", 16, 18, 5, number, 0)
    said = attr_text(raw.NLMSGERR_ATTR_MSG, words) if words else b""
    flags = raw.NLM_F_CAPPED | (raw.NLM_F_ACK_TLVS if words else 0)
    return message(2, number, struct.pack("=i", -code) + request + said, flags)


def done(number: int, flags: int = 0) -> bytes:
    return message(3, number, struct.pack("=i", 0), MULTI | flags)


class Ours(socket.socket):
    """A socket pair's end that takes netlink's options."""

    def setsockopt(self, *_: object) -> None:
        pass


class Kernel:
    """The other end: it answers each question as the next of the script says."""

    def __init__(self) -> None:
        ours, self._end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ours = Ours(fileno=ours.detach())
        self.script: list[Answer] = []
        self.asked: list[bytes] = []
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self) -> None:
        while question := self._end.recv(1 << 16):
            self.asked.append(question)
            number = struct.unpack_from("=I", question, 8)[0]
            for datagram in self.script.pop(0)(number) if self.script else []:
                self._end.send(datagram)

    def end(self) -> None:
        self._end.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._end.close()


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    played = Kernel()
    monkeypatch.setattr(raw, "kernel_socket", lambda: played.ours)
    yield played
    played.end()


def test_the_bodies_come_back_as_the_kernel_wrote_them(kernel: Kernel) -> None:
    bodies = [b"\0" * 16, b"\xff" * 20, bytes(range(32))]
    kernel.script = [
        lambda n: [b"".join(message(LINK, n, one, MULTI) for one in bodies), done(n)]
    ]
    with IprouteClient() as ip:
        assert ip.ask("link", "dump") == bodies


def test_what_changes_something_has_no_answer_but_its_receipt(kernel: Kernel) -> None:
    kernel.script = [lambda n: [refusal(n, 0)]]
    with IprouteClient() as ip:
        assert ip.ask("link", "set", index=7, mtu=1400) == []
    assert struct.unpack_from("=H", kernel.asked[0], 4)[0] == LINK


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "Invalid argument"),
        ("Gateway is bad", "Invalid argument: Gateway is bad"),
    ],
)
def test_a_refusal_is_our_error_with_the_kernels_own_words(
    kernel: Kernel, words: str, told: str
) -> None:
    kernel.script = [lambda n: [refusal(n, errno.EINVAL, words)]]
    with IprouteClient() as ip, pytest.raises(NetlinkError) as caught:
        ip.ask("link", "set", index=7, mtu=1)
    assert caught.value.errno == errno.EINVAL
    assert caught.value.strerror == told


def test_who_does_not_answer_is_not_waited_for(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw, "ANSWER_SECONDS", 0.05)
    kernel.script = [
        lambda _: [],
        lambda n: [message(LINK, n, b"\0" * 16, MULTI)],  # and no end
        lambda n: [message(LINK, n - 1, b"late"), message(LINK, n, b"in time!")],
    ]
    with IprouteClient() as ip:
        for _ in range(2):
            with pytest.raises(NetlinkError, match="in time") as caught:
                ip.ask("link", "dump")
            assert caught.value.errno == errno.ETIMEDOUT
        # What comes late is nobody's answer.
        assert ip.ask("link", "get", index=7) == [b"in time!"]


def test_a_torn_dump_is_read_again_even_if_only_its_end_says_so(
    kernel: Kernel,
) -> None:
    def torn(number: int) -> list[bytes]:
        one = message(LINK, number, b"old body", MULTI)
        return [one, done(number, raw.NLM_F_DUMP_INTR)]

    kernel.script = [
        torn,
        lambda n: [message(LINK, n, b"old", MULTI | raw.NLM_F_DUMP_INTR), done(n)],
        lambda n: [message(LINK, n, b"new body", MULTI), done(n)],
    ]
    with IprouteClient() as ip:
        assert ip.ask("link", "dump") == [b"new body"]


def test_a_table_that_never_rests_is_read_all_the_same(kernel: Kernel) -> None:
    def torn(number: int) -> list[bytes]:
        ones = (message(LINK, number, body, MULTI) for body in (b"one!", b"two!") * 2)
        return [*ones, done(number, raw.NLM_F_DUMP_INTR)]

    kernel.script = [torn] * (raw.DUMP_TRIES + 1)
    with IprouteClient() as ip:
        assert ip.ask("link", "dump") == [b"one!", b"two!"]
    assert len(kernel.asked) == raw.DUMP_TRIES


def test_who_is_not_the_kernel_is_not_heard(kernel: Kernel) -> None:
    heard = []
    with IprouteClient() as ip:
        queue = ip._ip.msg_queue
        queue.put_nowait = lambda tag, data: heard.append(data)
        ip._ip.enqueue(message(LINK, 255, b"forged"), (4711, 0))
        ip._ip.enqueue(message(LINK, 255, b"true"), (raw.KERNEL, 0))
        del queue.put_nowait
    assert [data[16:] for data in heard] == [b"true"]


def test_another_thread_gets_no_socket_of_its_own(kernel: Kernel) -> None:
    """It may stand in another namespace."""
    raised: list[BaseException] = []

    def elsewhere(ip: IprouteClient) -> None:
        try:
            ip.ask("link", "dump")
        except RuntimeError as error:
            raised.append(error)

    with IprouteClient() as ip:
        thread = threading.Thread(target=elsewhere, args=(ip,))
        thread.start()
        thread.join()
    assert raised
    assert kernel.asked == []


def test_a_question_that_a_signal_broke_off_is_given_up(
    kernel: Kernel, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupted)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with IprouteClient() as ip, pytest.raises(KeyboardInterrupt):
            ip.ask("link", "dump")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    gc.collect()
    # asyncio would tell of a task that was destroyed while it waited.
    assert caplog.messages == []


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_nothing_is_left_of_five_hundred_clients() -> None:
    """Of the real kernel, which tells anybody about lo."""
    before, threads = descriptors(), threading.active_count()
    for _ in range(500):
        with IprouteClient() as ip:
            assert ip.ask("link", "get", index=1)
        ip.close()
    assert descriptors() == before
    assert threading.active_count() == threads


def test_nothing_is_left_of_one_that_could_not_be_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused() -> socket.socket:
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(raw, "kernel_socket", refused)
    before = descriptors()
    with pytest.raises(OSError, match="too many"):
        IprouteClient()
    assert descriptors() == before


def test_a_client_lives_in_the_namespace_it_was_opened_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entered: list[int] = []

    class Entered:
        def __init__(self, fd: int) -> None:
            entered.append(fd)

        def __enter__(self) -> None:
            entered.append(-1)

        def __exit__(self, *_: object) -> None:
            entered.append(-2)

    class Opened:
        def __init__(self) -> None:
            entered.append(0)

    monkeypatch.setattr(client, "entered", Entered)
    monkeypatch.setattr(client, "IprouteClient", Opened)
    client.iproute_in(9)
    assert entered == [9, -1, 0, -2]
