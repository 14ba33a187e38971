"""segctl policy import.

In: manifests of Kubernetes. Out: the policy that means the same, printed or applied.
I/O: files or stdin; this node's addresses; the agent, to apply it, or for what workloads declare.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import SimpleNamespace
from typing import Any, TextIO

import click

from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Command
from pyctl.model.workload import Mode

_MODES = [Mode.PROTECT.value, Mode.MONITOR.value, Mode.DISCOVER.value]


@click.command("import", cls=Command)
@click.option(
    "--kubernetes",
    is_flag=True,
    required=True,
    help="The files are NetworkPolicies (networking.k8s.io/v1), with the Namespaces and Services that "
    "they speak of, lists of them, or many documents.",
)
@click.option(
    "-f",
    "--file",
    "files",
    type=click.File("r", encoding="utf-8"),
    required=True,
    multiple=True,
    help="YAML or JSON, may be repeated; - is stdin.",
)
@click.option(
    "--mode",
    type=click.Choice(_MODES),
    default=Mode.PROTECT.value,
    show_default=True,
    help="Of the workloads that a NetworkPolicy isolates.",
)
@click.option(
    "--node",
    "nodes",
    metavar="ADDRESS",
    multiple=True,
    help="An address of this node, which reaches all its pods, with whatever it masquerades; may be "
    "repeated (default: those it has).",
)
@click.option(
    "--apply", "put", is_flag=True, help="Put it in force, as `policy apply`."
)
@options.dry_run
@options.output
def import_policy(
    *,
    kubernetes: bool,
    files: tuple[TextIO, ...],
    mode: str,
    nodes: tuple[str, ...],
    put: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Kubernetes' NetworkPolicies as a policy: with their meaning, or an error.

    As `kubectl get networkpolicies,namespaces,services -A -o yaml` prints them: Namespaces tell
    their labels, Services the addresses by which pods are asked. What nobody tells (a label of a
    namespace) takes nothing, with a warning.

    Labels of workloads are labels of pods. io.kubernetes.pod.namespace names the namespace (else
    `default`), segctl.namespace.KEY=VALUE is a label of that namespace, segctl.port.NAME=8080 (or
    53-udp) a named port. A Service opens its addresses where all pods behind it are allowed, by the labels it
    selects by; the port names that this depends on are resolved once, at the import.

    LOCK-OUT: applied, it takes the place of the whole policy in force. Look at --dry-run first.
    """
    del kubernetes
    from pyctl.api.client import AgentClient
    from pyctl.policy.document.field_checks import ErrorCollector
    from pyctl.policy.kubernetes import translate

    client = AgentClient(options.instance())
    notes = ErrorCollector()
    found = translate.read_all(
        notes, {file.name: options.text_of(file) for file in files}
    )
    workloads = []
    needed = translate.asks_for_ports(found)
    if not notes.failed and (needed or translate.asks_for_labels(found)):
        workloads = _workloads(client.workloads, needed=needed)
    made = translate.translate(
        notes,
        found,
        workloads=workloads,
        nodes=[_address(text) for text in nodes] if nodes else _own_addresses(),
        mode=Mode(mode),
    )
    render.warnings(made.warnings)
    if put or dry_run:
        answer = client.apply_policy(
            made.text,
            dry_run=dry_run,
            author=options.author(),
            comment=f"import --kubernetes {', '.join(file.name for file in files)}",
        )
        render.applied(answer, dry_run=dry_run, json_too=as_json)
    elif as_json:
        render.as_json(made.document)
    else:
        click.echo(made.text, nl=False)


def _workloads(
    ask: Callable[[], dict[str, Any]], *, needed: bool
) -> list[SimpleNamespace]:
    """Return the attached workloads; [] where no agent runs, unless they are needed."""
    from pyctl.errors import UnreachableError

    try:
        return _named(ask())
    except UnreachableError:
        if needed:
            raise
        return []


def _named(answer: dict[str, Any]) -> list[SimpleNamespace]:
    """Return what selectors look at, for each workload of the answer."""
    return [
        SimpleNamespace(
            **{key: load[key] for key in ("name", "image", "labels", "runtime")}
        )
        for load in answer["workloads"]
    ]


def _address(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text} is no address", param_hint="--node"
        ) from error


def _own_addresses() -> list[IPv4Address | IPv6Address]:
    """Return the addresses by which others know this node."""
    from pyctl.platform.iproute.client import IprouteClient
    from pyctl.platform.iproute.links import addresses
    from pyctl.platform.netlink.l3 import address_raw

    with IprouteClient() as ip:
        found = {ip_address(address_raw(body)[1]) for body in addresses(ip)}
    known = [ip for ip in found if not ip.is_loopback and not ip.is_link_local]
    return sorted(known, key=lambda ip: (ip.version, int(ip)))
