"""pyroute2 on a kernel that is played: what it encodes goes to the namespace's messages, as from the raw client."""

from __future__ import annotations

import socket
import struct
from typing import Any

from pyctl.platform.iproute import client
from pyctl.platform.netlink import l3, links, raw
from pyctl.platform.netlink.raw import NetlinkError, attr_text
from tests.unit.intercept.rtnetlink import Messages, Socket

MULTI = 0x2


def _message(kind: int, number: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, number, 0) + body


class PlayedSocket(client._Socket):
    """A pyroute2 socket in the namespace that the thread stands in when it is made."""

    def __init__(self, kernel: Messages, **how: Any) -> None:
        super().__init__(**how)
        self._kernel = Socket(kernel, kernel.here)

    def setup_socket(self) -> socket.socket:
        # asyncio wants one to wait for; nothing goes through it.
        mine, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        return mine

    def close(self, *how: Any) -> None:
        super().close(*how)
        self._far.close()

    def send(self, data: bytes, _flags: int = 0) -> int:
        number = struct.unpack_from("=I", data, 8)[0]
        try:
            answers = self._answers(bytes(data), number)
        except NetlinkError as error:
            told = struct.pack("=i", -(error.errno or 0)) + bytes(data[:16])
            told += attr_text(raw.NLMSGERR_ATTR_MSG, error.strerror or "")
            flags = raw.NLM_F_CAPPED | raw.NLM_F_ACK_TLVS
            answers = _message(raw.NLMSG_ERROR, number, told, flags)
        self.enqueue(answers, (raw.KERNEL, 0))
        return len(data)

    def _answers(self, data: bytes, number: int) -> bytes:
        _length, kind, flags = struct.unpack_from("=IHH", data)
        body = data[16:]
        if flags & raw.NLM_F_DUMP == raw.NLM_F_DUMP:
            of_one = kind == l3.RTM_GETADDR and struct.unpack_from("=i", body, 4)[0]
            ask = self._kernel.filtered if of_one else self._kernel.dump
            each = (_message(kind - 2, number, one, MULTI) for one in ask(kind, body))
            done = _message(raw.NLMSG_DONE, number, bytes(4), MULTI)
            return b"".join(each) + done
        if kind == links.RTM_GETLINK:
            return _message(links.RTM_NEWLINK, number, self._kernel.get(kind, body))
        if kind == links.RTM_NEWLINK and not flags & raw.NLM_F_CREATE:
            kind = links.RTM_SETLINK
        self._kernel.request(kind, body, flags)
        return _message(raw.NLMSG_ERROR, number, bytes(20))
