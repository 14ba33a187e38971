"""Whoever answers a flow's first packet, kernel or engine, answers as the policy of that moment is written: whatever
came, went, moved or was applied before, so that no decision outlives its reasons.

SEGCTL_TEST_EXAMPLES: how many worlds are tried.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether

from pyctl.model.policy import Action, Direction
from pyctl.model.truth import Judgement, judged, staged
from pyctl.model.workload import Mode, Workload
from pyctl.policy.compile.compiler import Compiler
from pyctl.policy.document.casts import with_subnets
from pyctl.policy.document.resolve import addresses, effective_mode
from pyctl.policy.document.types import ANY, Policy, PortSpec, Rule
from pyctl.policy.evaluate.explain import says
from tests import packets
from tests.kernel.conftest import Lab
from tests.kernel.node import Node, made
from tests.unit.policy.makers import port
from tests.unit.policy.worlds import POOL, joins, leaves, policies
from tests.unit.policy.written import numbers, written

EXAMPLES = int(os.environ.get("SEGCTL_TEST_EXAMPLES", "40"))
OLD_CLIENT, NEW_CLIENT = 40000, 41000
ECHO = {4: (1, 8), 6: (58, 128)}
HOOKS = {Direction.EGRESS: "vin", Direction.INGRESS: "vex"}
PEERS = [
    ip_address(text)
    for text in (*POOL, packets.world_ip4, packets.world_ip6, packets.gateway_ip4)
]
FORGED = {"spoofed_ip", "taken_ip", "claimed_ip", "peer_mac", "not_mine", "wrong_mac"}
"""Dropped for whose addresses it has, before anybody asks the policy."""
DENIED = {"flow_deny", "policy_deny", "default_deny"}
Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Question:
    """Who opens what to whom, as one workload's port sees it."""

    number: int
    way: Direction
    local: int
    peer: Address
    service: tuple[int, int]
    """Protocol and port; (0, 0): a ping."""

    @property
    def asked(self) -> tuple[int, int]:
        """Protocol and port, or ICMP's type."""
        return self.service if self.service[0] else ECHO[self.peer.version]

    def ends(self, load: Workload) -> tuple[Address, Address] | None:
        """The workload's address and the other; None: it has none that goes with it."""
        own = [
            ip
            for ip in addresses(load)
            if ip.version == self.peer.version and ip != self.peer
        ]
        return (own[self.local % len(own)], self.peer) if own else None


questions = st.lists(
    st.builds(
        Question,
        st.integers(0, 3),
        st.sampled_from(Direction),
        st.integers(0, 1),
        st.sampled_from(PEERS),
        st.sampled_from([(6, 80), (6, 80), (6, 443), (17, 53), (0, 0)]),
    ),
    min_size=2,
    max_size=4,
    unique=True,
)
LAST = [
    Rule(99, source, target, (PortSpec(text, proto, *ports),), Action.ALLOW, "", *rest)
    for source, target in ((ANY, ANY), ("g0", ANY), (ANY, "g1"))
    for text, proto, *ports in (("any", "any"), ("tcp/80", "tcp", 80, 80))
    for rest in ((True, None, False),)
]
open_policies = st.builds(
    lambda policy, last: replace(policy, rules=(*policy.rules, *last)),
    policies(),
    st.sampled_from([(), *[(one,) for one in LAST[:1] * 4 + LAST]]),
)
"""As policies(), and many of them allow most of what no rule before denies."""
modes = st.tuples(
    st.builds("w{}".format, st.integers(0, 3)), st.sampled_from([None, *Mode])
)
joined = st.builds(
    lambda load, mode: replace(load, attach_mode=mode),
    joins(),
    st.sampled_from([*[Mode.PROTECT] * 3, Mode.MONITOR, Mode.MONITOR, Mode.DISCOVER]),
)
turned = st.integers(0, 8)
"""Which rule says the opposite from now on."""
steps = st.lists(
    st.one_of(joined, joined, leaves, open_policies, modes, turned),
    min_size=1,
    max_size=8,
)


@functools.lru_cache(maxsize=1 << 14)
def first_packet(
    macs: tuple[str, str], source: Address, target: Address, client: int, asked: tuple
) -> bytes:
    """A SYN, a datagram, or an echo request whose identifier is the client's port."""
    proto, number = asked
    if proto == 6:
        layer = TCP(sport=client, dport=number, flags="S")
    elif proto == 17:
        layer = UDP(sport=client, dport=number)
    else:
        layer = ICMP(id=client) if proto == 1 else ICMPv6EchoRequest(id=client)
    ip = IP if source.version == 4 else IPv6
    return bytes(
        Ether(src=macs[0], dst=macs[1]) / ip(src=str(source), dst=str(target)) / layer
    )


def recorded_ports(client: int, asked: tuple[int, int]) -> tuple[int, int]:
    """As a session has them."""
    proto, number = asked
    return (client, number) if proto in {6, 17} else (number << 8, client)


@dataclass
class World:
    """The node, what is attached to it, and what its policy says as it is written."""

    node: Node
    compiler: Compiler
    loads: dict[str, Workload] = field(default_factory=dict)
    met: Counter[str] = field(default_factory=Counter)
    """How many first packets met what."""
    clients: Iterator[int] = field(default_factory=lambda: iter(range(NEW_CLIENT, 1 << 16)))  # fmt: skip

    def change(self, step: object) -> None:
        rules = list(self.compiler.written.rules)
        if isinstance(step, Policy):
            self.compiler = Compiler(step)
        elif isinstance(step, int) and rules:
            one = rules[step % len(rules)]
            denies = one.action is not Action.ALLOW
            action = Action.ALLOW if denies else Action.DENY
            rules[step % len(rules)] = replace(one, action=action)
            self.compiler = Compiler(replace(self.compiler.written, rules=tuple(rules)))
        elif isinstance(step, Workload):
            self.loads[step.name] = step
        elif isinstance(step, tuple) and step[0] in self.loads:
            self.loads[step[0]] = self.loads[step[0]].forced(step[1])
        elif isinstance(step, str):
            self.loads.pop(step, None)
        self.node.follow(self.loads.values(), self.compiler)

    def macs(self, load: Workload, question: Question) -> tuple[str, str]:
        """Source and destination of the frame: the other end's is its own on the same bridge, else the gateway's."""
        (own,) = load.ports
        there = [
            each.ports[0].mac
            for each in self.loads.values()
            if question.peer in addresses(each)
            and each.ports[0].segment == own.segment != 0
        ]
        far = there[0] if there else packets.gateway_mac
        return (own.mac, far) if question.way is Direction.EGRESS else (far, own.mac)

    def expected(
        self, load: Workload, question: Question, ends: tuple[Address, Address]
    ) -> tuple[Judgement, int, bool]:
        """What becomes of it by the rules as they are written, the rule that says so (0: none), and whether a staged
        one is counted, too."""
        loads = list(self.loads.values())
        policy = with_subnets(self.compiler.written, loads)
        found = written(*(policy, loads, load, question.way, *ends, *question.asked))
        mode = effective_mode(self.compiler.written, load).mode
        here = judged(mode, says(found.rule))
        wanted = staged(here, found.staged and says(found.staged))
        rule_id = numbers(found)[wanted.reason == "staged_deny"]
        return wanted, rule_id, found.staged is not None

    def ask(self, question: Question) -> None:
        """Three of them: one on a tuple of before, two on new ones."""
        if not self.loads:
            return
        load = self.loads[sorted(self.loads)[question.number % len(self.loads)]]
        ends = question.ends(load)
        if not ends:
            return
        opened = {}
        for client in (OLD_CLIENT, next(self.clients), next(self.clients)):
            out = question.way is Direction.EGRESS
            source, target = ends if out else ends[::-1]
            macs = self.macs(load, question)
            frame = first_packet(macs, source, target, client, question.asked)
            wanted, *decided = self.expected(load, question, ends)
            if self.answered(load, question, frame, wanted) and wanted.verdict:
                sport, dport = recorded_ports(client, question.asked)
                opened[str(source), sport, str(target), dport] = (
                    wanted.verdict == "violation",
                    *decided,
                )
        self.recorded(load, question, opened)

    def answered(
        self, load: Workload, question: Question, frame: bytes, wanted: Judgement
    ) -> bool:
        """It is answered as wanted; whether it passed."""
        (own,) = load.ports
        hook = HOOKS[question.way]
        ifindex = own.vin_ifindex if hook == "vin" else own.vex_ifindex
        before = self.node.counters(own.port_id).get("from_engine", 0)
        met = self.node.run(own.port_id, hook, ifindex, frame)
        reasons = set(met.reasons)
        if reasons & FORGED:
            self.met["forged"] += 1
            return False
        if reasons == {"to_engine"}:
            passed = self.node.counters(own.port_id).get("from_engine", 0) > before
            holds = effective_mode(self.compiler.written, load).mode is Mode.PROTECT
            self.met["engine " + ("allows" if passed else "denies")] += 1
            assert passed is wanted.passes or not holds
        elif reasons == {"flow_allow"}:
            self.met["kernel allows"] += 1
            assert wanted.passes
        elif reasons == {"quarantine"}:
            assert wanted.reason == "quarantine"
        else:
            assert reasons <= DENIED
            self.met["kernel denies"] += 1
            assert not wanted.passes
        return wanted.passes

    def recorded(
        self, load: Workload, question: Question, opened: dict[tuple, tuple]
    ) -> None:
        """Each flow that passed has its session, whoever opened it, with the rule that decides."""

        def found() -> dict[tuple, tuple]:
            known = {
                (one.source, one.sport, one.destination, one.dport): (
                    one.violation,
                    one.rule_id,
                    len(one.keys) > 1,
                )
                for one in self.node.sessions(load.ports[0].port_id)
                if one.direction is question.way and not one.ended
            }
            return {key: known.get(key) for key in opened}

        self.node.until(lambda: None not in found().values())
        assert found() == opened


@pytest.fixture(scope="module")
def ifindexes() -> list[int]:
    """Name: ifindexes. Scope: module. Depends: nothing. Of the links that the workloads of worlds.py have."""
    return [
        index
        for number in range(1, 5)
        for index in (port(number).vex_ifindex, port(number).vin_ifindex)
    ]


def test_each_first_packet_is_answered_as_the_policy_is_written(
    kernel: Lab, ifindexes: list[int]
):
    met: Counter[str] = Counter()
    with made(kernel, ifindexes) as node:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(
            open_policies, st.lists(joined, min_size=3, max_size=6), steps, questions
        )
        def answers(policy, present, row, asked):
            world = World(node, Compiler(policy), met=met)
            node.start()
            try:
                for step in present:
                    world.change(step)
                for step in (None, *row):
                    world.change(step)
                    for question in asked:
                        world.ask(question)
            finally:
                world.loads = {}
                world.change(None)

        answers()
    assert all(
        met[one] for one in ("kernel allows", "engine allows", "engine denies")
    ), met
