"""The packet vocabulary of all tests: who is who, in addresses. Nothing else spells one.

Addresses are from the documentation ranges (RFC 5737, RFC 3849).
"""

from __future__ import annotations

from ipaddress import IPv6Address

from pyctl import abi

pod_one_ip4, pod_two_ip4, gateway_ip4 = "192.0.2.11", "192.0.2.12", "192.0.2.1"
pod_one_ip6, pod_two_ip6, gateway_ip6 = (
    "2001:db8:1::11",
    "2001:db8:1::12",
    "2001:db8:1::1",
)
net_ip4, net_ip6 = "192.0.2.0/24", "2001:db8:1::/64"
pod_three_ip4, pod_three_ip6 = "192.0.2.13", "2001:db8:1::13"
pod_nine_ip4 = "192.0.2.10"
prefix_ip4, prefix_ip6 = 24, 64
world_ip4, world_ip6 = "198.51.100.7", "2001:db8:ffff::7"
world_net_ip4, world_net_ip6 = "198.51.100.0/24", "2001:db8:ffff::/64"
group_ip4, group_ip6 = "239.1.2.3", "ff02::fb"
high_group_ip4, high_group_mac = "224.129.0.1", "01:00:5e:01:00:01"

pod_one_mac, pod_two_mac = "02:42:c0:00:02:11", "02:42:c0:00:02:12"
pod_three_mac = "02:42:c0:00:02:13"
pods = (
    (pod_one_ip4, pod_one_ip6, pod_one_mac),
    (pod_two_ip4, pod_two_ip6, pod_two_mac),
    (pod_three_ip4, pod_three_ip6, pod_three_mac),
)
gateway_mac, stranger_mac = "02:42:c0:00:02:01", "02:42:c0:00:02:99"
broadcast_mac, group_mac = "ff:ff:ff:ff:ff:ff", "01:00:5e:01:02:03"
link_local_ip6 = "fe80::11"
mapped_ip6, mapped_net_ip6 = f"::ffff:{world_ip4}", "::ffff:c633:6400/120"
pod_one_extra_ip4 = "192.0.2.21"
unspecified_ip4, unspecified_ip6 = "0.0.0.0", "::"
limited_broadcast_ip4, subnet_broadcast_ip4 = "255.255.255.255", "192.0.2.255"
group6_mac = "33:33:00:00:00:fb"
loopback_ip4, loopback_ip6 = "127.0.0.1", "::1"
bcmac = "ff:ff:ff:00:01:02"
lldp_mac, bpdu_mac, forwarded_mac = (
    "01:80:c2:00:00:0e",
    "01:80:c2:00:00:00",
    "01:80:c2:00:00:10",
)
all_dhcp_servers_ip6 = "ff02::1:2"

# What tests/lab/datapath/splice.py furnishes a pod with.
link_scope_ip4, leased_ip4 = "192.0.2.31", "192.0.2.130"
leased_ip6, nodad_ip6 = "2001:db8:1::31", "2001:db8:2::1"
pod_peer_ip4, peer_ip4 = "203.0.113.1", "203.0.113.2"
onlink_net_ip4, offlink_ip4 = "203.0.113.64/28", "203.0.113.200"
multipath_net_ip4, multipath_net_ip6 = "203.0.113.80/28", "2001:db8:80::/64"
blackhole_net_ip4, expiring_net_ip6 = "203.0.113.96/28", "2001:db8:81::/64"
lladdr_net_ip6, proxied_ip6 = "2001:db8:82::/64", "2001:db8:1::77"
proxied_ip4, nexthop_net_ip4 = "192.0.2.77", "203.0.113.112/28"
nexthop_net_ip6 = "2001:db8:83::/64"

# Containers by the hundred (RFC 2544): counted up from here.
crowd_ip4, crowd_prefix_ip4 = "198.18.0.0", 16

# The worked examples of the classic ruleset, and of the pair wired by hand.
seed_mac, seed_ucmac = "02:42:ac:11:00:02", "4e:65:75:56:00:27"
seed_two_mac, seed_two_ucmac = "1a:27:f3:87:3a:27", "4e:65:75:56:00:b4"
seed_shown_mac, seed_shown_ucmac = "0a:3c:8c:f9:a2:66", "4e:65:75:56:00:05"
# The demo that the same documents wire by hand: the host's end, the container, what is internal.
seed_host_ip4, seed_container_ip4, seed_prefix_ip4 = "10.10.10.66", "10.10.10.88", 24
seed_bcmac = "ff:ff:ff:00:00:b4"
seed_mask, seed_wide_mask = "255.255.255.0", "255.255.0.0"
seed_host_mask = "0.0.0.255"
seed_nets_ip4 = ("179.20.23.0", "10.10.10.0", "172.20.166.0")
seed_wide_net_ip4 = "172.17.0.0"


def link_local_of(mac: str) -> str:
    """The address that Linux gives an interface by its MAC (RFC 4291, appendix A)."""
    raw = bytes.fromhex(mac.replace(":", ""))
    name = bytes((raw[0] ^ 2, *raw[1:3], 0xFF, 0xFE, *raw[3:]))
    return str(IPv6Address(b"\xfe\x80" + bytes(6) + name))


pod_one_link_local_ip6 = link_local_of(pod_one_mac)


def mac(number: int) -> str:
    """One of many, a different one for each number."""
    return ":".join(("02:42:c0:01", f"{number >> 8:02x}", f"{number & 0xFF:02x}"))


def tapmac(port_id: int) -> bytes:
    """The MAC of the engine's tap copies, in place of the UCMAC: six bytes."""
    octets = bytearray(abi.ucmac(port_id))
    octets[3] = abi.constant("SEG_TAPMAC_3")
    return bytes(octets)
