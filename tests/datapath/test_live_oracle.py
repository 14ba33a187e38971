"""Whatever changes among a few workloads, the connections made after it open as the policy is written.

SEGCTL_TEST_STEPS: how many changes.
"""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass, field
from ipaddress import ip_address

from pyctl.model.policy import Direction
from pyctl.model.truth import connection, judged
from pyctl.model.workload import Mode, Workload
from pyctl.policy.document.casts import with_subnets
from pyctl.policy.document.parse import parse
from pyctl.policy.document.resolve import effective_mode
from pyctl.policy.document.types import Policy
from pyctl.policy.evaluate.explain import says
from tests import packets
from tests.lab.net.netns import Netns
from tests.lab.net.traffic import Program
from tests.lab.pace import patient
from tests.lab.segctl.agent import AgentProcess
from tests.unit.policy.makers import port, workload
from tests.unit.policy.written import written

STEPS = int(os.environ.get("SEGCTL_TEST_STEPS", "25"))
SERVICES, NAMES = (8080, 8081), ("w0", "w1", "w2")
OF = {name: ip4 for name, (ip4, _, _) in zip(NAMES, packets.pods, strict=True)}
WAIT_S = 0.4
TCP = 6

_SERVERS = """
for number in map(int, sys.argv[2:]):
    server = socket.socket(); server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((sys.argv[1], number)); server.listen(256); globals()[f"kept{number}"] = server
say(ready=True); sys.stdin.read()
"""
# For each [address, port] of a line, twice at the same time: whether both opened in time, one, or none.
_CLIENT = """
say(ready=True)
for line in sys.stdin:
    asked, wait = json.loads(line); sockets = {}
    for number, at in enumerate(asked * 2):
        one = socket.socket(); one.setblocking(False); one.connect_ex(tuple(at)); sockets[one] = number
    opened, left = [0] * len(asked), set(sockets); end = time.monotonic() + wait
    while left and time.monotonic() < end:
        for one in select.select([], list(left), [], max(0, end - time.monotonic()))[1]:
            left.discard(one)
            opened[sockets[one] % len(asked)] += not one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    for one in sockets: one.close()
    say(opened=opened)
"""


@dataclass
class Node:
    """What is attached, as a policy sees it, and the policy."""

    agent: AgentProcess
    pods: dict[str, Netns]
    dice: random.Random
    policy: Policy = field(default_factory=lambda: parse("apiVersion: segctl/v1\n"))
    loads: dict[str, Workload] = field(default_factory=dict)

    def apply(self) -> str:
        text = "apiVersion: segctl/v1\n" + self.rules()
        self.agent.client.apply_policy(text)
        self.policy = parse(text)
        return text

    def rules(self) -> str:
        """Half of the time the last rule allows what no other names."""
        dice = self.dice
        ends = ("any", "all", "w0", "far", "blue")
        rows = []
        for number in range(dice.randrange(6)):
            ports = dice.choice(["tcp/8080", "tcp/8081", "tcp/8000-9000", "tcp/any"])
            action = dice.choice(["allow", "allow", "deny", "reject"])
            more = dice.choice(
                ["", "", ", direction: egress", ", direction: ingress", ", stage: true"]
            )
            rows.append(
                f"  - {{id: {number + 1}, from: {dice.choice(ends)}, to: {dice.choice(ends)}, "
                f"ports: [{ports}], action: {action}{more}}}\n"
            )
        if dice.random() < 0.5 or not rows:
            rows.append("  - {id: 99, from: any, to: any, action: allow}\n")
        return (
            "groups:\n  all: {selector: {name: 'w*'}}\n  w0: {selector: {name: w0}}\n"
            "  blue: {selector: {labels: {colour: blue}}}\n"
            f"  far: {{cidrs: [{OF['w1']}/32, {packets.world_net_ip4}]}}\n"
            "rules:\n" + "".join(rows)
        )

    def attach(self, name: str) -> str:
        colour = self.dice.choice(["blue", "red"])
        labels = {"colour": colour}
        self.agent.attach(self.pods[name], name, mode="protect", labels=labels)
        number = NAMES.index(name) + 1
        at = port(number, f"{OF[name]}/{packets.prefix_ip4}")
        self.loads[name] = workload(name, at, labels=labels)
        return f"{name} is attached, {colour}"

    def detach(self, name: str) -> str:
        self.agent.client.detach(workload=name)
        del self.loads[name]
        return f"{name} is detached"

    def switch(self, name: str) -> str:
        mode = self.dice.choice([None, None, *Mode])
        self.agent.client.set_mode(name, mode or "auto")
        self.loads[name] = self.loads[name].forced(mode)
        return f"{name} is in {mode}"

    def step(self) -> str:
        """Change something, and say what."""
        name = self.dice.choice(NAMES)
        if name not in self.loads:
            return self.attach(name)
        return self.dice.choice(
            [
                self.apply,
                self.apply,
                lambda: self.detach(name),
                lambda: self.switch(name),
            ]
        )()

    def opens(self, source: str, target: str, number: int) -> bool:
        """Whether it does by the rules as they are written, at both ends."""
        loads = list(self.loads.values())
        policy = with_subnets(self.policy, loads)

        def end(own: str, other: str, way: Direction):
            load = self.loads.get(own)
            if load is None:
                return None
            ends = (ip_address(OF[own]), ip_address(OF[other]))
            found = written(policy, loads, load, way, *ends, TCP, number)
            return judged(effective_mode(self.policy, load).mode, says(found.rule))

        return connection(
            end(source, target, Direction.EGRESS),
            end(target, source, Direction.INGRESS),
        ).opens


def test_connections_open_as_the_policy_of_their_moment_is_written(lab, agent):
    _host, pods = lab.pods(len(NAMES))
    clients = {}
    for name, pod in zip(NAMES, pods, strict=True):
        Program(pod, _SERVERS, OF[name], *map(str, SERVICES)).heard()
        clients[name] = Program(pod, _CLIENT)
        clients[name].heard()
    node = Node(agent, dict(zip(NAMES, pods, strict=True)), random.Random(3))
    for name in NAMES:
        node.attach(name)
    happened = []
    met = {True: 0, False: 0}
    for _ in range(STEPS):
        happened.append(node.step())
        for source, client in clients.items():
            asked = [
                (to, number) for to in NAMES if to != source for number in SERVICES
            ]
            wire = [[OF[to], number] for to, number in asked]
            opened = client.said(json.dumps([wire, patient(WAIT_S)]))["opened"]
            wanted = [node.opens(source, *each) for each in asked]
            for one in wanted:
                met[one] += 1
            assert opened == [2 * one for one in wanted], (source, asked, happened)
    assert min(met.values()) > STEPS
    assert sum(agent.counts(name).get("flow_allow", 0) for name in node.loads)
