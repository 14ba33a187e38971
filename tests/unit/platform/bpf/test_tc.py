"""Programs on the hooks: read from any filter, set and removed alike by pyroute2 and in one write."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import struct
from pathlib import Path
from typing import Any

import pytest
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from pyctl.errors import NotCapableError, NotFoundError
from pyctl.platform.bpf import tc
from pyctl.platform.bpf.tc import BpfHooks, programs, remove_message, set_message
from pyctl.platform.iproute.client import _Socket
from pyctl.platform.netlink import links
from pyctl.platform.netlink.raw import (
    Message,
    NetlinkError,
    attr,
    attr_text,
    attr_u32,
    attrs,
    nest,
)
from pyctl.platform.tc.filters import Filter
from pyctl.platform.tc.messages import (
    TC_H_EGRESS_HOOK,
    TC_H_INGRESS_HOOK,
    TCA_KIND,
    TCA_OPTIONS,
    TCMSG,
)

PRIORITY = 10001


class Client:
    """A pyroute2 client that encodes what it is asked, sends nothing and answers as told."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, ...]] = []
        self.encoded: list[bytes] = []
        self.answer: list[bytes] | int = []

    def ask(self, what: str, *words: Any, **parts: Any) -> list[bytes]:
        self.sent.append((what, *map(str, words)))
        if words[0].endswith("-filter") and words[0] != "dump-filter":
            self.encoded.append(encoded(*words, **parts))
        if isinstance(self.answer, int):
            raise NetlinkError(self.answer, "refused")
        return self.answer

    def close(self) -> None:
        self.sent.append(("close",))


def encoded(command: str, *words: Any, **parts: Any) -> bytes:
    """The message that pyroute2 would send, header and all."""
    made: list[bytes] = []

    class Dry(_Socket):
        def send(self, data: bytes, _flags: int = 0) -> int:
            made.append(bytes(data))
            raise BrokenPipeError

    async def ask() -> None:
        ip = Dry(use_event_loop=asyncio.get_running_loop())
        with contextlib.suppress(BrokenPipeError):
            await ip.tc(command, *words, **parts)
        ip.close()

    asyncio.run(ask())
    return made[0]


def shape(kind: int, flags: int, body: bytes) -> Any:
    """A message as what it means: attributes of any order and padding."""
    found = attrs(body[TCMSG.size :])
    options = attrs(found.pop(TCA_OPTIONS, b""))
    return kind, flags & ~0x5, TCMSG.unpack_from(body), found, options


def of_ours(message: Message) -> Any:
    return shape(message.kind, message.flags, message.body)


def of_pyroute2(data: bytes) -> Any:
    _length, kind, flags = struct.unpack_from("=IHH", data)
    return shape(kind, flags, data[16:])


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client()
    monkeypatch.setattr(tc, "iproute_at", lambda _: made)
    return made


@pytest.mark.parametrize("side", [TC_H_INGRESS_HOOK, TC_H_EGRESS_HOOK])
def test_one_write_says_what_pyroute2_says(client: Client, side: int) -> None:
    with BpfHooks(Path("own")) as hooks:
        hooks.set_program(5, PRIORITY, 9, "seg_from_vex", side)
        hooks.remove_program(5, PRIORITY, side)
    set_, removed = map(of_pyroute2, client.encoded)
    assert of_ours(set_message(5, PRIORITY, 9, "seg_from_vex", side)) == set_
    removed_by_us = of_ours(remove_message(5, PRIORITY, side))
    # pyroute2 names options for a removal too, of which the kernel reads none.
    assert removed_by_us[:4] == removed[:4]
    assert client.sent[-1] == ("close",)


def test_a_refused_program_says_what_was_tried(client: Client) -> None:
    client.answer = errno.ENOENT
    with (
        BpfHooks(Path("own")) as hooks,
        pytest.raises(NotCapableError, match="attaching seg_x to interface 5"),
    ):
        hooks.set_program(5, PRIORITY, 9, "seg_x")
    client.answer = errno.ENODEV
    with BpfHooks(Path("own")) as hooks, pytest.raises(NotFoundError):
        hooks.set_program(5, PRIORITY, 9, "seg_x")


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENOENT, errno.EINVAL])
def test_what_is_gone_is_removed(client: Client, number: int) -> None:
    client.answer = number
    with BpfHooks(Path("own")) as hooks:
        hooks.remove_program(5, PRIORITY)


def test_the_hooks_are_asked_through_pyroute2(client: Client) -> None:
    with BpfHooks(Path("own")) as hooks:
        hooks.add_clsact(5)
        client.answer = [links.ifinfo(5) + attr_text(links.IFLA_IFNAME, "vex1")]
        assert hooks.name_of(5) == "vex1"
        client.answer = []
        hooks.remove_clsact_if_empty(5)
        assert not hooks.has_clsact(5)
    assert client.sent == [
        ("tc", "add", "clsact", "5"),
        ("link", "get"),
        ("tc", "dump-filter"),
        ("tc", "dump-filter"),
        ("tc", "del", "clsact", "5"),
        ("tc", "dump"),
        ("close",),
    ]


def held(pref: int, kind: str, handle: int, *options: bytes) -> Filter:
    body = TCMSG.pack(0, 5, handle, TC_H_INGRESS_HOOK, pref << 16 | 3)
    body += attr_text(TCA_KIND, kind) + nest(TCA_OPTIONS, *options)
    return Filter(pref, kind, body)


def test_programs_are_told_from_what_else_is_on_a_hook() -> None:
    options = (
        attr_text(tc.TCA_BPF_NAME, "seg_from_vex"),
        attr_u32(tc.TCA_BPF_FLAGS, tc.TCA_BPF_FLAG_ACT_DIRECT),
        attr_u32(tc.TCA_BPF_ID, 70),
        attr(tc.TCA_BPF_TAG, bytes.fromhex("0102030405060708")),
    )
    found = programs(
        [
            held(PRIORITY, "bpf", 1, *options),
            held(PRIORITY, "bpf", 0),
            held(7, "u32", 0x80000800),
            held(3, "bpf", 2),
        ]
    )
    assert [(one.priority, one.handle) for one in found] == [(3, 2), (PRIORITY, 1)]
    assert found[1] == tc.BpfFilter(
        PRIORITY, 1, "seg_from_vex", 70, "0102030405060708", direct_action=True
    )
    assert not found[0].direct_action


def test_pyroute2_knows_the_attributes_by_our_numbers() -> None:
    kinds = dict(enumerate(name for name, _ in tcmsg.nla_map))
    assert kinds[TCA_KIND] == "TCA_KIND"
    assert kinds[TCA_OPTIONS] == "TCA_OPTIONS"
