"""The hand-made demo of the documents: the engine in the dp's place, driven with the dp's messages.

The rewriting is done by the documents' tc rules where the kernel has act_pedit, and everywhere by a
small program, so that the engine's side is held to it on every kernel.
"""

from __future__ import annotations

import json
import socket
import struct

import pytest

from pyctl.engine.dp import replies
from tests import packets
from tests.lab.datapath.wiring import Sniffer
from tests.lab.net.netns import Lab, Netns
from tests.lab.net.traffic import pings, reaches, tcp_echo, tcp_talk, tcp_try
from tests.lab.pace import wait_for
from tests.lab.segctl.agent import SEGCTL
from tests.lab.segctl.dp import START_SECONDS, Demo, DpClient, add_mac, drive
from tests.unit.fallback_tc.seeds import BY_HAND

ALLOW, VIOLATE, DENY = 2, 6, 7
BOTH, WHOLE = 3, 3
ICMP, TCP = 1, 6
PORT = 8080
ORIGINAL = bytes.fromhex(packets.seed_two_mac.replace(":", ""))
REWRITTEN = bytes.fromhex(packets.seed_two_ucmac.replace(":", ""))


def pedit_missing(lab: Lab) -> str:
    """What tc says where act_pedit is not there; empty where it is."""
    ns = lab.netns("probe")
    ns.run("ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1")
    ns.run("tc", "qdisc", "add", "dev", "probe0", "ingress")
    rule = (
        "tc filter add dev probe0 parent ffff: protocol all u32 match u8 0 0 "
        "action pedit munge offset -14 u16 set 0x4e65"
    )
    done = ns.run(*rule.split(), check=False)
    return done.stderr.strip() or "refused" if done.returncode else ""


@pytest.fixture
def rewriting(request: pytest.FixtureRequest, demo: Demo) -> Demo:
    """The demo with the rewriting that the test's parameter names."""
    if request.param == "tc":
        missing = pedit_missing(demo.lab)
        if missing:
            pytest.skip(f"the kernel has no act_pedit: {missing.splitlines()[0]}")
        demo.type(BY_HAND, demo.agent)
    else:
        demo.rewrite()
    return demo


by_both = pytest.mark.parametrize("rewriting", ["tc", "program"], indirect=True)
by_program = pytest.mark.parametrize("rewriting", ["program"], indirect=True)


def requests(sniffer: Sniffer) -> set[bytes]:
    """The destination MACs of the echo requests that came by."""
    return {
        frame[:6]
        for frame in sniffer.frames()
        if frame[12:14] == b"\x08\x00" and frame[23] == ICMP and frame[34] == 8
    }


def answers(ns: Netns) -> int:
    """How many of three pings to the container are answered."""
    return pings(ns, packets.seed_container_ip4, 3)


def policy(
    client: DpClient, *rules: dict[str, object], defact: int = DENY, flag: int = WHOLE
) -> None:
    """Give the container this policy."""
    client.send(
        "ctrl_cfg_policy",
        cmd=1,
        flag=flag,
        defact=defact,
        dir=BOTH,
        mac=[packets.seed_two_mac],
        rules=list(rules),
    )
    client.sync()


def inbound(number: int, proto: int, action: int, port: int = 0) -> dict[str, object]:
    """A rule for what the host opens to the container."""
    return {
        "id": number,
        "sip": packets.seed_host_ip4,
        "dip": packets.seed_container_ip4,
        "port": port,
        "portr": port,
        "proto": proto,
        "action": action,
        "ingress": True,
    }


@by_both
def test_the_demo_shows_what_its_document_saw_and_then_the_engine_runs(rewriting):
    """Without an engine: rewritten on vbr, original on vex, nothing on vin but broadcasts. With
    it: the ping is answered, and vin sees the original."""
    demo = rewriting
    vex, vbr, vin = (Sniffer(demo.agent, name) for name in ("vex", "vbr", "vin"))
    assert answers(demo.host) == 0
    assert requests(vex) == {ORIGINAL}
    assert requests(vbr) == {REWRITTEN}
    assert requests(vin) == set()
    assert any(frame[:6] == b"\xff" * 6 for frame in vin.frames()), "ARP passes"

    drive(demo.start_engine())
    reaches(demo.host, packets.seed_container_ip4)
    assert answers(demo.host) == 3
    assert requests(vin) == {ORIGINAL}
    assert requests(vex) == {ORIGINAL}
    assert requests(vbr) == {REWRITTEN}
    assert pings(demo.container, packets.seed_host_ip4) == 3


@by_both
def test_an_end_of_the_engine_stops_what_it_carried(rewriting):
    """As when a dp dies: unicast needs it. Another one takes the dead one's place."""
    demo = rewriting
    drive(demo.start_engine())
    reaches(demo.host, packets.seed_container_ip4)
    demo.engine.kill()
    demo.engine.wait()
    assert answers(demo.host) == 0
    drive(demo.start_engine())
    reaches(demo.host, packets.seed_container_ip4)
    assert demo.stop_engine() == 0
    assert not demo.socket.exists()


@by_program
def test_rules_deny_and_allow_from_the_next_packet_on(rewriting):
    demo = rewriting
    client = demo.start_engine()
    drive(client)
    tcp_echo(demo.container, packets.seed_container_ip4, PORT)
    reach = (demo.host, packets.seed_container_ip4, PORT)
    assert tcp_try(*reach) == "open"
    policy(client, inbound(7, TCP, ALLOW, PORT))
    assert tcp_try(*reach) == "open"
    assert tcp_try(*reach[:2], PORT + 1) == "silence"
    assert answers(demo.host) == 3, "ICMP passes where no rule names it"
    policy(client, inbound(7, TCP, DENY, PORT), inbound(8, ICMP, DENY), defact=ALLOW)
    assert tcp_try(*reach) == "silence"
    assert answers(demo.host) == 0
    client.send(
        "ctrl_cfg_policy",
        cmd=3,
        flag=WHOLE,
        defact=DENY,
        dir=BOTH,
        mac=[packets.seed_two_mac],
        rules=[],
    )
    client.sync()
    assert answers(demo.host) == 3, "without a policy all passes"


@by_program
def test_an_open_connection_is_reset_when_a_policy_denies_it(rewriting):
    """Behaviour 18."""
    demo = rewriting
    client = demo.start_engine()
    drive(client)
    tcp_echo(demo.container, packets.seed_container_ip4, PORT)
    talk = tcp_talk(demo.host, packets.seed_container_ip4, PORT)
    assert talk.said("hello") == {"back": "hello\n"}
    policy(client)
    assert talk.said("again")["error"] in {"ConnectionResetError", "BrokenPipeError"}


@by_program
def test_a_policy_holds_only_when_its_last_part_has_come(rewriting):
    """Behaviour 23: no window with half a policy, and a tapped endpoint passes whatever it says."""
    demo = rewriting
    client = demo.start_engine()
    drive(client)
    start, middle, end = 1, 0, 2
    policy(client, inbound(1, TCP, ALLOW), flag=start)
    for _ in range(30):
        policy(client, *(inbound(n, TCP, ALLOW, n) for n in range(2, 42)), flag=middle)
    assert answers(demo.host) == 3
    policy(client, inbound(9, ICMP, DENY), flag=end)
    assert answers(demo.host) == 0
    client.send("ctrl_cfg_mac", macs=[packets.seed_two_mac], tap=True)
    client.sync()
    assert answers(demo.host) == 3
    client.send("ctrl_cfg_mac", macs=[packets.seed_two_mac], tap=False)
    client.sync()
    assert answers(demo.host) == 0, "the policy is kept through a tap"


@by_program
def test_sessions_are_counted_listed_and_end_with_their_endpoint(rewriting):
    demo = rewriting
    client = demo.start_engine()
    drive(client)
    tcp_echo(demo.container, packets.seed_container_ip4, PORT)
    talks = [
        tcp_talk(demo.host, packets.seed_container_ip4, PORT)
        for _ in range(replies.SESSIONS_PER_DATAGRAM + 2)
    ]
    assert talks[0].said("hello") == {"back": "hello\n"}
    count = struct.unpack("!BBH5I", client.ask("ctrl_count_session"))
    assert count[:3] == (3, 0, 24)
    assert count[3:] == (len(talks), len(talks), 0, 0, 0)

    rows = []
    reply = client.ask("ctrl_list_session")
    while reply[1]:
        number = struct.unpack_from("!H", reply, 4)[0]
        assert len(reply) == struct.unpack_from("!H", reply, 2)[0] == 8 + 140 * number
        rows += [reply[8 + 140 * at : 148 + 140 * at] for at in range(number)]
        reply = client.receive()
    assert reply == bytes((2, 0, 0, 8, 0, 0, 0, 0))
    assert len(rows) == len(talks)
    for row in rows:
        assert row[4:10] == ORIGINAL
        assert struct.unpack_from("!H", row, 58) == (PORT,)
        assert row[62] == TCP
        assert row[96:98] == bytes((1, 1)), "established"

    device = struct.unpack("!27Q", client.ask("ctrl_counter_device")[4:220])
    assert device[0] >= 3 * len(talks)
    assert device[2] >= device[0] - device[5], "all but strangers' frames are sent on"

    client.send("ctrl_del_mac", iface="vth", mac=packets.seed_two_mac)
    count = struct.unpack("!BBH5I", client.ask("ctrl_count_session"))
    assert count[3] == 0
    assert answers(demo.host) == 0
    add_mac(client)
    client.sync()
    assert answers(demo.host) == 3


@by_program
def test_a_deleted_port_is_read_no_more_and_may_come_again(rewriting):
    demo = rewriting
    client = demo.start_engine()
    drive(client)
    reaches(demo.host, packets.seed_container_ip4)
    client.send("ctrl_del_srvc_port", iface="vth")
    client.sync()
    assert answers(demo.host) == 0
    client.send("ctrl_add_srvc_port", iface="vth")
    client.sync()
    assert answers(demo.host) == 3


HOSTILE = {
    "nothing": b"",
    "8 KiB of nothing": bytes(8192),
    "8 KiB of depth": b"[" * 8192,
    "more than a datagram holds": b" " * 9000,
    "no JSON": b'{"ctrl_keep_alive": ',
    "no text": b"\xff\xfe",
    "a list": b"[1, 2]",
    "an unknown message": b'{"ctrl_launch": {}}',
    "two messages": b'{"ctrl_keep_alive": {"seq_num": 1}, "ctrl_get_debug": {}}',
    "a body of another type": b'{"ctrl_add_mac": 7}',
    "a missing field": b'{"ctrl_keep_alive": {}}',
    "a number too large": b'{"ctrl_keep_alive": {"seq_num": 4294967296}}',
    "a number beyond all": b'{"ctrl_keep_alive": {"seq_num": 1' + b"0" * 6000 + b"}}",
    "an interface that is a path": b'{"ctrl_add_srvc_port": {"iface": "../vth"}}',
    "an interface that is not there": b'{"ctrl_add_srvc_port": {"iface": "vexx"}}',
    "an interface beside the one in use": b'{"ctrl_add_srvc_port": {"iface": "vin"}}',
    "a port that is not read": b'{"ctrl_del_srvc_port": {"iface": "vin"}}',
    "a part without its start": b'{"ctrl_cfg_internal_net": {"flag": 2, "subnet_addr": []}}',
}


@by_program
def test_hostile_datagrams_get_a_log_line_and_nothing_worse(rewriting):
    demo = rewriting
    client = demo.start_engine()
    drive(client)
    for what, datagram in HOSTILE.items():
        refused = demo.log.count("dp request refused")
        client.send_raw(datagram)
        client.sync()
        assert demo.log.count("dp request refused") == refused + 1, what
    assert client.silent()
    # A question of a client that has no address: the answer has nowhere to go.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unbound:
        unbound.connect(str(demo.socket))
        unbound.send(b'{"ctrl_keep_alive": {"seq_num": 1}}')
    client.sync()
    assert "its asker has no address" in demo.log
    assert "crashed" not in demo.log
    assert answers(demo.host) == 3


def test_debug_lines_are_switched_on_and_off(demo):
    client = demo.start_engine()
    assert json.loads(client.ask("ctrl_get_debug")) == {"dp_debug": {"categories": []}}
    client.send("ctrl_set_debug", categories=["ctrl", "policy"])
    told = json.loads(client.ask("ctrl_get_debug"))
    assert told == {"dp_debug": {"categories": ["ctrl", "policy"]}}
    wait_for(lambda: '"request": "GetDebug"' in demo.log)
    client.send("ctrl_set_debug", categories=["none"])
    client.sync()
    lines = demo.log.count("\n")
    client.sync()
    assert demo.log.count("\n") == lines


def test_a_second_engine_leaves_the_first_one_its_socket(demo):
    client = demo.start_engine()
    done = demo.agent.run(
        *("env", f"SEGCTL_INSTANCE={demo.lab.tag}", SEGCTL, "engine"),
        *("--dp-socket", str(demo.socket)),
        check=False,
        seconds=START_SECONDS,
    )
    assert done.returncode == 1
    assert "Another process serves there" in done.stderr
    client.sync()
