"""A spliced workload is the workload it was: seen from inside while attached, from
everywhere afterwards.
"""

from __future__ import annotations

from tests import packets
from tests.fixtures.snapshot import assert_same, picture
from tests.fixtures.splice import PORT_ID, Rig, furnish


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
