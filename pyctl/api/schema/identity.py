"""What the API tells of addresses. In: values. Out: typed models. I/O: none."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_interface,
)
from typing import Annotated

from pydantic import AfterValidator

from pyctl.api.schema.base import Response
from pyctl.model.workload import ClaimState

_EVERYBODY = IPv4Address(0xFFFFFFFF)


def _address(text: str) -> str:
    try:
        found = ip_interface(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no IP address, with or without a length"
        ) from error
    if why := _no_hosts(found):
        raise ValueError(f"{text!r} is {why}, not an address of one host")
    return str(found)


def _no_hosts(found: IPv4Interface | IPv6Interface) -> str:
    """Return what the address is instead of a host's; empty for a host's."""
    ip, net = found.ip, found.network
    # Of two addresses both are hosts' (RFC 3021, RFC 6164).
    several = net.num_addresses > 2
    kinds = {
        "a network": several and ip == net.network_address,
        "an IPv4-mapped address, which no packet has": isinstance(ip, IPv6Address)
        and ip.ipv4_mapped is not None,
        "the unspecified address": ip.is_unspecified,
        "a loopback address": ip.is_loopback,
        "a multicast address": ip.is_multicast,
        "the broadcast address": ip == _EVERYBODY,
        "the broadcast address of its network": several
        and ip.version == 4
        and ip == net.broadcast_address,
    }
    return next((kind for kind, fits in kinds.items() if fits), "")


Address = Annotated[str, AfterValidator(_address)]
"""`a.b.c.d/len` or `x::y/len` of one host, whatever its network; without a length, one address."""


class ClaimView(Response):
    """An address that the workload gave itself."""

    address: str
    interface: str
    state: ClaimState
    reason: str
    """Empty: it is followed."""


class SharedAddress(Response):
    """An address that several workloads have: it may do what each of them may."""

    address: str
    workloads: list[str]
