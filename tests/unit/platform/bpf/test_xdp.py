"""XDP programs go in every mode, and from links that hold them."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import pytest

from pyctl.platform.bpf import xdp
from pyctl.platform.netlink import links
from pyctl.platform.netlink.raw import (
    Message,
    NetlinkError,
    RawNetlink,
    attr_u32,
    attrs,
    nest,
    u32,
)

ETH0 = links.parse(links.ifinfo(7))


class Socket:
    """An interface that a link holds a program on, and netlink another."""

    def __init__(self) -> None:
        self.programs = {xdp.XDP_FLAGS_SKB_MODE: 70, xdp.XDP_FLAGS_DRV_MODE: 71}
        self.held = 71

    def batch(self, messages: Iterable[Message]) -> list[NetlinkError | None]:
        answers: list[NetlinkError | None] = []
        for message in messages:
            assert message.kind == links.RTM_SETLINK
            wish = attrs(attrs(message.body[16:])[links.IFLA_XDP])
            assert wish[xdp.IFLA_XDP_FD] == b"\xff" * 4
            mode = u32(wish[xdp.IFLA_XDP_FLAGS])
            if self.programs.get(mode) == self.held:
                answers.append(NetlinkError(errno.EBUSY, "a link holds it"))
            else:
                self.programs.pop(mode, None)
                answers.append(None)
        return answers

    def get(self, _kind: int, _body: bytes) -> bytes:
        first, *_ = links.IFLA_XDP_PROGRAMS
        ids = (
            attr_u32(first + at, program)
            for at, program in enumerate(self.programs.values())
        )
        return links.ifinfo(7) + nest(links.IFLA_XDP, *ids)

    def detach(self, kind: int, ifindex: int, programs: frozenset[int]) -> None:
        assert (kind, ifindex) == (xdp.bpf_links.BPF_LINK_TYPE_XDP, 7)
        kept = {mode: one for mode, one in self.programs.items() if one not in programs}
        self.programs = kept


def test_both_ways_are_gone_and_again_none(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Socket()
    monkeypatch.setattr(xdp.bpf_links, "detach", there.detach)
    assert xdp.take_off(cast("RawNetlink", there), ETH0)
    assert there.programs == {}
    assert xdp.take_off(cast("RawNetlink", there), replace(ETH0, xdp=False))


def test_what_a_link_keeps_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Socket()
    monkeypatch.setattr(xdp.bpf_links, "detach", lambda *_: None)
    assert not xdp.take_off(cast("RawNetlink", there), ETH0)
    assert set(there.programs.values()) == {71}
