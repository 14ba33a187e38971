"""What one pair is in the maps: keys and values.

In: `model.PortPair`. Out: bytes as segctl_abi.h lays them out. I/O: none.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_interface

from pyctl import abi
from pyctl.datapath.seal import pack_sealed
from pyctl.model.workload import Fail, PortPair, Service


def mac_bytes(text: str) -> list[int]:
    """Return the MAC's bytes as a list, as cffi takes it."""
    return list(bytes.fromhex(text.replace(":", "")))


def _address_key(owner: int, address: IPv4Address | IPv6Address, kind: str) -> bytes:
    return abi.pack(
        "seg_addr_key",
        owner=owner,
        kind=abi.constant(kind),
        family=abi.constant(f"SEG_FAMILY_IPV{address.version}"),
        addr=list(address.packed.ljust(16, b"\0")),
    )


def address_keys(pair: PortPair) -> set[bytes]:
    """Return the seg_addrs keys: the workload's addresses and its subnets' broadcast addresses."""
    owner = pair.owner or pair.port_id
    interfaces = [ip_interface(text) for text in pair.addresses]
    usable = {each.ip for each in [*interfaces, *map(ip_interface, pair.spare)]}
    broadcast = {
        each.network.broadcast_address
        for each in interfaces
        # RFC 3021: a /31 has none, and a /32 is one address.
        if each.version == 4 and each.network.prefixlen < 31
    }
    return {_address_key(owner, ip, "SEG_ADDR_OWN") for ip in usable} | {
        _address_key(owner, ip, "SEG_ADDR_BROADCAST") for ip in broadcast - usable
    }


def _peers_ok(pair: PortPair) -> tuple[bool, bool]:
    """Return whether bpf_redirect_peer may be used for vex and for vin (DESIGN §2a, "Which redirect")."""
    may = pair.redirect_peer
    return may and pair.host_mac is not None, may and not pair.xdp


def reinject_value(pair: PortPair) -> bytes:
    """Return the seg_reinject value of the pair: where frames come back to."""
    vex, vin = _peers_ok(pair)
    quarantine = (
        abi.constant("SEG_PORT_QUARANTINE") if pair.mode.value == "quarantine" else 0
    )
    peer_ok = abi.constant("SEG_PORT_PEER_OK")
    return abi.pack(
        "seg_reinject_port",
        vex_ifindex=pair.vex_ifindex,
        vin_ifindex=pair.vin_ifindex,
        mac=mac_bytes(pair.mac),
        host_mac=mac_bytes(pair.host_mac) if pair.host_mac else [0] * 6,
        vex_flags=quarantine | (peer_ok if vex else 0),
        vin_flags=quarantine | (peer_ok if vin else 0),
    )


def port_entries(pair: PortPair) -> list[tuple[bytes, bytes]]:
    """Return the seg_ports entries of vex and of vin."""
    flags = 0
    for wanted, name in (
        (pair.fail is Fail.OPEN, "SEG_PORT_FAIL_OPEN"),
        (pair.pass_other, "SEG_PORT_PASS_OTHER"),
        (pair.any_source, "SEG_PORT_ANY_SOURCE"),
        (Service.ROUTER in pair.serves, "SEG_PORT_SERVES_ROUTER"),
    ):
        flags |= abi.constant(name) if wanted else 0
    vex_peer, vin_peer = _peers_ok(pair)
    peer_ok = abi.constant("SEG_PORT_PEER_OK")
    common = {
        "port_id": pair.port_id,
        "mode": abi.constant(f"SEG_MODE_{pair.mode.name}"),
        "mac": mac_bytes(pair.mac),
        "segment": pair.segment,
        "owner": pair.owner or pair.port_id,
    }
    vex, vin = (struct.pack("=I", end) for end in (pair.vex_ifindex, pair.vin_ifindex))
    vex_port = pack_sealed(
        "seg_port",
        vex,
        peer_ifindex=pair.vin_ifindex,
        role=abi.constant("SEG_ROLE_VEX"),
        redirect_peer_dmac=mac_bytes(pair.mac),
        flags=flags | (peer_ok if vin_peer else 0),
        **common,
    )
    vin_port = pack_sealed(
        "seg_port",
        vin,
        peer_ifindex=pair.vex_ifindex,
        role=abi.constant("SEG_ROLE_VIN"),
        redirect_peer_dmac=mac_bytes(pair.host_mac) if pair.host_mac else [0] * 6,
        flags=flags | (peer_ok if vex_peer else 0),
        **common,
    )
    return [(vex, vex_port), (vin, vin_port)]
