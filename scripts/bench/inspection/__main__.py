"""What inspection costs: HTTP through rules by address, by application, by request, and under sensors, run by run in turn.

    base      not intercepted
    decided   the server is attached; a rule by address and port decides
    app       the same, a rule for an application: payload waits until it is known
    request   the same, a rule for requests: each is judged, and no flow goes to the kernel
    sensor    the same, 200 patterns over all bytes: they are scanned, and no flow goes to the kernel

Each path has its own client and server. A round measures all, and the order rotates from round to round.
After that, TLS connections under a rule for names, whose ClientHello is as large as one with a key of ML-KEM: how many of
their packets the engine sees.
Results: a table here, JSON with every run and a PNG chart in bench-results/.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from functools import partial
from typing import Any

from scripts.bench.figures.chart import Panel
from scripts.bench.figures.rows import Row
from scripts.bench.inspection import figures, handshakes
from scripts.bench.rounds import Bench, parser_of
from scripts.bench.worlds import Agent, Bed, World, on_core
from tests.lab.pace import LabError, wait_for

PORT = 8080
HTTP2_PORT = 8081
POLICY = f"""
apiVersion: segctl/v1
groups:
  decided: {{selector: {{name: "bench-server-decided"}}}}
  app: {{selector: {{name: "bench-server-app"}}}}
  request: {{selector: {{name: "bench-server-request"}}}}
  sensor: {{selector: {{name: "bench-server-sensor"}}}}
  tls: {{selector: {{name: "bench-server-tls"}}}}
modes: {{decided: protect, app: protect, request: protect, sensor: protect, tls: protect}}
sensors:
  bench:
    groups: {{sensor: drop}}
    patterns:
PATTERNS
rules:
  - {{id: 1, from: any, to: decided, ports: [tcp], action: allow}}
  - {{id: 2, from: any, to: app, ports: [tcp], apps: [HTTP, HTTP2], action: allow}}
  - {{id: 3, from: any, to: request, ports: [tcp], http: {{methods: [GET], paths: ["/api/*"]}}, action: allow}}
  - {{id: 4, from: any, to: tls, {handshakes.RULE}}}
  - {{id: 5, from: any, to: request, ports: [tcp], apps: [HTTP2], http: {{paths: ["/api/*"]}}, action: allow}}
  - {{id: 6, from: any, to: sensor, ports: [tcp], action: allow}}
"""
PATTERNS = (
    r"key{0}_[0-9a-f]{{16,32}}",
    r"(?i)secret{0}\s*[=:]\s*\S{{8}}",
    r"\b{0}[0-9]{{3}}-[0-9]{{2}}-[0-9]{{4}}\b",
    r"(?i)(select|union){0}\s.{{1,40}}\sfrom\s",
)
"""Kinds of patterns as sensors have them; each is there fifty times, with another number in it."""
SENSORS = 200


def policy() -> str:
    """Return the policy with its patterns."""
    listed = (
        f"      - {{id: p{at}, regex: '{PATTERNS[at % len(PATTERNS)].format(at)}', part: packet}}"
        for at in range(SENSORS)
    )
    return POLICY.replace("PATTERNS", "\n".join(listed))


def options() -> argparse.Namespace:
    parser = parser_of("bench-inspect", __doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    return parser.parse_args()


def listens(world: World, port: int) -> bool:
    """Return whether a server listens there."""
    return f":{port} " in world.server.run("ss", "-Hltn").stdout


def serve(lab: Bed, world: World) -> None:
    """Start the servers of HTTP/1 and HTTP/2; return when they listen."""
    page = lab.folder / "api" / "small"
    page.parent.mkdir(exist_ok=True)
    page.write_text("hello\n")
    for argv in (
        (lab.tool("http"), "serve", str(PORT)),
        ("nghttpd", "--no-tls", "-d", str(lab.folder), str(HTTP2_PORT)),
    ):
        world.server.spawn(
            *on_core("apart", -1),
            *argv,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    for port in (PORT, HTTP2_PORT):
        wait_for(
            partial(listens, world, port), 20, f"nobody listens in {world.server.name}"
        )


def http2(world: World, seconds: float) -> dict[str, float]:
    """One run of h2load on one connection, one stream after the other: answers a second."""
    out = world.client.run(
        *on_core("apart", 0),
        *("h2load", "-c", "1", "-m", "1", "-D", f"{seconds:g}"),
        f"http://{world.server.address}:{HTTP2_PORT}/api/small",
        seconds=seconds + 40,
    ).stdout
    found = re.search(r"finished in [\d.]+s, ([\d.]+) req/s", out)
    if found is None or ", 0 failed, 0 errored" not in out:
        raise LabError(f"h2load: {out[-400:]}")
    return {"per_s": float(found[1])}


def http(world: World, lab: Bed, kind: str, seconds: float) -> dict[str, float]:
    """One run of http.c by one client, on a core of its own: answers or bits a second."""
    out = world.client.run(
        *on_core("apart", 0),
        *(lab.tool("http"), kind, world.server.address, str(PORT)),
        *(f"{seconds:g}", "1"),
        seconds=seconds + 40,
    ).stdout
    told = json.loads(out)
    if kind == "bulk":
        return {"gbit_s": told["bytes"] * 8 / told["seconds"] / 1e9}
    return {"per_s": told["times"] / told["seconds"]}


class InspectBench(Bench):
    """The measuring, one figure after the other."""

    name, heading = "inspect", "what inspection costs"

    def options(self) -> dict[str, Any]:
        """See Bench."""
        return {"quick": self.chosen.quick, "attached": "server", "mode": "protect"}

    def rows(self) -> list[Row]:
        """See Bench."""
        return figures.rows_of(self.raw)

    def drawn(self, _rows: list[Row]) -> list[Panel]:
        """See Bench."""
        return figures.drawn(self.raw)

    def measure(self) -> None:
        """Everything."""
        rounds, seconds = (3, 1) if self.chosen.quick else (8, 3)
        with self.in_the_lab():
            self.make_worlds(figures.PATHS)
            agent = Agent(self.lab, "inspect", flow_cache=True)
            agent.client.apply_policy(policy())
            for world in self.worlds:
                serve(self.lab, world)
                if world.name != "base":
                    world.attach(agent)
            for kind in figures.KINDS:
                with self.figure(kind):
                    one = partial(http, lab=self.lab, kind=kind, seconds=seconds)
                    if kind == "streams":
                        one = partial(http2, seconds=seconds)
                    self.interleave(kind, rounds, one)
            with self.figure("tls"):
                world = self.lab.world("tls", len(self.worlds) + 1)
                handshakes.serve(self.lab, world)
                world.attach(agent)
                runs = [handshakes.engine_packets(world, 100) for _ in range(rounds)]
                self.raw["tls"] = [{"path": "tls", **run} for run in runs]


if __name__ == "__main__":
    raise SystemExit(InspectBench(options()).main())
