"""Sets of rules go out in one write, and what is refused of them is told or, where it is gone, forgiven."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pyctl.errors import NotFoundError, SegctlError
from pyctl.platform.netlink import links
from pyctl.platform.netlink.raw import Message, NetlinkError, attr_text
from pyctl.platform.tc import messages, rule_sets
from pyctl.platform.tc.messages import TC_H_INGRESS_HOOK
from pyctl.platform.tc.rule_sets import RuleSets
from tests.unit.platform.tc.kernel import filter_body

RULES = [Message(44, bytes([at])) for at in range(3)]


class Socket:
    """A RawNetlink that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.writes: list[list[Message]] = []
        self.refuse: dict[int, int] = {}
        self.closed = False

    def request(self, kind: int, body: bytes, flags: int = 0) -> None:
        self.sent.append((kind, body, flags))

    def get(self, kind: int, body: bytes) -> bytes:
        self.sent.append((kind, body[:16]))
        return links.ifinfo(5) + attr_text(links.IFLA_IFNAME, "vex1")

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        self.sent.append((kind, body))
        return [filter_body(5, 10)] if kind == messages.RTM_GETTFILTER else []

    def batch(self, sent: Iterable[Message]) -> list[NetlinkError | None]:
        self.writes.append(list(sent))
        return [
            NetlinkError(self.refuse[at], "refused") if at in self.refuse else None
            for at in range(len(self.writes[-1]))
        ]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def socket(monkeypatch: pytest.MonkeyPatch) -> Socket:
    made = Socket()
    monkeypatch.setattr(rule_sets, "RawNetlink", lambda: made)
    return made


def test_a_set_is_one_write(socket: Socket) -> None:
    with RuleSets() as tc:
        tc.send("installing rules", RULES)
        tc.try_each("removing rules", RULES[:2])
    assert socket.writes == [RULES, RULES[:2]]
    assert socket.closed


def test_a_refused_rule_is_told(socket: Socket) -> None:
    socket.refuse = {1: errno.ENODEV}
    with RuleSets() as tc, pytest.raises(NotFoundError, match="installing rules"):
        tc.send("installing rules", RULES)


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENOENT, errno.EINVAL])
def test_what_is_gone_is_removed_and_the_rest_too(socket: Socket, number: int) -> None:
    socket.refuse = {0: number, 2: number}
    with RuleSets() as tc:
        tc.try_each("removing rules", RULES)
    socket.refuse[1] = errno.EBUSY
    with RuleSets() as tc, pytest.raises(SegctlError, match="removing rules"):
        tc.try_each("removing rules", RULES)


def test_each_question_is_the_kernels_own(socket: Socket) -> None:
    with RuleSets() as tc:
        assert tc.add_clsact(5)
        assert tc.name_of(5) == "vex1"
        assert not tc.has_clsact(5)
        assert [one.pref for one in tc.filters(5, 10)] == [10]
        tc._remove_clsact(5)
    clsact = messages.clsact(5)
    assert socket.sent == [
        (messages.RTM_NEWQDISC, clsact, 0x600),
        (links.RTM_GETLINK, links.ifinfo(5)),
        (messages.RTM_GETQDISC, messages.qdiscs_of(0)),
        (
            messages.RTM_GETTFILTER,
            messages.on_hook(5, TC_H_INGRESS_HOOK, 10 << 16),
        ),
        (messages.RTM_DELQDISC, clsact, 0),
    ]


def test_a_namespace_that_is_gone_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        RuleSets(tmp_path / "gone")
