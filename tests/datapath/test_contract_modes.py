"""The truth table of modes with live traffic, each row of it, on each datapath.

Two pods made once and the host as what is not attached; a row is two policies and, where a mode changes, a map write. The
engine is the real one; what it tells goes the way of `segctl flows`. No row waits for a timeout: what
must not open is known to be dropped when its record is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pyctl.engine.client import EngineClient
from pyctl.engine.launch import start_engine
from pyctl.engine.rings import open_rings
from pyctl.model.policy import Action, Direction, PortPolicy, PortRule
from pyctl.model.truth import RuleResult
from pyctl.model.workload import DatapathKind, Mode
from pyctl.platform.bpf.grace import wait_for_programs
from pyctl.state.names import Names
from pyctl.telemetry.history.convert import live, of_event
from pyctl.telemetry.history.values import FlowRecord, Joined
from tests import packets
from tests.lab.datapath.wiring import Wiring
from tests.lab.net.traffic import (
    Program,
    numbers_heard,
    numbers_sent,
    tcp_echo,
    tcp_talk,
)
from tests.lab.pace import wait_for
from tests.lab.truth_rows import Row, rows

PORT = 8080
Attempt = tuple[str, str, int, str, int]
"""What flow.both_see says of it: protocol, source, its port, destination, its port."""
ACTIONS = {RuleResult.ALLOW: Action.ALLOW, RuleResult.DENY: Action.DENY}
RULES = {Direction.EGRESS: 1, Direction.INGRESS: 2}

# One attempt after the other: `try` starts one and tells its port, `state` what became of it.
_ATTEMPTS = """
trying = None
for line in sys.stdin:
    word, *argv = line.split()
    if word == "try":
        if trying: trying.close()
        trying = socket.socket(family(argv[0])); trying.setblocking(False)
        trying.connect_ex((argv[0], int(argv[1]))); say(port=trying.getsockname()[1])
    else:
        done = select.select([], [trying], [], 0.05)[1]
        error = trying.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if done else 0
        say(state=("open" if not error else error) if done else "silence")
"""


@dataclass
class Node:
    """Both pods, the host, and the engine that judges."""

    wiring: Wiring
    engine: EngineClient
    clients: tuple[Program, Program]
    """In the first pod and on the host."""
    server: Program
    """In the second pod."""
    generation: int = 0
    seen: list[FlowRecord] = field(default_factory=list)
    _epoch: int = 0
    _number: int = 0

    def set(self, number: int, mode: Mode, says: RuleResult) -> None:
        """A pod's mode, and what the rules say of its way: the first opens, the second answers."""
        pair = self.wiring.pairs[number]
        self.generation += 1
        action = ACTIONS.get(says)
        way = (Direction.EGRESS, Direction.INGRESS)[number]
        rule = PortRule(RULES[way], way, None, 0, PORT, PORT, action or Action.DENY)
        policy = PortPolicy(
            pair.port_id,
            mode,
            pair.mac,
            (rule,) if action else (),
            Action.ALLOW if mode is Mode.DISCOVER else Action.DENY,
            cache=self.wiring.driver.kind is DatapathKind.EBPF,
        )
        self.engine.policy_set(self.generation, policy)
        # On u32 a whole set of rules is compared, in seconds where emulated.
        if pair.mode is not mode:
            self.wiring.update(number, mode=mode)
        self.wiring.driver.publish({pair.port_id: self.generation})
        wait_for_programs()
        self.engine.sync()

    def listen(self) -> None:
        """Take what the engine has to tell."""
        batch = self.engine.events(self._epoch, after=self._number, ack=self._number)
        self._epoch = batch.epoch
        self._number = batch.first + len(batch.events) - 1
        names = Names()
        self.seen += filter(None, (of_event(event, names) for event in batch.events))

    def records(
        self, attempt: Attempt
    ) -> dict[str, tuple[str, str | None, int | None]]:
        """What each end has recorded of it: (verdict, reason, rule)."""
        self.listen()
        joined = Joined()
        joined.add_all(self.seen)
        joined.add_all(live(self.engine.sessions(), Names()), live=True)
        found = [flow for flow in joined.flows if flow.first.both_see == attempt]
        assert len(found) <= 1, f"both ends are one flow: {found}"
        return {
            str(end.direction): (end.verdict, end.reason, end.rule_id)
            for flow in found
            for end in flow.ends
        }


@pytest.fixture
def node(either: Wiring) -> Iterator[Node]:
    """Name: node. Scope: function. Depends: either. Two attached pods, and the real engine."""
    either.pod()
    either.pod()
    either.attach_all()
    # Quarantine ends ARP too: without these an attempt ends before its first packet.
    one = f"neigh replace {packets.pod_one_ip4} lladdr {packets.pod_one_mac} dev"
    two = f"neigh replace {packets.pod_two_ip4} lladdr {packets.pod_two_mac} dev"
    gateway = f"neigh replace {packets.gateway_ip4} lladdr {packets.gateway_mac} dev"
    either.pods[0].batch(f"{two} eth0", f"{gateway} eth0")
    either.pods[1].batch(f"{one} eth0", f"{gateway} eth0")
    either.host.batch(f"{one} br0", f"{two} br0")
    server = tcp_echo(either.pods[1], packets.pod_two_ip4, PORT)
    tcp_echo(either.host, packets.gateway_ip4, PORT)
    clients = Program(either.pods[0], _ATTEMPTS), Program(either.host, _ATTEMPTS)
    engine = start_engine(either.instance)
    try:
        with open_rings(Path(either.enforcer.path)) as rings:
            engine.give_rings(rings)
            yield Node(either, engine, clients, server)
    finally:
        engine.stop()
        engine.close()


def run(node: Node, row: Row) -> tuple[object, object]:
    """(what must be, what is) of a row."""
    if row.initiator:
        node.set(0, row.initiator, row.at_initiator)
    if row.answerer:
        node.set(1, row.answerer, row.at_answerer)
    quarantined = [node.wiring.counted(number, "quarantine") for number in (0, 1)]
    client = node.clients[0 if row.initiator else 1]
    source = packets.pod_one_ip4 if row.initiator else packets.gateway_ip4
    ip = packets.pod_two_ip4 if row.answerer else packets.gateway_ip4
    # All of it, and nothing earlier: in one of eight runs the kernel chooses one of its 14,000 ports a second
    # time, for the same destination or another.
    node.listen()
    node.seen.clear()
    attempt = ("tcp", source, client.said(f"try {ip} {PORT}")["port"], ip, PORT)
    expected = {
        str(way): (end.verdict, end.reason, rule_of(says, way))
        for way, says, end in (
            (Direction.EGRESS, row.at_initiator, row.outcome.egress),
            (Direction.INGRESS, row.at_answerer, row.outcome.ingress),
        )
        if end and end.verdict
    }
    blackhole = [
        bool(end and end.reason == "quarantine")
        for end in (row.outcome.egress, row.outcome.ingress)
    ]

    def dropped_in_kernel() -> bool:
        # Elsewhere it may be counted as well: a SYN of an earlier row is sent again.
        return all(
            node.wiring.counted(number, "quarantine") > quarantined[number]
            for number in (0, 1)
            if blackhole[number]
        )

    def settled() -> bool:
        opened = not row.outcome.opens or client.said("state")["state"] == "open"
        return opened and node.records(attempt) == expected and dropped_in_kernel()

    wait_for(settled, 3, f"{row}: {node.records(attempt)}, {client.said('state')}")
    state = "open" if row.outcome.opens else "silence"
    return (state, expected), (client.said("state")["state"], node.records(attempt))


def rule_of(says: RuleResult, way: Direction) -> int | None:
    return None if says is RuleResult.NOTHING else RULES[way]


def test_every_row_of_the_truth_table_holds(node: Node):
    """What opens, what does not, and what each end records of it."""
    for row in rows():
        must, found = run(node, row)
        assert found == must, str(row)


def links(node: Node) -> list[tuple[object, ...]]:
    """What a switch must not touch: every interface, its number, place and state."""
    return [
        (ns.name, link["ifname"], link["ifindex"], link.get("address"), link["flags"])
        for ns in (node.wiring.enforcer, *node.wiring.pods)
        for link in ns.ip("link")
    ]


def test_twenty_switches_under_a_stream_lose_and_double_nothing(node: Node):
    """Behaviour 15: a switch is a map write (of a few rules, on u32)."""
    before = links(node)
    server = numbers_heard(node.wiring.pods[1], packets.pod_two_ip4, PORT)
    for number in (0, 1):
        node.set(number, Mode.PROTECT, RuleResult.ALLOW)
    client = numbers_sent(node.wiring.pods[0], packets.pod_two_ip4, PORT)
    modes = (Mode.DISCOVER, Mode.MONITOR, Mode.PROTECT)
    for switch in range(20):
        node.set(switch % 2, modes[switch % 3], RuleResult.ALLOW)
    sent = client.said("stop")["sent"]
    assert sent > 20
    wait_for(lambda: server.said("?")["received"] >= sent)
    assert server.said("?") == {"received": sent, "different": sent}
    assert links(node) == before


def test_a_switch_judges_open_flows_anew(node: Node):
    """Behaviours 15 and 18: what only passed because the mode recorded ends with the mode; both
    sides hear of it."""
    node.set(0, Mode.DISCOVER, RuleResult.ALLOW)
    node.set(1, Mode.MONITOR, RuleResult.DENY)
    talk = tcp_talk(node.wiring.pods[0], packets.pod_two_ip4, PORT)
    for word in ("one", "two", "three"):
        assert talk.said(word) == {"back": f"{word}\n"}
    node.set(1, Mode.PROTECT, RuleResult.DENY)
    assert talk.said("four")["error"] in ("ConnectionResetError", "BrokenPipeError")
    assert node.server.heard() == {"reset": True}
    node.set(1, Mode.QUARANTINE, RuleResult.ALLOW)
    node.set(1, Mode.PROTECT, RuleResult.ALLOW)
    talk = tcp_talk(node.wiring.pods[0], packets.pod_two_ip4, PORT)
    assert talk.said("five") == {"back": "five\n"}
