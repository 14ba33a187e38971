"""Sysctls: only the difference is written, and in an order that keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctl.platform import sysctl


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sysctl, "ROOT", tmp_path)
    for key, value in (
        ("ipv4/conf/eth0/rp_filter", "2"),
        ("ipv6/conf/eth0/addr_gen_mode", "1"),
        ("ipv6/conf/eth0/mtu", "1500"),
        ("ipv6/neigh/eth0/retrans_time", "100"),
        ("ipv6/neigh/eth0/retrans_time_ms", "1000"),
    ):
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")
    return tmp_path


def test_settings_are_read_and_shadows_left_out(tree: Path) -> None:
    """addr_gen_mode acts when written, mtu follows the link, retrans_time rounds."""
    assert sysctl.read_interface("eth0") == {
        "ipv4/conf/rp_filter": "2",
        "ipv6/neigh/retrans_time_ms": "1000",
    }


def test_an_interface_without_settings_has_none(tree: Path) -> None:
    assert sysctl.read_interface("eth9") == {}


def test_what_is_written_is_read_again(tree: Path) -> None:
    sysctl.write_interface("eth0", {"ipv4/conf/rp_filter": "1"})
    assert sysctl.read("ipv4/conf/eth0/rp_filter") == "1"
    assert sysctl.read("ipv4/conf/eth0/none") is None


def test_only_differences_are_written_and_disable_ipv6_first() -> None:
    wanted = {"ipv6/conf/a": "1", "ipv6/conf/disable_ipv6": "1", "ipv4/conf/b": "2"}
    current = {"ipv6/conf/a": "0", "ipv6/conf/disable_ipv6": "0", "ipv4/conf/b": "2"}
    assert list(sysctl.changed(wanted, current)) == [
        "ipv6/conf/disable_ipv6",
        "ipv6/conf/a",
    ]
    assert sysctl.changed(wanted, wanted) == {}


def test_a_refused_write_names_its_file(tree: Path) -> None:
    with pytest.raises(OSError, match="none"):
        sysctl.write_interface("eth0", {"ipv4/conf/none/x": "1"})
