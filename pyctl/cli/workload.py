"""segctl list, show, mode, rules.

In: a workload's id, name, pid or container. Out: what the agent knows of it. I/O: the agent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import click

from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Command
from pyctl.errors import NotFoundError
from pyctl.model import truth
from pyctl.model.workload import Mode

_SOURCES = {
    "command": "by segctl mode",
    "policy": "by the policy",
    "attach": "by attach --mode",
    "default": "by default",
}


@click.command("list", cls=Command)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Every container that the runtimes know, too, and why it is attached or not.",
)
@options.container_host
@options.output
def list_workloads(everything: bool, container_host: str | None, as_json: bool) -> None:
    """The attached workloads, and the containers that are attached again when they start.

    A workload lives while anything lives in its network namespace: another process, a thread, a container that
    shares it. STATE lost: a remembered container that does not run. STATE empty: a workload in protect
    or quarantine whose namespace has a name but no process; it stays attached for who enters it, until segctl detach.
    """
    from pyctl.api.client import AgentClient

    client = AgentClient(options.instance())
    answer = client.workloads()
    if everything:
        answer |= client.containers(container_host)
    if as_json:
        render.as_json(answer)
        return
    render.table(
        ["name", "id", "pid", "state", "mode", "datapath", "fail", "ports", "labels"],
        (
            [
                each["name"],
                each["id"],
                each["pid"],
                each["state"],
                each["mode"],
                each["datapath"],
                each["fail"],
                "; ".join((_addresses(each), *_uninspected(each))),
                render.labels(each["labels"]),
            ]
            for each in answer["workloads"]
        ),
    )
    if everything:
        _show_containers(answer)


def _show_containers(answer: dict[str, Any]) -> None:
    render.warnings(f"not asked: {one}" for one in answer["unreachable"])
    render.heading("Containers")
    render.table(
        ["name", "id", "runtime", "status", "state", "workload", "reason"],
        (
            [
                each["name"],
                each["id"],
                each["runtime"],
                each["status"],
                each["state"],
                each["workload"],
                each["reason"],
            ]
            for each in answer["containers"]
        ),
    )


@click.command(cls=Command)
@click.argument("workload")
@options.output
def show(workload: str, as_json: bool) -> None:
    """One workload: ports, mode, counters by reason, recent denials.

    Applications are those of live sessions (of a port, of 10,000), where a rule asks for them.

    Every packet that is dropped has one reason. In protect not_mine is what comes for an address that is not the
    workload's own (DHCP answers, groups and broadcasts excepted): a port with --any-source takes it, which local
    routes for a range and a router's anycast address need. wrong_mac is what goes to an attached workload on a
    bridge of veths alone with a MAC that is neither that workload's, nor the host's, nor one's with --any-source.
    discover and monitor record both. Both are asked while no verdict is known, not of each packet of a flow.
    Egress is judged by addresses and the MAC picks the receiver: whoever may send to an address that nobody
    attached has can so reach any unattached workload on its bridge, and so can a flow that was let through to an
    attached one. u32 checks neither.
    """
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
            "state": found["state"],
            "image": found["image"],
            "labels": render.labels(found["labels"]),
            "groups": ", ".join(found["groups"]),
            "not inspected": "; ".join(
                f"{one['interface']}: {one['reason']}" for one in found["uninspected"]
            ),
            "mode": f"{found['mode']}, {_SOURCES[found['mode_source']]}",
            "datapath": found["datapath"],
            "fail": found["fail"],
            "other traffic": found["other_traffic"],
            "any source": "yes" if found["any_source"] else "no",
            "serves": ", ".join(found["serves"]) or "nothing",
            "addresses": " ".join(found["addresses"]),
            "shared": "; ".join(_shared(found)),
            "follows": found["follow"],
            "offloads": found["offload"],
            "sessions": found["sessions"],
            "applications": _applications(found["applications"]),
            "flow map": render.flow_map(found["flow_map"]),
        }
    )
    if found["claims"]:
        render.heading("Addresses that it gave itself")
        columns = ("address", "interface", "state", "reason")
        render.table(
            columns, ([claim[key] for key in columns] for claim in found["claims"])
        )
    for port in found["ports"]:
        _show_port(port)
    if found["denials"]:
        render.heading("Recent denials")
        render.events(found["denials"])


@click.command(cls=Command, epilog="\b\n" + truth.table().replace("\n\n", "\n\n\b\n"))
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

    A mode is on disk before the command returns. It changes no interface and loses no packet. A TCP connection
    that it ends gets a reset on both sides. Interfaces that lead out and cannot be inspected are named;
    where there are any, quarantine sets their host's ends down and ends with 1.
    """
    from pyctl.api.client import AgentClient

    client = AgentClient(options.instance())
    answer = client.set_mode(workload, mode, dry_run=dry_run)
    render.warnings(answer["warnings"])
    if as_json:
        render.as_json(answer)
    elif dry_run:
        render.steps(answer["plan"], would=True)
    else:
        source = _SOURCES[answer["source"]]
        name = render.safe(answer["workload"])
        click.echo(f"{name}: {answer['before']} → {answer['after']}, {source}")


@click.command(cls=Command)
@click.argument("workload", required=False)
@options.output
def rules(workload: str | None, as_json: bool) -> None:
    """The rules of the port pairs as the kernel holds them.

    Of every workload, where none is named. A tc filter that somebody else puts in front of ours is shown, and
    not removed; tcx programs are not seen.
    """
    from pyctl.api.client import AgentClient

    client = AgentClient(options.instance())
    if workload is None:
        answers = []
        for each in client.workloads()["workloads"]:
            # The kernel has nothing of a lost one, nor of one that was detached meanwhile.
            with contextlib.suppress(NotFoundError):
                answers.append(client.rules(each["id"]))
    else:
        answers = [client.rules(workload)]
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


def _uninspected(workload: dict[str, Any]) -> list[str]:
    return [f"{one['interface']} NOT INSPECTED" for one in workload["uninspected"]]


def _addresses(each: dict[str, Any]) -> str:
    """Return the addresses of each port, then what else the workload was given, and what others have too."""
    ports = [
        f"{port['interface']} {' '.join(port['addresses'])}" for port in each["ports"]
    ]
    of_ports = {text for port in each["ports"] for text in port["addresses"]}
    more = [text for text in each["addresses"] if text not in of_ports]
    ports += [f"also {' '.join(more)}"] if more else []
    return "; ".join([*ports, *_shared(each), *_refused(each)])


def _applications(found: dict[str, Any]) -> str:
    """Return the applications of live sessions, and how many of these are not in the kernel because of it."""
    told = [f"{name} {number}" for name, number in found["sessions"].items()]
    waits = (
        ("pending", "{} pending: it is not known yet"),
        ("decided", "{} decided: bytes that were looked at are not acknowledged yet"),
        ("requests", "{} stay with the engine: each request is judged"),
        ("sensors", "{} stay with the engine: sensors look at all that is sent"),
    )
    why = [text.format(found[name]) for name, text in waits if found[name]]
    return "; ".join([", ".join(told), *why] if told else why)


def _refused(each: dict[str, Any]) -> list[str]:
    return [
        f"{claim['address']} is refused, {claim['reason']}"
        for claim in each["claims"]
        if claim["state"] == "refused"
    ]


def _shared(each: dict[str, Any]) -> list[str]:
    return [
        f"{one['address']} is shared by {' and '.join(one['workloads'])}"
        for one in each["shared"]
    ]
