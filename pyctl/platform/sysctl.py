"""The per-interface sysctls: /proc/sys/net/ipv[46]/{conf,neigh}/IF/*.

In: an interface's name, values. Out: values by "family/table/key". I/O: /proc/sys/net
of the namespace that the calling thread stands in (pyctl.platform.netns.entered).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pyctl.platform.absence import raise_if_blind

ROOT = Path("/proc/sys/net")
TABLES = ("ipv4/conf", "ipv4/neigh", "ipv6/conf", "ipv6/neigh")
RESERVED = frozenset({"all", "default"})
"""Directories of the kernel's own: an interface that is renamed so has no settings, and none is made so."""
NOT_SETTINGS = frozenset(
    {
        "ipv6/conf/addr_gen_mode",  # Set through netlink: writing it here makes addresses.
        "ipv6/conf/mtu",  # Follows the link's MTU; but see smaller_mtu6.
        "ipv4/conf/bootp_relay",  # Never implemented by the kernel.
        "ipv4/conf/mc_forwarding",  # A multicast router's own; nobody can write it.
        "ipv6/conf/mc_forwarding",
    }
)
ACCEPT_RA = "ipv6/conf/accept_ra"
SOLICITATION_DELAY = "ipv6/conf/router_solicitation_delay"
"""It delays duplicate detection too."""
DAD_TRANSMITS = "ipv6/conf/dad_transmits"
MILLISECOND_TWINS = frozenset(
    {
        # Each is shown twice; the older unit rounds.
        "ipv4/neigh/base_reachable_time",
        "ipv4/neigh/retrans_time",
        "ipv6/neigh/base_reachable_time",
        "ipv6/neigh/retrans_time",
    }
)


def _read(path: str, directory: int | None = None) -> str | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    except OSError as error:  # Write-only (retrans), or the family is switched off.
        raise_if_blind(error)
        return None
    try:
        return os.read(fd, 4096).decode().strip()
    except OSError:  # stable_secret reads EIO while it is unset.
        return None
    finally:
        os.close(fd)


def read_interface(name: str) -> dict[str, str]:
    """Read all settings of one interface; none for a name in RESERVED."""
    return {} if name in RESERVED else _read_all(name)


def read_defaults() -> dict[str, str]:
    """Read the settings that a new interface gets."""
    return _read_all("default")


def _read_all(name: str) -> dict[str, str]:
    found = {}
    for table in TABLES:
        with (
            contextlib.suppress(FileNotFoundError),
            _opened(f"{ROOT}/{table}/{name}") as directory,
        ):
            for key in sorted(os.listdir(directory)):  # noqa: PTH208  a descriptor
                full = f"{table}/{key}"
                if full in NOT_SETTINGS or full in MILLISECOND_TWINS:
                    continue
                value = _read(key, directory)
                if value is not None:
                    found[full] = value
    return found


def smaller_mtu6(name: str, mtu: int) -> dict[str, str]:
    """Return IPv6's own MTU if it is smaller than the link's `mtu`: a router announced it."""
    found = None if name in RESERVED else read(f"ipv6/conf/{name}/mtu")
    return {"ipv6/conf/mtu": found} if found and int(found) < mtu else {}


@contextlib.contextmanager
def _opened(directory: str) -> Iterator[int]:
    """Open a directory to read its entries by descriptor: on a full path, the kernel looks at an entry of the
    same name for each network namespace that there is.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def write_interface(name: str, values: Mapping[str, str]) -> None:
    """Write each value even if others fail. Raises OSError naming the files that refused."""
    refused: list[OSError] = []
    for full, value in values.items():
        table, _, key = full.rpartition("/")
        try:
            write(f"{table}/{name}/{key}", value)
        except OSError as error:
            refused.append(error)
    if refused:
        raise OSError(refused[0].errno, ", ".join(map(str, refused)))


def write(key: str, value: str) -> None:
    """Write /proc/sys/net/KEY."""
    path = f"{ROOT}/{key}"
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(fd)


def routes_multicast(name: str) -> bool:
    """Return whether a multicast router has made a virtual interface of this one, for IPv4 or IPv6."""
    return name not in RESERVED and any(
        read(f"{family}/conf/{name}/mc_forwarding") not in (None, "0")
        for family in ("ipv4", "ipv6")
    )


def read(key: str) -> str | None:
    """Read /proc/sys/net/KEY; None if it does not exist or cannot be read."""
    return _read(f"{ROOT}/{key}")


def changed(wanted: Mapping[str, str], current: Mapping[str, str]) -> dict[str, str]:
    """Return what must be written so that `current` becomes `wanted`.

    disable_ipv6 comes first: it throws addresses and other settings of the family away.
    """
    different = {k: v for k, v in wanted.items() if current.get(k) != v}
    return dict(
        sorted(different.items(), key=lambda item: "disable_ipv6" not in item[0])
    )
