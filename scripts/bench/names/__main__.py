"""Looks 10,000 names up and connects to each, without segctl and under a rule to names, and prints a table.

In: options. Out: lines, an exit code. I/O: namespaces, dnsmasq, an agent.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tests import packets
from tests.lab.net import named
from tests.lab.net.netns import Lab
from tests.lab.segctl.agent import AgentProcess

NAMES = 10_000
NET = f"{packets.crowd_ip4}/{packets.crowd_prefix_ip4}"
PATTERN = "nN.example.org"
POLICY = f"""
groups:
  client: {{selector: {{name: client}}}}
  resolver: {{cidrs: [{packets.gateway_ip4}]}}
  far: {{fqdns: ["*.example.org"]}}
modes: {{client: protect}}
rules:
  - {{id: 1, from: client, to: resolver, ports: [udp/53, tcp/53], action: allow}}
  - {{id: 2, from: client, to: far, ports: [tcp/{named.PORT}], action: allow}}
"""


def measure(lab: Lab, count: int) -> dict[str, Any]:
    """Return what became of the pairs, without interception and with it."""
    host, (pod,) = lab.pods(1)
    named.serve_world(host, NET)
    addresses = named.numbered(NET, 1, count)
    names = {PATTERN.replace("N", str(n)): [ip] for n, ip in enumerate(addresses)}
    named.dnsmasq(host, lab.folder, names, "--cache-size=0")
    client = named.Client(pod, lab.folder)
    without = client.pairs(PATTERN, 0, count)
    agent = AgentProcess(f"{lab.tag}-names", lab.folder / "agent.log")
    lab.undo.callback(agent.remove)
    agent.start()
    agent.attach(pod, "client")
    agent.policy(POLICY)
    found = client.pairs(PATTERN, 0, count)
    return {
        "pairs": count,
        "failed": len(found["failed"]),
        "failed_without": len(without["failed"]),
        "examples": found["failed"][:5],
        **{
            f"{what}_us{where}": round(of[what] / count * 1e6)
            for what in ("looked", "connected")
            for of, where in ((without, "_without"), (found, ""))
        },
        "counts": agent.client.names("client")["counts"],
    }


def main() -> None:
    """Read the options, measure, print."""
    options = argparse.ArgumentParser(prog="bench-names", description=__doc__)
    options.add_argument("--names", type=int, default=NAMES, help="how many, up to 60000")  # fmt: skip
    options.add_argument("--json", type=Path, help="write the figures there, too")
    asked = options.parse_args()
    with Lab("segbench") as lab:
        found = measure(lab, asked.names)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))
    for name, value in found.items():
        print(f"{name:22} {value}")
    sys.exit(bool(found["failed"]))


if __name__ == "__main__":
    main()
