"""An interface that is a port inside the workload: its bridge has it back with all that it kept of it, also when
a splice is cut short; what does not take one back as it was is left alone.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyctl.errors import RefusedError
from tests import packets
from tests.lab.datapath.splice import Rig, killed_at
from tests.lab.pace import wait_for

SETTINGS = (
    "bridge link set dev eth0 cost 77 priority 9 hairpin on learning off flood off",
    "bridge link set dev eth0 mcast_flood off bcast_flood off isolated on neigh_suppress on",
    "bridge link set dev eth0 guard on root_block on fastleave on backup_port far",
    "bridge link set dev far backup_port eth0",
    "ip link set dev eth0 type bridge_slave mcast_router 2 proxy_arp on group_fwd_mask 8",
    f"bridge fdb add {packets.stranger_mac} dev eth0 master static",
    f"bridge fdb add {packets.pod_three_mac} dev eth0 master static sticky",
    "bridge mdb add dev br1 port eth0 grp 239.5.5.5 permanent",
    "bridge mdb add dev br1 port eth0 grp 239.5.5.6 src 198.51.100.1 permanent",
)


def bridged(rig: Rig, *options: str) -> None:
    """Make eth0 a port of br1, beside one end of a pair."""
    make = ("ip", "link", "add", "br1", "type", "bridge", *options)
    if rig.pod.run(*make, check=False).returncode:
        pytest.skip(f"this kernel makes no bridge with {' '.join(options)}")
    rig.pod.batch("link set br1 up", "link add far type veth peer name end")
    rig.pod.batch("link set far master br1", "link set far up", "link set end up")
    rig.pod.batch("link set eth0 master br1")
    wait_for(lambda: shown(rig)["operstate"] == "UP")


def shown(rig: Rig) -> dict[str, Any]:
    (link,) = rig.pod.ip("link", "show", "eth0")
    return dict(link)


def kept(rig: Rig) -> list[Any]:
    """What the bridge keeps of its ports, as iproute2 shows it, without what its ports count and number."""
    port = {
        key: value
        for key, value in shown(rig)["linkinfo"]["info_slave_data"].items()
        if not key.endswith("_timer") and key not in {"no", "id", "designated_port"}
    }
    found = [port]
    for command in ("link", "fdb", "mdb", "vlan", "vlan tunnelshow"):
        argv = ["bridge", "-d", "-j", *command.split()]
        shows = rig.pod.run(*argv, check=not command.startswith("vlan"))
        # A kernel without VLANs shows none.
        entries = json.loads(shows.stdout or "[]") if not shows.returncode else []
        if command == "link":
            entries = [[one.get("master"), one.get("backup_port")] for one in entries]
        if command == "mdb":
            every = [one for table in entries for one in table["mdb"]]
            entries = [one for one in every if one["state"] == "permanent"]
        if command == "fdb":
            entries = [one for one in entries if one.get("state") != ""]
        found.append(sorted(json.dumps(one, sort_keys=True) for one in entries))
    return found


def keeps_all_there_and_home(rig: Rig) -> None:
    """Splice and unsplice: the bridge's port is the same after each, and nothing is told."""
    before = kept(rig)
    told: list[str] = []
    port = rig.splice(tell=told.append)
    assert kept(rig) == before
    rig.unsplice(port, tell=told.append)
    assert kept(rig) == before
    assert told == []


def test_a_bridge_has_its_port_back_with_all_settings(rig: Rig) -> None:
    bridged(rig)
    for line in SETTINGS:
        rig.pod.run(*line.split())
    keeps_all_there_and_home(rig)


@pytest.mark.parametrize("action", ["attach", "detach"])
def test_a_killed_splice_leaves_a_bridge_s_port_as_it_was(
    rig: Rig, action: str
) -> None:
    bridged(rig)
    for line in SETTINGS:
        rig.pod.run(*line.split())
    before = kept(rig)
    if action == "attach":
        assert killed_at("after create", lambda fault: rig.splice(fault=fault))
    else:
        port = rig.splice()
        assert killed_at("after move", lambda fault: rig.unsplice(port, fault=fault))
    rig.recover()
    assert kept(rig) == before
    assert (rig.ports(), rig.journals()) == ([], [])


def test_a_state_that_somebody_gave_a_port_is_given_back(rig: Rig) -> None:
    bridged(rig)
    rig.pod.run(*["bridge", "link", "set", "dev", "eth0", "state", "disabled"])
    before = kept(rig)
    port = rig.splice()
    assert kept(rig) == before
    assert before[0]["state"] == "disabled"
    rig.unsplice(port)
    assert kept(rig) == before


def test_a_port_s_vlans_and_tunnels_come_along_and_home_again(rig: Rig) -> None:
    bridged(rig, "vlan_filtering", "1")
    for line in (
        "bridge link set dev eth0 vlan_tunnel on",
        "bridge vlan del dev eth0 vid 1",
        "bridge vlan add dev eth0 vid 10 pvid untagged",
        "bridge vlan add dev eth0 vid 20-29",
        "bridge vlan add dev eth0 vid 40 untagged",
        "bridge vlan add dev eth0 vid 20-22 tunnel_info id 1020-1022",
        "bridge vlan set dev eth0 vid 29 state blocking",
        f"bridge fdb add {packets.stranger_mac} dev eth0 master static vlan 20",
    ):
        rig.pod.run(*line.split())
    keeps_all_there_and_home(rig)


def test_an_interface_stays_in_its_vrf(rig: Rig) -> None:
    made = rig.pod.run(
        *["ip", "link", "add", "red", "type", "vrf", "table", "10"], check=False
    )
    if made.returncode:
        pytest.skip("this kernel makes no VRF")
    rig.pod.batch("link set red up", "link set eth0 master red")
    port = rig.splice()
    assert shown(rig)["master"] == "red"
    rig.pod.run("ping", "-I", "red", "-c1", "-W2", rig.gateway)
    rig.unsplice(port)
    assert shown(rig)["master"] == "red"
    rig.pod.run("ping", "-I", "red", "-c1", "-W2", rig.gateway)


def bonded(rig: Rig) -> None:
    """Put eth0 into bond0."""
    make = ["ip", "link", "add", "bond0", "type", "bond", "mode", "active-backup"]
    if rig.pod.run(*make, check=False).returncode:
        pytest.skip("this kernel makes no bond")
    rig.pod.batch(
        "link set eth0 down", "link set eth0 master bond0", "link set bond0 up"
    )


def test_a_bond_s_port_is_refused(rig: Rig) -> None:
    bonded(rig)
    for force in (False, True):
        with pytest.raises(RefusedError, match=r"port of bond0 \(bond\)"):
            rig.splice(force=force)
    assert shown(rig)["master"] == "bond0"


def test_a_bond_that_takes_the_interface_meanwhile_holds_no_detach(rig: Rig) -> None:
    port = rig.splice()
    bonded(rig)
    rig.unsplice(port)
    assert (shown(rig)["master"], rig.ports()) == ("bond0", [])


def test_what_a_port_has_that_cannot_come_back_is_lost_only_where_that_is_asked_for(
    rig: Rig,
) -> None:
    bridged(rig)
    rig.pod.run(*SETTINGS[-2].split())
    rig.pod.run("ip", "link", "set", "br1", "down")
    with pytest.raises(RefusedError, match="permanent multicast groups"):
        rig.splice()
    told: list[str] = []
    port = rig.splice(force=True, tell=told.append)
    assert any("multicast groups" in one for one in told)
    rig.unsplice(port)
    assert shown(rig)["master"] == "br1"


def test_a_spanning_tree_inside_is_borne_only_by_who_says_so(rig: Rig) -> None:
    bridged(rig, "forward_delay", "200", "stp_state", "1")

    def state() -> str:
        return rig.pod.run("bridge", "link", "show", "dev", "eth0").stdout

    wait_for(lambda: "state forwarding" in state(), 10)
    with pytest.raises(RefusedError, match=r"workload's bridge.*spanning tree.*4 s"):
        rig.splice()
    assert "state forwarding" in state()
