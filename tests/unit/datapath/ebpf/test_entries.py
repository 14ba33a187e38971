"""What the driver writes for a pair (the rest needs a kernel: tests/datapath/test_ebpf_*)."""

from __future__ import annotations

import dataclasses
import struct

import pytest

from pyctl import abi
from pyctl.datapath.ebpf import entries
from pyctl.datapath.maps import ADDRESS_KINDS, address_text, flag_names, mac_text
from pyctl.model.workload import Fail, Mode
from tests import packets
from tests.unit.datapath import makers

PAIR = dataclasses.replace(
    makers.PAIR, vex_ifindex=11, vin_ifindex=12, addresses=(packets.pod_one_ip4,)
)


def values(**changes):
    """(seg_port of vex, seg_port of vin, seg_reinject_port)."""
    pair = dataclasses.replace(PAIR, **changes)
    (vex_key, vex), (vin_key, vin) = entries.port_entries(pair)
    assert (vex_key, vin_key) == (struct.pack("=I", 11), struct.pack("=I", 12))
    ports = (abi.unpack("seg_port", vex), abi.unpack("seg_port", vin))
    return *ports, abi.unpack("seg_reinject_port", entries.reinject_value(pair))


def test_each_end_names_the_other():
    vex, vin, back = values()
    assert (vex.peer_ifindex, vin.peer_ifindex) == (12, 11)
    assert (back.vex_ifindex, back.vin_ifindex) == (11, 12)
    assert mac_text(back.mac) == mac_text(vex.mac) == packets.pod_one_mac


@pytest.mark.parametrize(
    ("change", "towards_host", "towards_pod"),
    [
        ({}, False, True),
        ({"host_mac": packets.gateway_mac}, True, True),
        ({"kind": "macvlan"}, False, False),
        ({"kind": "macvlan", "host_mac": packets.gateway_mac}, False, False),
    ],
)
def test_redirect_peer_only_where_it_is_right(change, towards_host, towards_pod):
    vex, vin, back = values(**change)
    assert ("peer_ok" in flag_names(vin.flags)) is towards_host
    assert ("peer_ok" in flag_names(vex.flags)) is towards_pod
    assert ("peer_ok" in flag_names(back.vex_flags)) is towards_host
    assert ("peer_ok" in flag_names(back.vin_flags)) is towards_pod
    assert mac_text(vex.redirect_peer_dmac) == packets.pod_one_mac
    if towards_host:
        assert mac_text(vin.redirect_peer_dmac) == packets.gateway_mac


def test_options_become_flags_on_both_ends():
    vex, vin, _ = values(fail=Fail.OPEN, pass_other=True, any_source=True)
    for port in (vex, vin):
        assert {"fail_open", "pass_other", "any_source"} <= set(flag_names(port.flags))
    vex, vin, _ = values()
    assert flag_names(vin.flags) == []


@pytest.mark.parametrize("mode", Mode)
def test_every_mode_has_its_number_and_quarantine_reaches_vbr(mode):
    vex, vin, back = values(mode=mode)
    assert vex.mode == vin.mode == abi.constant(f"SEG_MODE_{mode.name}")
    quarantined = mode is Mode.QUARANTINE
    for flags in (back.vex_flags, back.vin_flags):
        assert ("quarantine" in flag_names(flags)) is quarantined


def addresses(*texts):
    """kind by address, as written to seg_addrs."""
    written = entries.address_keys(dataclasses.replace(PAIR, addresses=texts))
    names = [abi.unpack("seg_addr_key", key) for key in written]
    found = {address_text(one.family, one.addr): one.kind for one in names}
    assert len(found) == len(written), "an address of its own is nobody's broadcast"
    return {address: ADDRESS_KINDS[kind] for address, kind in found.items()}


def test_a_prefix_gives_the_subnets_broadcast_address():
    assert addresses(f"{packets.pod_one_ip4}/24", f"{packets.pod_one_ip6}/64") == {
        packets.pod_one_ip4: "own",
        packets.pod_one_ip6: "own",
        packets.subnet_broadcast_ip4: "broadcast",
    }


def test_a_spare_address_is_its_own_source_and_makes_no_subnet():
    pair = dataclasses.replace(PAIR, spare=(f"{packets.leased_ip4}/16",))
    (key,) = entries.address_keys(pair) - entries.address_keys(PAIR)
    name = abi.unpack("seg_addr_key", key)
    assert address_text(name.family, name.addr) == packets.leased_ip4
    assert ADDRESS_KINDS[name.kind] == "own"


def test_a_broadcast_address_that_is_its_own_too_is_its_own():
    own = addresses(f"{packets.pod_one_ip4}/24", f"{packets.subnet_broadcast_ip4}/24")
    assert own[packets.subnet_broadcast_ip4] == "own"


@pytest.mark.parametrize("suffix", ["", "/32", "/31"])
def test_without_a_subnet_there_is_no_broadcast_address(suffix):
    assert addresses(packets.pod_one_ip4 + suffix) == {packets.pod_one_ip4: "own"}
