"""What the kernel can do, tried in namespaces that end with this process.

In: nothing. Out: {capability: [state, detail]} as JSON on stdout. I/O: unshare, rtnetlink, bpf(2),
packet sockets, all inside namespaces of its own; a user namespace where it is not root.
It is a program (`python -m pyctl.platform.probe_scratch`), since nobody can leave a user namespace
again. Whether a classifier or an action exists is asked by naming it without options: the kernel
answers ENOENT for what it does not have (after trying to load the module) and anything else for
what it has.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import struct
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pyctl.errors import NotPermittedError, SegctlError
from pyctl.platform.bpf import commands as bpf
from pyctl.platform.bpf import fs as bpf_fs
from pyctl.platform.netlink import links
from pyctl.platform.netlink.raw import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NetlinkError,
    RawNetlink,
    attr_text,
    attr_u32,
    nest,
)
from pyctl.platform.tc.messages import (
    RTM_NEWQDISC,
    RTM_NEWTFILTER,
    TC_H_INGRESS_HOOK,
    TCA_KIND,
    clsact,
    on_hook,
)

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
RTM_NEWLINK, RTM_NEWACTION = 16, 48
IFLA_LINK, IFLA_LINKINFO, IFLA_INFO_KIND = 5, 18, 1
TCA_ACT_TAB, TCA_ACT_KIND = 1, 1
SOL_PACKET, PACKET_VNET_HDR = 263, 15
BPF_PROG_LOAD, BPF_PROG_TYPE_SCHED_CLS = 5, 3
BPF_FUNC_REDIRECT_PEER = 155

_INDEX = 424242

Found = tuple[str, str]
"""(`ok`, `missing` or `unknown`; what was seen)."""

_libc = ctypes.CDLL(None, use_errno=True)


def _call(result: int, what: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def enter_scratch() -> None:
    """Enter network and mount namespaces of our own; OSError if that is refused."""
    flags = CLONE_NEWNET | CLONE_NEWNS
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        flags |= CLONE_NEWUSER
    _call(_libc.unshare(flags), "unshare")
    if uid != 0:
        me = Path("/proc/self")
        (me / "setgroups").write_text("deny", encoding="ascii")
        (me / "uid_map").write_text(f"0 {uid} 1", encoding="ascii")
        (me / "gid_map").write_text(f"0 {gid} 1", encoding="ascii")
    _call(
        _libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None),
        "making mounts private",
    )


def _veth(nl: RawNetlink) -> int:
    links.add_veth(nl, links.VethEnd("probe0"), links.VethEnd("probe1"))
    return socket.if_nametoindex("probe0")


def _macvlan(nl: RawNetlink, lower: int) -> Found:
    body = links.ifinfo() + attr_u32(IFLA_LINK, lower)
    body += nest(IFLA_LINKINFO, attr_text(IFLA_INFO_KIND, "macvlan"))
    nl.request(RTM_NEWLINK, body, NLM_F_CREATE | NLM_F_EXCL)
    return "ok", "made one"


def _new_ifindex(nl: RawNetlink) -> Found:
    """Move an interface to another namespace under an index of our choice, and check the index there."""
    index = socket.if_nametoindex("probe1")
    here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    _call(_libc.unshare(CLONE_NEWNET), "unshare")
    there = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        message = links.set_message(index, netns_fd=there, new_index=_INDEX)
        nl.request(message.kind, message.body)
        found = socket.if_nametoindex("probe1")
    finally:
        _call(_libc.setns(here, CLONE_NEWNET), "setns")
        os.close(here)
        os.close(there)
    if found == _INDEX:
        return "ok", "a moved interface took the index it was given"
    return "missing", "a moved interface got an index of the kernel's choice"


def _clsact(nl: RawNetlink, index: int) -> Found:
    nl.request(RTM_NEWQDISC, clsact(index), NLM_F_CREATE | NLM_F_EXCL)
    return "ok", "added one"


def _classifier(nl: RawNetlink, index: int, kind: str) -> Found:
    everything = socket.htons(0x0003)  # ETH_P_ALL
    body = on_hook(index, TC_H_INGRESS_HOOK, 1 << 16 | everything)
    body += attr_text(TCA_KIND, kind)
    return _named(nl, RTM_NEWTFILTER, body)


def _action(nl: RawNetlink, kind: str) -> Found:
    body = b"\0" * 4 + nest(TCA_ACT_TAB, nest(1, attr_text(TCA_ACT_KIND, kind)))
    return _named(nl, RTM_NEWACTION, body)


def _named(nl: RawNetlink, message: int, body: bytes) -> Found:
    """Return ok if the kernel knows what the message names; raise if it lacks it or refuses to tell."""
    try:
        nl.request(message, body, NLM_F_CREATE | NLM_F_EXCL)
    except NetlinkError as error:
        if error.errno in {errno.EPERM, errno.EACCES, errno.ENOENT}:
            raise
        return "ok", "the kernel knows it"
    return "ok", "the kernel knows it"


def _vnet_header() -> Found:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    return "ok", "a packet socket took the option"


def _instruction(code: int, register: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("=BBhi", code, register, 0, immediate)


def load_program(*instructions: bytes) -> Found:
    """Load and drop a tc program; SegctlError if the kernel refuses it."""
    code = ctypes.create_string_buffer(b"".join(instructions))
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "=IIQQ",
        BPF_PROG_TYPE_SCHED_CLS,
        len(instructions),
        ctypes.addressof(code),
        ctypes.addressof(licence),
    )
    fd, _ = bpf.syscall(BPF_PROG_LOAD, attributes, "loading a program")
    os.close(fd)
    return "ok", "loaded one"


def _trivial_program() -> Found:
    return load_program(_instruction(0xB7), _instruction(0x95))  # r0 = 0; exit


def _redirect_peer() -> Found:
    found = load_program(
        _instruction(0xB7, 1, 1),  # r1 = ifindex
        _instruction(0xB7, 2, 0),  # r2 = flags
        _instruction(0x85, 0, BPF_FUNC_REDIRECT_PEER),
        _instruction(0x95),
    )
    return found[0], "loaded a program that calls it"


def _ring_buffer() -> Found:
    size = os.sysconf("SC_PAGESIZE")
    layout = bpf.MapLayout(bpf.BPF_MAP_TYPE_RINGBUF, 0, 0, size, 0)
    bpf.Map.create("probe", layout).close()
    return "ok", "made one"


def _bpf_fs() -> Found:
    if bpf_fs.is_mounted():
        return "ok", f"mounted at {bpf_fs.BPFFS}"
    with tempfile.TemporaryDirectory() as target:
        mounted = _libc.mount(
            b"bpf", target.encode(), b"bpf", ctypes.c_ulong(0), b"mode=700"
        )
        _call(mounted, "mount")
        _call(_libc.umount2(target.encode(), 0), "umount")
    return "ok", "can be mounted"


def tried(probe: Callable[[], Found]) -> Found:
    """Return a probe's answer; a missing privilege is `unknown`, any other refusal `missing`."""
    try:
        return probe()
    except NotPermittedError as error:
        return "unknown", f"needs root ({error.tried})"
    except SegctlError as error:
        return "missing", error.tried
    except OSError as error:
        if error.errno in {errno.EPERM, errno.EACCES}:
            return "unknown", f"needs root ({error.strerror})"
        return "missing", error.strerror or str(error)


def probe_all() -> dict[str, Found]:
    """Return the result for every capability of the kernel, by name."""
    found: dict[str, Found] = {
        "bpf programs": tried(_trivial_program),
        "redirect_peer": tried(_redirect_peer),
        "ring buffer": tried(_ring_buffer),
    }
    try:
        enter_scratch()
    except OSError as error:
        return found | {"network namespaces": ("unknown", f"needs root ({error})")}
    found["network namespaces"] = ("ok", "made one")
    found["bpf file system"] = tried(_bpf_fs)
    found["packet socket with vnet header"] = tried(_vnet_header)
    with RawNetlink() as nl:
        try:
            index = _veth(nl)
        except NetlinkError as error:
            return found | {"veth": ("missing", str(error))}
        found["veth"] = ("ok", "made a pair")
        found["macvlan"] = tried(partial(_macvlan, nl, index))
        found["clsact"] = tried(partial(_clsact, nl, index))
        if found["clsact"][0] == "ok":
            for name, kind in (("cls_bpf", "bpf"), ("cls_u32", "u32")):
                found[name] = tried(partial(_classifier, nl, index, kind))
        for kind in ("mirred", "pedit", "gact"):
            found[f"act_{kind}"] = tried(partial(_action, nl, kind))
        found["chosen ifindex"] = tried(partial(_new_ifindex, nl))
    return found


if __name__ == "__main__":
    json.dump(probe_all(), sys.stdout)
