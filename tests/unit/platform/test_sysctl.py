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


def test_what_the_kernel_s_own_directories_hold_is_no_interface_s(tree: Path) -> None:
    own = tree / "ipv4/conf/default/rp_filter"
    own.parent.mkdir()
    own.write_text("1\n")
    assert sysctl.read_interface("default") == {}
    assert sysctl.read_defaults() == {"ipv4/conf/rp_filter": "1"}
    mtu = tree / "ipv6/conf/all/mtu"
    mtu.parent.mkdir()
    mtu.write_text("1280\n")
    assert sysctl.smaller_mtu6("all", 1500) == {}


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


def test_a_refused_write_keeps_no_other_from_being_written(tree: Path) -> None:
    wanted = {"ipv4/conf/none/x": "1", "ipv4/conf/rp_filter": "1"}
    with pytest.raises(OSError, match="none"):
        sysctl.write_interface("eth0", wanted)
    assert sysctl.read("ipv4/conf/eth0/rp_filter") == "1"


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_multicast_router_is_seen_and_its_mark_is_no_setting(
    tree: Path, family: str
) -> None:
    assert not sysctl.routes_multicast("eth0")
    path = tree / family / "conf/eth0/mc_forwarding"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("1\n")
    assert sysctl.routes_multicast("eth0")
    assert f"{family}/conf/mc_forwarding" not in sysctl.read_interface("eth0")
