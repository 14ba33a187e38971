"""segctl list, show, mode, rules.

In: a workload's id, name, pid or container. Out: what the agent knows of it. I/O: the agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from pyctl.cli import options, render
from pyctl.model import truth
from pyctl.model.workload import Mode

_SOURCES = {
    "command": "by segctl mode",
    "policy": "by the policy",
    "attach": "by attach --mode",
    "default": "by default",
}


@click.command("list")
@options.output
def list_workloads(as_json: bool) -> None:
    """The attached workloads."""
    from pyctl.api.client import AgentClient

    answer = AgentClient(options.instance()).workloads()
    if as_json:
        render.as_json(answer)
        return
    render.table(
        ["name", "id", "pid", "mode", "datapath", "fail", "ports", "labels"],
        (
            [
                each["name"],
                each["id"],
                each["pid"],
                each["mode"],
                each["datapath"],
                each["fail"],
                "; ".join(_port(port) for port in each["ports"]),
                render.labels(each["labels"]),
            ]
            for each in answer["workloads"]
        ),
    )


@click.command()
@click.argument("workload")
@options.output
def show(workload: str, as_json: bool) -> None:
    """One workload: ports, mode, counters by reason, recent denials."""
    from pyctl.api.client import AgentClient

    found = AgentClient(options.instance()).workload(workload)
    if as_json:
        render.as_json(found)
        return
    render.facts(
        {
            "name": found["name"],
            "id": found["id"],
            "process": f"{found['pid']} ({found['runtime']})",
            "image": found["image"],
            "labels": render.labels(found["labels"]),
            "groups": ", ".join(found["groups"]),
            "mode": f"{found['mode']}, {_SOURCES[found['mode_source']]}",
            "datapath": found["datapath"],
            "fail": found["fail"],
            "other traffic": found["other_traffic"],
            "any source": "yes" if found["any_source"] else "no",
            "offloads": found["offload"],
            "sessions": found["sessions"],
            "flow map": render.flow_map(found["flow_map"]),
        }
    )
    for port in found["ports"]:
        _show_port(port)
    if found["denials"]:
        render.heading("Recent denials")
        render.events(found["denials"])


@click.command(epilog="\b\n" + truth.table().replace("\n\n", "\n\n\b\n"))
@click.argument("workload")
@click.argument("mode", type=click.Choice([*(each.value for each in Mode), "auto"]))
@options.dry_run
@options.output
def mode(workload: str, mode: str, dry_run: bool, as_json: bool) -> None:
    """Force a workload's mode; `auto` gives it back.

    Precedence: this command, the policy's modes, attach --mode, discover. `auto` on a workload in
    quarantine lifts the quarantine: the mode is the one before it, also where that was forced.

    LOCK-OUT: quarantine drops everything, protect what no rule allows, for open connections too;
    if your own session goes through this workload, it ends.
    """
    from pyctl.api.client import AgentClient

    client = AgentClient(options.instance())
    answer = client.set_mode(workload, mode, dry_run=dry_run)
    if as_json:
        render.as_json(answer)
    elif dry_run:
        render.steps(answer["plan"], would=True)
    else:
        source = _SOURCES[answer["source"]]
        name = render.safe(answer["workload"])
        click.echo(f"{name}: {answer['before']} → {answer['after']}, {source}")


@click.command()
@click.argument("workload", required=False)
@options.output
def rules(workload: str | None, as_json: bool) -> None:
    """The rules of the port pairs as the kernel holds them.

    Of every workload, where none is named.
    """
    from pyctl.api.client import AgentClient

    client = AgentClient(options.instance())
    if workload is None:
        refs = [each["id"] for each in client.workloads()["workloads"]]
    else:
        refs = [workload]
    answers = [client.rules(ref) for ref in refs]
    if as_json:
        render.as_json({"workloads": answers} if workload is None else answers[0])
        return
    for answer in answers:
        _show_rules(answer["workload"], answer["datapath"], answer["ports"])


def _show_rules(name: str, datapath: str, ports: Iterable[dict[str, Any]]) -> None:
    for port in ports:
        render.heading(
            f"{render.safe(name)} {render.safe(port['interface'])} "
            f"(port {port['port_id']}, {datapath})"
        )
        for line in port["rules"]:
            click.echo(f"  {render.safe(line)}")


def _show_port(port: dict[str, Any]) -> None:
    render.heading(f"Port {port['port_id']}: {render.safe(port['interface'])}")
    render.facts(
        {
            "kind": port["kind"],
            "addresses": " ".join(port["addresses"]),
            "MAC": f"{port['mac']} (detour {port['ucmac']})",
            "outside": f"{port['vex']} ({port['vex_ifindex']})",
            "inside": f"{port['vin']} ({port['vin_ifindex']})",
            "MTU": port["mtu"],
            "policy": f"{render.count(port['rules'], 'rule')}, generation {port['generation']}",
        }
    )
    if port["counters"]:
        render.table(
            ["reason", "kind", "packets", "bytes", "passed", "meaning"],
            (
                [
                    row["reason"],
                    row["category"],
                    row["packets"],
                    row["bytes"],
                    row["passed"],
                    row["caption"],
                ]
                for row in port["counters"]
            ),
        )


def _port(port: dict[str, Any]) -> str:
    return f"{port['interface']} {' '.join(port['addresses'])}"
