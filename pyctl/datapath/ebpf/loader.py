"""Compiles, loads and pins the BPF programs: `python -m pyctl.datapath.ebpf.loader NAME`.

In: bpf/*, an instance. Out: pins of every map and program, and of the first worker's own maps. I/O: bcc, bpf(2), the bpf file system.
Compiling with bcc costs 120 MB that nothing gives back, so it happens in this short-lived child;
the agent calls `ensure_loaded`. Maps are made here and not by bcc, which would re-use a pin of
another layout silently; programs get the maps' descriptors as SEG_FD_<map>.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import struct
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyctl import errors
from pyctl.datapath.ebpf import skb_layout
from pyctl.datapath.ebpf.worker_maps import ensure_map, first_maps, put
from pyctl.datapath.pins import MAPS, PROGRAMS, pin_dir
from pyctl.errors import NotCapableError, NotPermittedError, SegctlError
from pyctl.model.instance import Instance
from pyctl.platform.bpf import commands as bpf
from pyctl.platform.bpf import fs as bpf_fs
from pyctl.signal_shield import signal_shield

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ROOT / "bpf"
SECONDS = 600
"""For the child, against a hang alone: a compile takes 0.3 s where nothing else runs, 15 s on an
emulated machine, and a busy host makes either many times longer."""
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Werror", "-Wno-unused-parameter")

# All that bcc's own headers need, so that no kernel headers are required.
_KCONFIG = """\
#define CONFIG_BPF_SYSCALL 1
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))
#define LINUX_VERSION_CODE KERNEL_VERSION(6, 1, 0)
#include <asm/types.h>
typedef __u8 u8; typedef __u16 u16; typedef __u32 u32; typedef __u64 u64;
typedef __s8 s8; typedef __s16 s16; typedef __s32 s32; typedef __s64 s64;
typedef _Bool bool; typedef unsigned long size_t; typedef unsigned long uintptr_t;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define htons(x) __builtin_bswap16(x)
#define htonl(x) __builtin_bswap32(x)
#else
#define htons(x) (x)
#define htonl(x) (x)
#endif
#define ntohs(x) htons(x)
#define ntohl(x) htonl(x)
#define NULL ((void *)0)
"""
_EMPTY = (
    "include/uapi/linux/bpf.h",
    "include/uapi/linux/if_packet.h",
    "include/linux/bpf.h",
    "include/linux/log2.h",
    "include/linux/version.h",
    "include/asm/page.h",
)


def source_text() -> str:
    """Return the programs as one compilation unit; compiler messages name the right file and line."""
    parts = []
    for name in PROGRAMS:
        file = SOURCES / f"{name}.bpf.c"
        parts.append(f'#line 1 "bpf/{file.name}"\n{file.read_text(encoding="utf-8")}')
    return "\n".join(parts)


def source_hash() -> str:
    """Return a hash of the sources and of the way they are compiled."""
    digest = hashlib.sha256(source_text().encode())
    for header in sorted(SOURCES.rglob("*.h")):
        digest.update(header.read_bytes())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()[:12]


def _marker(instance: Instance) -> Path:
    # The bpf file system holds pins and directories, no files: an empty directory is the note.
    return pin_dir(instance) / f"source-{source_hash()}"


def is_loaded(instance: Instance) -> bool:
    """Return whether all pins exist and are from the current sources."""
    pins = pin_dir(instance)
    return _marker(instance).is_dir() and all(
        (pins / name).exists() for name in (*MAPS, *PROGRAMS)
    )


def ensure_loaded(instance: Instance) -> None:
    """Load what is missing in a child process; raise the child's error as if it happened here."""
    if is_loaded(instance):
        return
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    child = signal_shield(
        lambda: subprocess.Popen(
            _command(instance),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        ),
        undo=_end,
    )
    try:
        out, said = child.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        _end(child)
        raise SegctlError(
            f"loading the BPF programs took more than {SECONDS} s",
            state="the programs that were loaded before, if any, go on",
        ) from error
    except BaseException:
        _end(child)
        raise
    if child.returncode:
        raise _from_child(child.returncode, out, said.strip())


def _command(instance: Instance) -> list[str]:
    return [sys.executable, "-m", "pyctl.datapath.ebpf.loader", instance.name]


def _end(child: subprocess.Popen[str]) -> None:
    """Kill the child. Pins that it made are complete, and the next run finds them."""
    with child:
        child.kill()


def _from_child(status: int, out: str, said: str) -> SegctlError:
    try:
        told = json.loads(out)
        kind = errors.BY_CODE[told.pop("code")]
        if said:
            told["state"] = f"{told['state']}\n{said}".strip()
        return kind(**told)
    except (ValueError, KeyError, TypeError):
        return SegctlError(
            f"loading the BPF programs ended with status {status}", state=said
        )


def load(instance: Instance) -> None:
    """Load and pin everything that is missing or old. Idempotent: maps that fit keep their entries, each
    program is replaced in one step.
    """
    bpf_fs.ensure_mounted()
    pins = pin_dir(instance)
    try:
        pins.mkdir(mode=0o700, parents=True, exist_ok=True)
    except PermissionError as error:
        raise NotPermittedError(
            f"making {pins}: {error.strerror}", advice="run as root", errno=error.errno
        ) from error
    with _locked(pins), contextlib.ExitStack() as stack:
        first = first_maps(pins)
        for one in first.values():
            stack.enter_context(one)
        maps = {
            name: stack.enter_context(
                ensure_map(pins / name, name, layout, first.get(name))
            )
            for name, layout in MAPS.items()
        }
        for name, one in first.items():
            put(maps[name], 0, one)
        for name, fd in _compiled(maps, _mark(pins)):
            _replace_pin(pins, name, fd)
        marker = _marker(instance)
        for stale in pins.glob("source-*"):
            if stale != marker:
                stale.rmdir()
        marker.mkdir(mode=0o700, exist_ok=True)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace_pin(pins: Path, name: str, fd: int) -> None:
    fresh = pins / f"{name}-new"
    fresh.unlink(missing_ok=True)
    bpf.Descriptor(fd).pin(fresh)
    fresh.rename(pins / name)


def _mark(pins: Path) -> int:
    """Return the skb->mark of inspected frames, chosen once per instance. It is random because a workload can
    mark the frames that it sends past the programs.
    """
    for found in pins.glob("mark-*"):
        return int(found.name[5:], 16)
    chosen = secrets.randbits(32) | 1
    (pins / f"mark-{chosen:08x}").mkdir(mode=0o700)
    return chosen


def _compiled(maps: dict[str, bpf.Map], mark: int) -> list[tuple[str, int]]:
    """Return (name, descriptor) of each program; they stay open until this process ends."""
    with tempfile.TemporaryDirectory(prefix="segctl-bpf-") as tree:
        _write_kernel_tree(Path(tree))
        os.environ["BCC_KERNEL_SOURCE"] = tree
        bcc = _import_bcc()
        try:
            module = bcc.BPF(text=source_text(), cflags=_options(maps, mark))
            return [
                (name, module.load_func(name.encode(), bcc.BPF.SCHED_CLS).fd)
                for name in PROGRAMS
            ]
        except Exception as error:  # bcc raises nothing more exact
            raise SegctlError(
                f"compiling and loading the BPF programs: {error}",
                state="the programs that were loaded before, if any, go on",
                advice="`segctl doctor` names what this kernel lacks",
            ) from error


def _options(maps: dict[str, bpf.Map], mark: int) -> list[str]:
    triplet = sysconfig.get_config_var("MULTIARCH") or ""
    includes = (
        [f"/usr/include/{triplet}", "/usr/include"] if triplet else ["/usr/include"]
    )
    return [
        f"-I{SOURCES}",
        *(word for path in includes for word in ("-idirafter", path)),
        f"-DSEG_MARK={mark:#x}",
        *_skb_options(),
        *(f"-DSEG_FD_{name}={opened.fd}" for name, opened in maps.items()),
        *WARNINGS,
    ]


def _skb_options() -> list[str]:
    known = skb_layout.read()
    # One read takes both pointers, so data must directly follow head.
    if (known.data - known.head, struct.calcsize("P")) != (8, 8):
        known = skb_layout.SkbLayout()
    return [
        f"-DSEG_SKB_HEAD={known.head}",
        f"-DSEG_SKB_CSUM_START={known.csum_start}",
        f"-DSEG_SKB_IP_SUMMED={known.ip_summed}",
        f"-DSEG_SKB_IP_SUMMED_SHIFT={known.ip_summed_shift}",
    ]


def _write_kernel_tree(tree: Path) -> None:
    for name in (*_EMPTY, "include/linux/kconfig.h"):
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("", encoding="ascii")
    (tree / "include/linux/kconfig.h").write_text(_KCONFIG, encoding="ascii")


def _import_bcc() -> Any:
    try:
        import bcc  # noqa: PLC0415  # only this child pays for it
    except ImportError as error:
        raise NotCapableError(
            f"importing bcc: {error}",
            advice="install Debian's python3-bpfcc and use a virtual environment made from "
            "/usr/bin/python3 with --system-site-packages (./scripts/bootstrap does both)",
        ) from error
    if not hasattr(bcc, "BPF"):
        raise NotCapableError(
            f"{bcc.__file__} is another package named bcc, not the BPF compiler",
            advice="remove it; install Debian's python3-bpfcc",
        )
    return bcc


def main(argv: list[str] | None = None) -> int:
    """Run the child: load, and print any error as one JSON object on stdout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("instance", help="whose pins: the name in SEGCTL_INSTANCE")
    options = parser.parse_args(argv)
    try:
        load(Instance(options.instance))
    except SegctlError as error:
        told = {
            name: getattr(error, name)
            for name in ("code", "tried", "state", "advice", "errno")
        }
        sys.stdout.write(json.dumps(told) + "\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
