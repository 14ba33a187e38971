"""The per-interface sysctls: /proc/sys/net/ipv[46]/{conf,neigh}/IF/*.

In: an interface's name, values. Out: values by "family/table/key". I/O: /proc/sys/net
of the namespace that the calling thread stands in (pyctl.platform.netns.entered).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path("/proc/sys/net")
TABLES = ("ipv4/conf", "ipv4/neigh", "ipv6/conf", "ipv6/neigh")
NOT_SETTINGS = frozenset(
    {
        "ipv6/conf/addr_gen_mode",  # Set through netlink: writing it here makes addresses.
        "ipv6/conf/mtu",  # Follows the link's MTU.
        "ipv4/conf/bootp_relay",  # Never implemented by the kernel.
    }
)
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
    except OSError:  # Write-only (retrans), or the family is switched off.
        return None
    try:
        return os.read(fd, 4096).decode().strip()
    except OSError:  # stable_secret reads EIO while it is unset.
        return None
    finally:
        os.close(fd)


def read_interface(name: str) -> dict[str, str]:
    """All settings of one interface ("default" for what a new one gets)."""
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


@contextlib.contextmanager
def _opened(directory: str) -> Iterator[int]:
    """To read what is in it by its descriptor: on the way here the kernel looks at an entry of the same
    name for each network namespace that there is.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def write_interface(name: str, values: Mapping[str, str]) -> None:
    """Write each value. Raises OSError naming the file that refused."""
    for full, value in values.items():
        table, _, key = full.rpartition("/")
        write(f"{table}/{name}/{key}", value)


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


def read(key: str) -> str | None:
    """/proc/sys/net/KEY, None where it does not exist or reads an error."""
    return _read(f"{ROOT}/{key}")


def changed(wanted: Mapping[str, str], current: Mapping[str, str]) -> dict[str, str]:
    """What must be written so that `current` becomes `wanted`.

    disable_ipv6 comes first: it throws addresses and other settings of the family away.
    """
    different = {k: v for k, v in wanted.items() if current.get(k) != v}
    return dict(
        sorted(different.items(), key=lambda item: "disable_ipv6" not in item[0])
    )
