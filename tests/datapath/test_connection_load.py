"""Tens of thousands of connections in random order, the policy another one every second: none opens or fails against
the policy of its moment, and those that no change concerns are recorded one by one and to the byte.

SEGCTL_TEST_CONNECTIONS, SEGCTL_TEST_WORKLOADS: how many, between how many.
"""

from __future__ import annotations

import os
import random
import socket
import sqlite3
import sys
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from tests.lab.net.connection_load import CUT, DONE, SILENT, Connection, ConnectionLoad
from tests.lab.net.netcount import count, counted
from tests.lab.pace import patient
from tests.lab.segctl.agent import AgentProcess

CONNECTIONS = int(os.environ.get("SEGCTL_TEST_CONNECTIONS", "20000"))
WORKLOADS = int(os.environ.get("SEGCTL_TEST_WORKLOADS", "10"))
STEADY, TURNING = 8080, 8081
PORTS = (STEADY, TURNING)
SIDES = 4
"""Workload n is on side n % SIDES; what each side may open to each other is what turns."""
PERIOD_S = 1.0
Cells = dict[tuple[int, int], str]

HEAD = (
    "groups:\n  crowd: {selector: {name: 'crowd-*'}}\n"
    + "".join(
        f"  side{n}: {{selector: {{labels: {{side: '{n}'}}}}}}\n" for n in range(SIDES)
    )
    + "modes: {crowd: protect}\nrules:\n"
    f"  - {{id: 1, from: crowd, to: crowd, ports: [tcp/{STEADY}], action: allow}}\n"
)


def text_of(cells: Cells) -> str:
    return HEAD + "".join(
        f"  - {{id: {10 + SIDES * a + b}, from: side{a}, to: side{b}, "
        f"ports: [tcp/{TURNING}], action: {action}}}\n"
        for (a, b), action in cells.items()
    )


@dataclass
class Policies:
    """Each that was applied, and from when until when it may have been in force, in ns."""

    cells: list[Cells] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)
    """When its apply began."""
    holds: list[int] = field(default_factory=list)
    """When its apply had ended."""

    def apply(self, agent: AgentProcess, cells: Cells) -> None:
        self.begins.append(time.monotonic_ns())
        agent.policy(text_of(cells))
        self.holds.append(time.monotonic_ns())
        self.cells.append(dict(cells))

    def may_say(self, one: Connection, until: int) -> set[str]:
        """What policies say of it that were in force between its beginning and `until`."""
        first = max(0, bisect_left(self.holds, one.started) - 1)
        last = bisect_left(self.begins, until)
        cell = one.source % SIDES, one.target % SIDES
        return {each[cell] for each in self.cells[first:last]}


@contextmanager
def turning(agent: AgentProcess, dice: random.Random) -> Iterator[Policies]:
    """A policy every second, of which a quarter is new."""
    applied, over = Policies(), threading.Event()
    cells = {
        (a, b): dice.choice(["allow", "allow", "deny", "reject"])
        for a in range(SIDES)
        for b in range(SIDES)
    }

    def turn() -> None:
        while not over.wait(PERIOD_S):
            for cell in dice.sample(sorted(cells), len(cells) // 4):
                others = {"allow": ["deny", "reject"]}
                cells[cell] = dice.choice(others.get(cells[cell], ["allow"]))
            applied.apply(agent, cells)

    applied.apply(agent, cells)
    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield applied
    finally:
        over.set()
        thread.join()


def against(policies: Policies, made: Iterator[Connection]) -> Iterator[str]:
    """Those that no policy in force can account for, in words."""
    for one in made:
        if PORTS[one.port] == STEADY:
            if one.outcome != DONE:
                yield f"of a service that all may open: {one}"
        elif one.opened:
            said = policies.may_say(one, one.opened)
            if "allow" not in said:
                yield f"opened, and all said {said}: {one}"
            elif one.outcome == CUT and policies.may_say(one, one.ended) == {"allow"}:
                yield f"cut off, and all said allow: {one}"
        elif policies.may_say(one, one.ended) == {"allow"}:
            said = "not answered" if one.outcome == SILENT else "refused"
            yield f"{said}, and all said allow: {one}"


def recorded(agent: AgentProcess, way: str) -> dict[int, tuple[int, ...]]:
    """By rule, of what it allowed, as the ends of that direction tell it: how many flows, their packets and bytes,
    those back."""
    agent.client.flows(limit=1)
    with closing(sqlite3.connect(agent.instance.history_file)) as database:
        rows = database.execute(
            "SELECT rule_id, sum(flows), sum(packets), sum(bytes), sum(back_packets), sum(back_bytes) "
            "FROM flows WHERE verdict = 'allow' AND direction = ? GROUP BY rule_id",
            (way,),
        ).fetchall()
    return {row[0]: row[1:] for row in rows}


def metrics(agent: AgentProcess) -> str:
    with socket.socket(socket.AF_UNIX) as asking, asking.makefile() as page:
        asking.connect(str(agent.instance.api_socket))
        asking.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        return page.read()


def settled(what: Callable[[], int], least: int) -> None:
    """It is as much, or grows no more: a busy agent has a queue to read."""
    seen = -1
    while seen < (now := what()) < least:
        seen = now
        time.sleep(patient(10))


def test_no_connection_is_answered_against_the_policy_of_its_moment(lab, crowd, agent):
    members = crowd.join(WORKLOADS)
    crowd.know_each_other()
    for one in members:
        count(one, STEADY)
        labels = {"side": str(one.number % SIDES)}
        agent.client.attach(pid=one.pid, name=one.name, labels=labels)
    load = None
    try:
        with turning(agent, random.Random(7)) as policies:
            load = ConnectionLoad(lab.folder, members, PORTS, CONNECTIONS)
            seconds = load.ended()
    finally:
        if load:
            load.end()

    wrong = list(against(policies, load.connections()))
    # Who asks a busy engine more than its share is not answered.
    paced = sum(agent.counts(one.name).get("port_share", 0) for one in members)
    wrong.sort(key=lambda one: one.startswith("not answered"))
    unanswered = sum(one.startswith("not answered") for one in wrong)
    met = Counter((PORTS[one.port], one.outcome) for one in load.connections())
    opened = sum(
        bool(one.opened) for one in load.connections() if PORTS[one.port] == TURNING
    )
    steady = sum(many for (port, _), many in met.items() if port == STEADY)
    sys.stderr.write(
        f"{CONNECTIONS / seconds:.0f}/s, {len(policies.cells)} policies, {met}, {unanswered} not answered, {paced} packets paced\n"
    )
    assert wrong[: len(wrong) - min(unanswered, paced)][:5] == []
    # Each change met connections, and each answer came.
    assert len(policies.cells) > 2
    assert {outcome for port, outcome in met if port == TURNING} >= {0, 1, 2}

    settled(lambda: recorded(agent, "egress").get(1, (0,))[0], steady)
    # Of an agent that comes too late to its queue the engine says so.
    assert 'segctl_engine_events_lost_total{kind="ends"} 0.0' in metrics(agent)
    sums = tuple(sum(each) for each in zip(*map(counted, members), strict=True))
    truth = (steady, *sums)
    assert recorded(agent, "egress")[1] == truth
    assert recorded(agent, "ingress")[1] == truth
    turned = [row for rule, row in recorded(agent, "egress").items() if rule != 1]
    assert opened <= sum(row[0] for row in turned) <= CONNECTIONS - steady
