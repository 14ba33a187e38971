"""The ports on which a process's namespace listens; none where nobody can tell."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

import pytest

from pyctl.errors import NotFoundError, SegctlError
from pyctl.model.workload import ProcessRef
from pyctl.platform.sockets import listeners
from pyctl.platform.sockets.tcp import LISTEN

PROCESS = ProcessRef(100, 1, (4, 5))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was entered and asked for, in order."""
    done: list[object] = []

    @contextlib.contextmanager
    def netns_of(process: ProcessRef) -> Iterator[int]:
        done.append(process)
        yield 9

    @contextlib.contextmanager
    def entered(fd: int) -> Iterator[None]:
        done.append(fd)
        yield
        done.append("left")

    def tcp_ports(states: int) -> list[tuple[int, int]]:
        done.append(states)
        return [(443, 0), (22, 0), (443, 0)]

    monkeypatch.setattr(listeners, "netns_of", netns_of)
    monkeypatch.setattr(listeners, "entered", entered)
    monkeypatch.setattr(listeners, "tcp_ports", tcp_ports)
    return done


def test_both_families_are_told_once_and_in_order(asked: list[object]) -> None:
    assert listeners.listening_ports(PROCESS) == (22, 443)
    assert asked == [PROCESS, 9, LISTEN, "left"]


@pytest.mark.parametrize(
    "error",
    [NotFoundError("gone"), SegctlError("cannot be told"), OSError(errno.EPERM, "no")],
)
def test_who_cannot_be_asked_listens_nowhere(
    asked: list[object], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refused(_: int) -> list[tuple[int, int]]:
        raise error

    monkeypatch.setattr(listeners, "tcp_ports", refused)
    assert listeners.listening_ports(PROCESS) == ()
    assert asked[0] == PROCESS
