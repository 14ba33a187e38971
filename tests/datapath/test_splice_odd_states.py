"""Whatever a workload gave itself, it is attached and detached, and has it back or is told what it lost."""

from __future__ import annotations

import socket
import subprocess

import pytest

from pyctl.errors import SegctlError
from pyctl.platform.netlink import links
from tests import packets
from tests.lab.datapath.splice import Rig
from tests.lab.net.netns import Lab, Netns
from tests.lab.segctl.agent import AgentProcess

SHOWN = ("link", "addr", "route show table all", "-6 route show table all", "nexthop")


def shown(pod: Netns) -> list[list[bytes]]:
    """What the workload has, with names of any bytes."""
    with pod.inside():
        return [
            sorted(subprocess.check_output(["ip", *what.split(" ")]).splitlines())
            for what in SHOWN
        ]


def by(pod: Netns, *lines: str) -> None:
    for line in lines:
        pod.run("ip", *line.split(" "))


GATE = packets.gateway_ip4
STATES = {
    "names of any bytes": (
        "link property add dev eth0 altname q\udcff\udc85",
        "link set eth0 alias a\udcff\x1b[31m",
        f"addr add {packets.pod_one_extra_ip4}/32 dev eth0 label eth0:\udcfe",
    ),
    "groups joined by addresses": (
        f"addr add {packets.group_ip4}/32 dev eth0 autojoin",
        f"addr add {packets.group_ip6}/128 dev eth0 autojoin",
    ),
    "a way out over a resilient group": (
        f"nexthop add id 5 via {GATE} dev eth0",
        "nexthop add id 7 group 5 type resilient buckets 32",
        "route replace default nhid 7",
    ),
    # Which an interface can be called as long as it has no IPv6.
    "a name of the kernel's own": (
        "link set eth0 mtu 500",
        "link set eth0 down",
        "link set eth0 name all",
        "link set all up",
        f"route add default via {GATE}",
    ),
}


@pytest.mark.parametrize("state", STATES)
def test_it_has_all_of_it_back(rig: Rig, state: str) -> None:
    by(rig.pod, *STATES[state])
    name = "all" if "link set all up" in STATES[state] else "eth0"
    before, told = shown(rig.pod), []
    rig.unsplice(rig.splice(name, tell=told.append), tell=told.append)
    assert told == []
    assert shown(rig.pod) == before
    rig.pod.run("ping", "-c1", "-W2", GATE)


def test_addresses_that_the_kernel_makes_by_itself_are_no_fault(rig: Rig) -> None:
    """Chosen after the link-local address was made, the secret makes another one."""
    for key, value in (("stable_secret", "fd00::1"), ("addr_gen_mode", 2)):
        rig.pod.sysctl(f"ipv6/conf/eth0/{key}", value)
    told: list[str] = []
    rig.unsplice(rig.splice(tell=told.append), tell=told.append)
    assert told == []
    assert rig.pod.sysctl("ipv6/conf/eth0/addr_gen_mode") == "2"


def test_a_way_out_that_its_rules_hide_is_put_on_the_link(rig: Rig) -> None:
    """The kernel looks for the gateway by them, and finds none."""
    by(rig.pod, "rule add unreachable pref 6")
    told: list[str] = []
    port = rig.splice(tell=told.append)
    assert any("as if that were on the link" in one for one in told)
    by(rig.pod, "rule del pref 6")
    rig.pod.run("ping", "-c1", "-W2", GATE)
    rig.unsplice(port)
    assert f"default via {GATE} dev eth0 onlink" in rig.pod.run("ip", "route").stdout


def without_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that takes no address back, of the pod's interface."""
    monkeypatch.setattr(
        "pyctl.platform.netlink.l3.address_messages",
        lambda _body: [links.altname_message(0x7FFFFFFF, ("q",), add=True)],
    )


def test_what_cuts_off_is_taken_back_by_hand_and_borne_by_force(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_addresses(monkeypatch)
    with pytest.raises(SegctlError, match="at addresses") as caught:
        rig.splice()
    assert caught.value.state.startswith("not all is as it was: undoing strip")
    assert "--force" in caught.value.advice
    assert (rig.ports(), rig.journals()) == ([], [])
    monkeypatch.undo()
    by(rig.pod, f"addr add {packets.pod_one_ip4}/{packets.prefix_ip4} dev eth0")
    without_addresses(monkeypatch)
    told: list[str] = []
    port = rig.splice(force=True, tell=told.append)
    assert any(one.startswith("could not put 1 addresses back") for one in told)
    assert rig.ports() == sorted((port.vex, port.vin))


def test_with_odd_names_everywhere_it_is_attached_listed_shown_and_detached(
    agent: AgentProcess, lab: Lab
) -> None:
    _host, (pod, _other) = lab.pods()
    by(
        pod,
        *STATES["names of any bytes"],
        "link add x\udcff\udc85 type veth peer name peer",
    )
    with pod.inside():
        sockets = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for one, name in zip(sockets, (b"\xff\xfe", b"a\nb\n", b"\x85\x1c"), strict=True):
        one.bind(b"\0" + name)
    before = shown(pod)
    agent.start()
    agent.cli("attach", "--pid", str(pod.pid), "--name", "odd", "--mode", "protect")
    assert "odd" in agent.cli("list").stdout
    agent.cli("show", "odd", "-o", "json")
    agent.cli("list", "-o", "json")
    agent.cli("events")
    agent.cli("detach", "--all")
    assert shown(pod) == before
    for one in sockets:
        one.close()
