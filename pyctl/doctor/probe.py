"""What this host can do, and which datapath that gives: `segctl doctor`.

In: nothing. Out: a Report. I/O: child processes that try things and end (probe_scratch, an import
of bcc, an import of the engine), the container daemons' sockets.
Nothing is read from a version: distributions add and leave out features at will. What could not
be tried for want of root is `unknown`, never guessed.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from pyctl.model.worker import workers_for

SECONDS = 30
"""Seconds for one child; loading kernel modules is slow under emulation."""

State = Literal["ok", "missing", "unknown"]

COMMON = {
    "network namespaces": "no enforcer namespace, so nothing can be attached",
    "veth": "no port pairs, so nothing can be attached",
    "clsact": "no hook for either datapath",
    "packet socket with vnet header": "the engine cannot read super-frames",
    "engine": "nothing can be inspected (scripts/bootstrap builds it)",
}
EBPF = {
    "bcc": "no ebpf datapath (on Debian: apt install python3-bpfcc)",
    "bpf programs": "no ebpf datapath",
    "bpf file system": "no ebpf datapath: maps cannot outlive the agent",
    "cls_bpf": "no ebpf datapath",
    "ring buffer": "no ebpf datapath: drops in the kernel could not be told",
    "redirect_peer": "no ebpf datapath: the programs call it",
}
U32 = {
    "cls_u32": "no u32 datapath (CONFIG_NET_CLS_U32)",
    "act_mirred": "no u32 datapath (CONFIG_NET_ACT_MIRRED)",
    "act_pedit": "no u32 datapath (CONFIG_NET_ACT_PEDIT)",
    "act_gact": "no u32 datapath (CONFIG_NET_ACT_GACT)",
}
OPTIONAL = {
    "chosen ifindex": "a container's interface index changes when it is attached",
    "macvlan": "containers on macvlan networks cannot be attached",
    "vectorscan": "policies with sensors are refused (on Debian: apt install libvectorscan5)",
    "pcre2": "sensors with `confirm: pcre2` are refused (on Debian: apt install libpcre2-8-0)",
    "docker": "--container does not find Docker's containers; --pid works",
    "podman": "--container does not find Podman's containers; --pid works",
    "zlib": "sensors do not look into bodies compressed with gzip or deflate (on Debian: apt install zlib1g)",
    "brotli": "sensors do not look into bodies compressed with br (on Debian: apt install libbrotli1)",
    "libnghttp2": "rules with http let no HTTP/2 and no gRPC through (on Debian: apt install libnghttp2-14)",
}
LIBRARIES = {"zlib": "libz.so.1", "brotli": "libbrotlidec.so.1"}
"""What the engine loads when the first sensor comes that looks into bodies."""
U32_COST = (
    "every packet goes through the engine, protect fails closed whatever --fail says, and source "
    "addresses are not checked"
)
"""What u32 costs compared with ebpf."""
DATAPATHS = {"ebpf": EBPF, "u32": U32}
DRIVERS = ("ebpf", "u32")
"""The datapaths that this version brings, the preferred one first."""

_LOADS = "import ctypes; ctypes.CDLL('{}')"
DOCKER_SOCKETS = ("/var/run/docker.sock",)
LIBNGHTTP2 = "libnghttp2.so.14"
"""As the engine loads it (http2/sg_inflate.h)."""
PODMAN_SOCKETS = ("/run/podman/podman.sock",)


@dataclass(frozen=True)
class Capability:
    """One capability that was tried, and the result."""

    name: str
    state: State
    detail: str
    """What was seen."""
    cost: str
    """What does not work without it."""

    @property
    def ok(self) -> bool:
        """Return whether the capability is there."""
        return self.state == "ok"


@dataclass(frozen=True)
class Report:
    """All capabilities that were tried, and the datapaths that they allow."""

    capabilities: tuple[Capability, ...]
    datapath: str | None
    """What `--datapath auto` gives; None: none, or not known."""
    unknown: bool
    """A datapath may be possible, but not all could be tried."""
    verdict: str
    kernel: str
    machine: str
    version: str
    workers: int
    """Engines that share the packets, where agent.yaml does not say."""

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return asdict(self)


def probe() -> Report:
    """Try everything; takes about a second, changes nothing that outlives it."""
    found: dict[str, tuple[State, str]] = {
        **_kernel(),
        "bcc": _imports("import bcc; bcc.BPF", "imported"),
        "engine": _imports("import pyctl.engine._ffi", "the extension loads"),
        "vectorscan": _imports(_LOADS.format("libhs.so.5"), "the library loads"),
        "pcre2": _imports(_LOADS.format("libpcre2-8.so.0"), "the library loads"),
        "docker": _daemon(DOCKER_SOCKETS, None),
        "podman": _daemon(PODMAN_SOCKETS, "podman"),
        **{name: _library(file) for name, file in LIBRARIES.items()},
        "libnghttp2": _imports(
            f"import ctypes; ctypes.CDLL({LIBNGHTTP2!r}).nghttp2_hd_inflate_new2",
            f"{LIBNGHTTP2} loads",
        ),
    }
    return judge(found)


def judge(found: dict[str, tuple[State, str]]) -> Report:
    """Return the report that follows from the findings; what was not tried is unknown."""
    capabilities = tuple(
        Capability(name, *found.get(name, ("unknown", "could not be tried")), cost)
        for name, cost in (COMMON | EBPF | U32 | OPTIONAL).items()
    )
    state = {each.name: each.state for each in capabilities}
    possible = {
        kind: _all_of({state[name] for name in COMMON | needs})
        for kind, needs in DATAPATHS.items()
    }
    likely = next((each for each in DRIVERS if possible[each] != "missing"), None)
    unknown = likely is not None and possible[likely] == "unknown"
    datapath = None if unknown else likely
    return Report(
        capabilities=capabilities,
        datapath=datapath,
        unknown=unknown,
        verdict=_verdict(datapath, state, unknown=unknown),
        kernel=platform.release(),
        machine=platform.machine(),
        version=_version(),
        workers=workers_for(len(os.sched_getaffinity(0))),
    )


def _all_of(states: set[State]) -> State:
    """Return the state of several capabilities that are all needed."""
    if "missing" in states:
        return "missing"
    return "unknown" if "unknown" in states else "ok"


def _verdict(
    datapath: str | None,
    state: dict[str, State],
    *,
    unknown: bool,
) -> str:
    wanted: State = "unknown" if unknown else "missing"
    lacks = {
        kind: [each for each in COMMON | DATAPATHS[kind] if state[each] == wanted]
        for kind in DRIVERS
    }
    if datapath == "u32":
        return f"u32, as ebpf lacks: {', '.join(lacks['ebpf'])}; {U32_COST}"
    if datapath:
        return datapath
    if unknown:
        names = dict.fromkeys(each for kind in DRIVERS for each in lacks[kind])
        return f"not known; run as root to try: {', '.join(names)}"
    told = [f"{kind} lacks: {', '.join(names)}" for kind, names in lacks.items()]
    return f"none; {'; '.join(told)}"


def _kernel() -> dict[str, tuple[State, str]]:
    done = _python("-m", "pyctl.platform.probe_scratch")
    try:
        return {
            name: (state, told) for name, (state, told) in json.loads(done[1]).items()
        }
    except (ValueError, TypeError):
        return {"network namespaces": ("unknown", f"the probe ended: {_last(done[2])}")}


def _imports(code: str, seen: str) -> tuple[State, str]:
    """Return whether a module imports, tried in a child: bcc would cost 70 MB, a broken one may crash."""
    status, _, stderr = _python("-c", code)
    return ("ok", seen) if status == 0 else ("missing", _last(stderr))


def _library(file: str) -> tuple[State, str]:
    return _imports(f"import ctypes; ctypes.CDLL({file!r})", f"{file} loads")


def _python(*argv: str) -> tuple[int, str, str]:
    try:
        done = subprocess.run(
            [sys.executable, *argv],
            capture_output=True,
            check=False,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return -1, "", f"no answer within {SECONDS} s"
    return done.returncode, done.stdout, done.stderr


def _daemon(paths: tuple[str, ...], program: str | None) -> tuple[State, str]:
    """Return whether a container daemon answers, or (Podman needs none) its program is there."""
    told = []
    for path in paths:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.settimeout(2)
                sock.connect(path)
        except PermissionError:
            return "unknown", f"{path} needs root"
        except OSError as error:
            told.append(f"{path}: {os.strerror(error.errno or 0)}")
        else:
            return "ok", f"{path} answers"
    where = shutil.which(program) if program else None
    if where:
        return "ok", where
    return "missing", "; ".join(told)


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _version() -> str:
    try:
        return version("segctl")
    except PackageNotFoundError:
        return "not installed"
