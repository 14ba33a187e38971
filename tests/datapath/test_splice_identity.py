"""A spliced workload is the workload it was: seen from inside while attached, from
everywhere afterwards.
"""

from __future__ import annotations

import json
import threading

from pyctl.platform import netns
from pyctl.platform.netlink import links
from tests import packets
from tests.lab.datapath.splice import PORT_ID, Rig, furnish
from tests.lab.net.snapshot import assert_same, picture
from tests.lab.pace import wait_for


def test_splice_keeps_identity_and_unsplice_is_its_exact_inverse(rig: Rig) -> None:
    furnish(rig.pod)
    inside, pod, host = (
        picture(rig.pod, inside=True),
        picture(rig.pod),
        picture(rig.host),
    )
    port = rig.splice()
    assert_same(inside, picture(rig.pod, inside=True))
    rig.unsplice(port)
    assert_same(pod, picture(rig.pod))
    assert_same(host, picture(rig.host))
    assert rig.ports() == []
    assert rig.journals() == []


def test_a_plain_pod_is_kept_too(rig: Rig) -> None:
    inside, pod = picture(rig.pod, inside=True), picture(rig.pod)
    port = rig.splice()
    assert_same(inside, picture(rig.pod, inside=True))
    rig.unsplice(port)
    assert_same(pod, picture(rig.pod))


def test_splice_and_unsplice_are_idempotent(rig: Rig) -> None:
    pod = picture(rig.pod)
    port = rig.splice()
    spliced = picture(rig.pod)
    assert rig.splice() == port
    assert_same(spliced, picture(rig.pod))
    assert port.port_id == PORT_ID
    rig.unsplice(port)
    rig.unsplice(port)
    assert_same(pod, picture(rig.pod))


def test_nobody_sees_the_interface_that_comes_home_under_another_name(rig: Rig) -> None:
    """Who inspects it, another instance, would take that for the name that it was given."""
    port = rig.splice()
    seen: set[str] = set()
    looks, home = threading.Event(), threading.Event()

    def look() -> None:
        with netns.opened(rig.pod.path) as fd, netns.raw_in(fd) as nl:
            while not home.is_set():
                seen.update(link.name for link in links.dump(nl))
                looks.set()

    looker = threading.Thread(target=look)
    looker.start()
    looks.wait()
    try:
        rig.unsplice(port)
    finally:
        home.set()
        looker.join()
    assert seen == {"lo", "eth0"}


def test_the_pod_reaches_its_gateway_while_spliced_and_after(rig: Rig) -> None:
    port = rig.splice()
    for address in (packets.gateway_ip4, packets.gateway_ip6, packets.pod_two_ip4):
        rig.pod.run("ping", "-c1", "-W2", address)
    rig.unsplice(port)
    for address in (packets.gateway_ip4, packets.gateway_ip6):
        rig.pod.run("ping", "-c1", "-W2", address)


def test_what_changed_while_spliced_is_kept_by_the_unsplice(rig: Rig) -> None:
    port = rig.splice()
    rig.pod.run("ip", "addr", "add", f"{packets.pod_one_extra_ip4}/24", "dev", "eth0")
    rig.pod.run(
        "ip", "link", "set", "eth0", "mtu", "1280", "address", packets.stranger_mac
    )
    rig.pod.run("ip", "route", "add", packets.world_net_ip4, "via", packets.pod_two_ip4)
    rig.pod.sysctl("ipv4/conf/eth0/rp_filter", 2)
    changed = picture(rig.pod, inside=True)
    rig.unsplice(port)
    assert_same(changed, picture(rig.pod, inside=True))


def test_one_that_the_pod_moved_to_a_namespace_of_its_own_comes_back_there(
    rig: Rig,
) -> None:
    """Taken for deleted, it would be deleted with its host's end: cut off for good."""
    port = rig.splice()
    nested = rig.lab.netns("nested")
    rig.pod.run("ip", "link", "set", "eth0", "netns", str(nested.pid))
    nested.run("ip", "addr", "add", f"{packets.pod_one_ip4}/24", "dev", "eth0")
    nested.run("ip", "link", "set", "eth0", "up")
    rig.unsplice(port)
    assert (rig.ports(), rig.journals()) == ([], [])
    nested.run("ping", "-c1", "-W2", packets.gateway_ip4)


def test_neighbours_and_groups_that_somebody_set_are_kept(rig: Rig) -> None:
    neighbour = packets.pod_three_ip4, packets.pod_three_ip6
    managed = packets.pod_two_ip4
    for address in neighbour:
        rig.pod.run(
            *("ip", "neigh", "add", address, "lladdr", packets.stranger_mac),
            *("nud", "noarp", "dev", "eth0"),
        )
    rig.pod.run("ip", "neigh", "add", managed, "managed", "dev", "eth0")
    rig.pod.run("ip", "maddr", "add", "01:00:5e:00:00:77", "dev", "eth0")

    def kept() -> bool:
        shown = rig.pod.ip("neigh", "show", "nud", "all", "dev", "eth0")
        set_so = {entry["dst"]: entry["state"] for entry in shown}
        groups = rig.pod.run("ip", "maddr", "show", "dev", "eth0").stdout
        return (
            [set_so.get(address) for address in neighbour] == [["NOARP"]] * 2
            and any(e["dst"] == managed and "managed" in e for e in shown)
            and "01:00:5e:00:00:77 static" in groups
        )

    assert kept()
    port = rig.splice()
    assert kept()
    rig.unsplice(port)
    assert kept()


def test_an_address_that_another_has_is_not_taken_from_it(rig: Rig) -> None:
    taken = packets.gateway_ip6
    rig.pod.sysctl("ipv6/conf/eth0/accept_dad", 1)
    rig.pod.sysctl("ipv6/conf/eth0/router_solicitation_delay", 0)
    rig.pod.run("ip", "addr", "add", f"{taken}/64", "dev", "eth0")

    def refused() -> bool:
        entry = rig.pod.ip("-6", "addr", "show", "dev", "eth0", "to", taken)
        return any(
            it.get("dadfailed") for at in entry if at for it in at["addr_info"] if it
        )

    wait_for(refused)
    port = rig.splice()
    assert all(not text.startswith(f"{taken}/") for text in port.addresses)
    wait_for(refused)
    rig.pod.run("ping", "-c1", "-W2", packets.pod_two_ip6)
    rig.unsplice(port)
    wait_for(refused)


def test_routes_over_two_interfaces_keep_their_hops_and_their_order(rig: Rig) -> None:
    """Of equal IPv4 routes the first is used: eth0's must come back before eth1's."""
    rig.lab.veth(rig.pod, "eth1", rig.host, "veth9")
    rig.host.run("ip", "link", "set", "veth9", "master", "br0")
    rig.pod.run("ip", "addr", "add", f"{packets.leased_ip4}/32", "dev", "eth1")
    rig.pod.run("ip", "addr", "add", f"{packets.leased_ip6}/64", "dev", "eth1")
    for family, net, one, two in (
        ("-4", packets.multipath_net_ip4, packets.gateway_ip4, packets.pod_two_ip4),
        ("-6", packets.multipath_net_ip6, packets.gateway_ip6, packets.pod_two_ip6),
    ):
        rig.pod.run(
            *("ip", family, "route", "add", net, "nexthop", "via", one, "dev", "eth0"),
            *("nexthop", "via", two, "dev", "eth1", "onlink"),
        )
    for interface in ("eth0", "eth1"):
        rig.pod.run("ip", "route", "append", packets.world_net_ip4, "dev", interface)
    order = [r["dev"] for r in rig.pod.ip("route", "show", packets.world_net_ip4)]
    assert order == ["eth0", "eth1"]
    pod, inside = picture(rig.pod), picture(rig.pod, inside=True)
    port = rig.splice()
    assert_same(inside, picture(rig.pod, inside=True))
    shown = rig.pod.ip("route", "show", packets.world_net_ip4)
    assert [r["dev"] for r in shown] == order
    rig.unsplice(port)
    assert_same(pod, picture(rig.pod))


def test_routes_over_gateways_that_are_on_no_link_any_more_are_kept(rig: Rig) -> None:
    """The kernel keeps them when the address goes that made them reachable; it would not take them
    anew, and a splice that fails at them could not be rolled back, either.
    """
    ips = (packets.gateway_ip4, packets.gateway_ip6)
    weighed = [
        ("nexthop", "dev", "eth0", "via", packets.gateway_ip4, "weight", n)
        for n in "12"
    ]
    rig.pod.run(
        "ip", "route", "add", packets.multipath_net_ip4, *weighed[0], *weighed[1]
    )
    for number, (ip, net) in enumerate(
        zip(ips, (packets.nexthop_net_ip4, packets.nexthop_net_ip6), strict=True), 11
    ):
        rig.pod.run("ip", "nexthop", "add", "id", str(number), "via", ip, "dev", "eth0")
        rig.pod.run("ip", "route", "add", net, "nhid", str(number))
    rig.pod.run("ip", "addr", "add", f"{packets.pod_peer_ip4}/32", "dev", "eth0")
    for ip, length in (
        (packets.pod_one_ip4, packets.prefix_ip4),
        (packets.pod_one_ip6, packets.prefix_ip6),
    ):
        rig.pod.run("ip", "addr", "del", f"{ip}/{length}", "dev", "eth0")
    inside, pod = picture(rig.pod, inside=True), picture(rig.pod)
    port = rig.splice()
    assert_same(inside, picture(rig.pod, inside=True))
    rig.unsplice(port)
    assert_same(pod, picture(rig.pod))


def test_a_workload_whose_loopback_has_no_ipv6_is_attached_and_detached(
    rig: Rig,
) -> None:
    rig.pod.sysctl("ipv6/conf/lo/disable_ipv6", 1)
    pod = picture(rig.pod)
    port = rig.splice()
    rig.pod.run("ping", "-c1", "-W2", packets.gateway_ip6)
    rig.unsplice(port)
    assert_same(pod, picture(rig.pod))


def test_offloads_that_the_workload_switched_off_stay_off(rig: Rig) -> None:
    def offloads() -> str:
        return rig.pod.run("ethtool", "-k", "eth0").stdout

    rig.pod.run("ethtool", "-K", "eth0", "tx", "off", "gro", "on")
    before = offloads()
    port = rig.splice()
    assert offloads() == before
    rig.pod.run("ethtool", "-K", "eth0", "tx", "on", "rx", "off")
    changed = offloads()
    rig.unsplice(port)
    assert offloads() == changed


def test_a_workload_whose_host_peer_is_down_is_attached_and_detached(rig: Rig) -> None:
    """No carrier: the kernel's own local routes come and go with it."""
    rig.host.run("ip", "link", "set", "veth0", "down")
    addresses = picture(rig.pod)["addresses"]
    port = rig.splice()
    rig.unsplice(port)
    assert picture(rig.pod)["addresses"] == addresses
    rig.host.run("ip", "link", "set", "veth0", "up")
    rig.pod.run("ping", "-c1", "-W2", packets.gateway_ip6)


def test_addresses_under_duplicate_detection_do_not_stop_the_splice(rig: Rig) -> None:
    """A container is often attached in the second in which it starts."""
    rig.pod.sysctl("ipv6/conf/eth0/accept_dad", 1)
    rig.pod.sysctl("ipv6/conf/eth0/dad_transmits", 100)
    rig.pod.run("ip", "addr", "add", f"{packets.leased_ip6}/64", "dev", "eth0")
    assert rig.pod.ip("addr", "show", "tentative")
    rig.unsplice(rig.splice())
    shown = json.dumps(rig.pod.ip("addr", "show", "dev", "eth0"))
    assert packets.leased_ip6 in shown


def test_temporary_and_managed_addresses_are_kept_as_addresses(rig: Rig) -> None:
    """The kernel alone can make a temporary one; it stays, as an ordinary address."""
    rig.pod.sysctl("ipv6/conf/eth0/use_tempaddr", 2)
    rig.pod.run(
        *("ip", "addr", "add", f"{packets.leased_ip6}/64", "dev", "eth0"),
        *("valid_lft", "3000", "preferred_lft", "2000", "mngtmpaddr"),
    )

    def texts() -> list[str]:
        (entry,) = rig.pod.ip("-6", "addr", "show", "dev", "eth0")
        return [address["local"] for address in entry["addr_info"]]

    before = wait_for(lambda: len(texts()) > 3 and texts())
    port = rig.splice()
    assert texts() == before
    rig.unsplice(port)
    assert texts() == before
