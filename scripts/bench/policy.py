"""What the policy costs: a lookup with 10 and with 10,000 rules, a swap of all, one workload more.

In: nothing. Out: a table on stdout, or JSON. I/O: gcc, temporary files; no root, no network.
The two lookups take turns in one process. Compile is Python (text parsed already), swap is the packed
bytes built and put in force by a running engine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

from pyctl.abi_build import HEADER, ROOT
from pyctl.engine.node_records import changed_members, pack_members, pack_node
from pyctl.engine.process.engine import Engine
from pyctl.model.policy import Action, PortPolicy
from pyctl.model.workload import Mode, Port, ProcessRef, Workload
from pyctl.policy.compile.affected_ports import affected_ports
from pyctl.policy.compile.compiler import Compiled, Compiler, difference
from pyctl.policy.document.types import ANY, Group, Policy, PortSpec, Rule, Selector

WORKLOADS, RULES, FEW = 200, 10000, 10
GROUPS = 200
ROUNDS = 7
PROGRAM = Path(__file__).parent / "programs" / "policy.c"
SOURCES = ROOT / "pyctl" / "engine" / "src"


def policy(rules: int) -> Policy:
    """Rules between groups of workloads, of CIDRs, and anybody, in equal shares."""
    selectors = [
        Group(f"s{n}", Selector(labels=(("app", str(n)),))) for n in range(GROUPS)
    ]
    nets = [
        Group(
            f"c{n}", cidrs=(ip_network(f"10.{n}.0.0/17"), ip_network(f"10.{n}.0.0/24"))
        )
        for n in range(GROUPS)
    ]
    ends = [ANY, *(g.name for pair in zip(selectors, nets, strict=True) for g in pair)]

    def rule(n: int) -> Rule:
        low = 1 + n % 60000
        spec = PortSpec(f"tcp/{low}-{low + n % 7}", "tcp", low, low + n % 7)
        end = ends[n * 7 % len(ends)]
        action = Action.ALLOW if n % 3 else Action.DENY
        source = f"s{n % GROUPS}"
        return Rule(
            n + 1, *((source, end) if n & 1 else (end, source)), (spec,), action
        )

    groups = {group.name: group for group in (*selectors, *nets)}
    return Policy(groups=groups, rules=tuple(rule(n) for n in range(rules)))


def workload(n: int) -> Workload:
    """On port n, at 10.9.x.y, in one group or two."""
    port = Port(
        n, "eth0", "veth", f"vex{n:x}", f"vin{n:x}", n, n, "02:00:00:00:00:01",
        None, 1500, (f"10.9.{n >> 8}.{n & 255}/16",),
    )  # fmt: skip
    return Workload(
        f"w{n}", f"w{n}", ProcessRef(n, 1, (1, n)), {"app": str(n % GROUPS)},
        attach_mode=Mode.PROTECT, ports=(port,),
    )  # fmt: skip


def stamped(compiled: Compiled, ports: set[int]) -> list[tuple[PortPolicy, int]]:
    """The heads of these ports, as steering gives them out."""
    return [(compiled.ports[port], 1) for port in ports]


def lookup(directory: Path, loads: list[Workload]) -> tuple[float, float]:
    """Median ns of a question with few rules and with many."""
    for name, rules in (("few", FEW), ("many", RULES)):
        made = Compiler(policy(rules)).compile(loads)
        (directory / name).write_bytes(pack_node(made.node, made.members, []))
    program = directory / "policy"
    sources = [*SOURCES.glob("node/*.c"), SOURCES / "base" / "sg_map.c"]
    subprocess.run(
        ["gcc", "-std=gnu11", "-O2", "-Wall", "-Werror", f"-I{SOURCES}", f"-I{HEADER.parent}", "-o",
         str(program), str(PROGRAM), *map(str, sources)],
        check=True,
    )  # fmt: skip
    out = subprocess.run(
        [program, directory / "few", directory / "many"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    rows = [line.split() for line in out.splitlines()]
    few, many = (
        statistics.median(float(ns) for who, ns in rows if who == name)
        for name in ("A", "B")
    )
    return few, many


def changes(engine: Engine, loads: list[Workload]) -> tuple[float, float]:
    """Median ms of compiling and swapping all, and of one workload that joins."""
    swaps, joins = [], []
    text = policy(RULES)
    for n in range(ROUNDS):
        began = time.perf_counter()
        other = replace(text, rules=text.rules[n:])
        compiler = Compiler(other)
        before = compiler.compile(loads)
        heads = stamped(before, affected_ports(Compiled(), before))
        engine.set_node(pack_node(before.node, before.members, heads))
        swaps.append(time.perf_counter() - began)
        began = time.perf_counter()
        after = compiler.compile([*loads, workload(WORKLOADS + 1)])
        heads = stamped(after, affected_ports(before, after))
        where = difference(before, after)
        moved = changed_members(
            before.members, after.members, where.ports, where.addresses
        )
        engine.set_members(pack_members(after.node, moved, heads))
        joins.append(time.perf_counter() - began)
    return statistics.median(swaps) * 1e3, statistics.median(joins) * 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", dest="output", choices=["table", "json"], default="table")
    wanted = parser.parse_args().output
    loads = [workload(n) for n in range(1, WORKLOADS + 1)]
    with tempfile.TemporaryDirectory() as directory:
        few, many = lookup(Path(directory), loads)
    with Engine(cache=False) as engine:
        swap, join = changes(engine, loads)
    found = {
        f"lookup, {FEW} rules, ns": round(few, 1),
        f"lookup, {RULES} rules, ns": round(many, 1),
        "ratio": round(many / few, 2),
        f"compile and swap {RULES} rules, {WORKLOADS} workloads, ms": round(swap, 1),
        "one workload joins, ms": round(join, 2),
    }
    if wanted == "json":
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:56} {value}")


if __name__ == "__main__":
    main()
