"""segctl attach, segctl detach.

In: options. Out: what was done. I/O: the agent, started where none runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Command
from pyctl.errors import SegctlError
from pyctl.model.workload import (
    Fail,
    FollowAddresses,
    Mode,
    Offload,
    OtherTraffic,
    Service,
)

F = TypeVar("F", bound=Callable[..., Any])
DETAILS = """
NOT KEPT: packet sockets bound to the interface (a running tcpdump, a DHCP client), multicast memberships of other
processes' sockets, and at times source filters of the workload's own. RPS, RFS and XPS masks, gro_flush_timeout and
napi_defer_hard_irqs are at their defaults while attached. A temporary IPv6 address is an ordinary one until it
expires; the next router advertisement brings a new one. Duplicate address detection that is under way, or failed,
runs again. Routes that routers announced show `proto boot`, and no hop limit before the next advertisement; routers
renew and withdraw them as before. Filters, XDP and tcx programs and devices on top of the interface are lost: by hand
only with --force, without a question at auto-attach and for an interface that comes later. Qdiscs without filters are
kept, and so is the place in a VRF or a bridge with the port's settings, VLANs, static MACs and groups, without MRP,
CFM and MST (--force). What the kernel does not take back (an odd sysctl, neighbour or nexthop) is lost with a
warning; a route whose gateway the workload's rules hide goes on as if the gateway were on the link. Where no address
or no way out is left, an attach by hand is taken back unless there is --force; auto-attach stays: protection first.

INTERFACES: veth and macvlan alone, none of the host's own namespace, no port of a bond, a team or another switch
inside, not even with --force. Others that lead out (physical, ipvlan, macvtap) are not inspected: list, show, mode
and a metric name them. An interface that comes later is inspected 0.3 s after it is up.

ADDRESSES: a workload's own addresses and MACs are those of its interfaces at attach (lo and dummies too), those its
runtime knows, and --address; 512 count. One that it gives itself later (SLAAC, a new DHCP lease, a floating address,
an interface no runtime knows of) is shown by show and events, and dropped in protect: attach again, or give
--follow-addresses. An address that no interface of the workload has any more is nobody's until it is back, unless
--address keeps it: a floating one may move to another workload, whose duplicate detection for it is dropped. An
address that another workload of the same bridge has is refused until an attach after that one has gone; the runtime's
word and --address outweigh what was found. One that is in a CIDR group counts at an attach by hand, with a warning;
where auto-attach knows the runtime's addresses, only those count.

SOURCES: a source address of another attached workload, or in a CIDR group of the policy, is dropped in every mode:
what forwards for others (a router, a VPN, nested containers without NAT) needs --any-source. On a bridge of veths
alone the source MAC is compared too; on one with an uplink only known MACs are held to their addresses; on macvlan
none is. Whoever on the bridge is not attached can still use the bridge's MAC, or an attached workload's address and
MAC together. What a workload on u32 sends is checked at receivers on ebpf only.

PRIVILEGE: a container with CAP_NET_ADMIN in the agent's user namespace (docker --cap-add NET_ADMIN without
userns-remap) can list and delete links of the enforcer's namespace and of the host, and put devices on them. Attach
warns of it; pyctl/datapath says what is guarded.
"""
_MODES = [Mode.DISCOVER.value, Mode.MONITOR.value, Mode.PROTECT.value]


def _last(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> str | None:
    """Return the last of several names: they all mean one workload, so nobody is left out."""
    return given[-1] if given else None


def _labels(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> dict[str, str | None]:
    """Return the labels of `k=v`; for `k-`, which removes a label, the value is None."""
    found: dict[str, str | None] = {}
    for text in given:
        key, equals, value = text.partition("=")
        goes = not equals and text.endswith("-")
        if goes:
            key = text[:-1]
        if not key or not (equals or goes):
            raise click.BadParameter(f"{text!r} is neither key=value nor key-")
        if key in found:
            raise click.BadParameter(f"the label {key!r} is given twice")
        found[key] = None if goes else value
    return found


def _services(
    _ctx: click.Context, _param: click.Parameter, given: str | None
) -> list[str] | None:
    """Return the services named; [] for `none`, None where the option is not given."""
    if given is None:
        return None
    known = [each.value for each in Service]
    names = [] if given == "none" else given.split(",")
    for name in names:
        if name not in known:
            raise click.BadParameter(f"{name!r} is none of {', '.join(known)}, none")
    return list(dict.fromkeys(names))


def _whom(command: F) -> F:
    """Add --pid and --container, as `pids` and `containers`."""
    for option in (
        click.option(
            "--container",
            "containers",
            metavar="NAME",
            multiple=True,
            help="Name or id, in Docker or Podman; repeatable.",
        ),
        click.option(
            "--pid",
            "pids",
            type=click.IntRange(min=1),
            multiple=True,
            help="A process in the container; repeatable.",
        ),
    ):
        command = option(command)
    return command


def _targets(
    pids: tuple[int, ...], containers: tuple[str, ...], host: str | None
) -> list[dict[str, Any]]:
    """Return the targets, one request each."""
    return [
        *({"pid": pid} for pid in dict.fromkeys(pids)),
        *(
            {"container": container, "container_host": host}
            for container in dict.fromkeys(containers)
        ),
    ]


def _for_each(
    targets: list[dict[str, Any]],
    ask: Callable[[dict[str, Any]], dict[str, Any]],
    tell: Callable[[dict[str, Any]], None],
    *,
    as_json: bool,
) -> None:
    """Send one request after the other. A failure does not stop the others; each is reported, and the last
    one gives the exit code.
    """
    answers, failures = [], []
    for target in targets:
        try:
            answers.append(ask(target))
        except SegctlError as error:
            failures.append(error)
            continue
        render.warnings(answers[-1]["warnings"])
        if not as_json:
            tell(answers[-1])
    if as_json and answers:
        render.as_json(answers if len(targets) > 1 else answers[0])
    for failure in failures[:-1]:
        click.echo(f"segctl: {failure}", err=True)
    if failures:
        raise failures[-1]


@click.command(cls=Command, epilog=DETAILS)
@_whom
@click.option(
    "--interface",
    "interfaces",
    metavar="IF",
    multiple=True,
    help="Only this interface; repeatable (default: each that has an address, or gets one later).",
)
@click.option(
    "--name",
    multiple=True,
    callback=_last,
    help="The workload's name (default: the container's, or pid-N); of several the last.",
)
@click.option(
    "--label",
    "labels",
    metavar="K=V|K-",
    multiple=True,
    callback=_labels,
    help="A label for the policy's selectors, or K- to take one away; repeatable.",
)
@click.option(
    "--datapath",
    type=click.Choice(["auto", "ebpf", "u32"]),
    default="auto",
    show_default=True,
    help="What steers the traffic.",
)
@click.option(
    "--mode",
    type=click.Choice(_MODES),
    help="The mode while no policy names one (default: discover).",
)
@click.option(
    "--fail",
    type=click.Choice([each.value for each in Fail]),
    help="While the engine is down, in protect: pass or drop what needs a verdict "
    "(default: auto, which is closed).",
)
@click.option(
    "--other-traffic",
    type=click.Choice([each.value for each in OtherTraffic]),
    help="Frames that are neither IP nor ARP, or VLAN-tagged (default: auto, dropped in "
    "protect, else passed).",
)
@click.option(
    "--any-source/--own-source",
    default=None,
    help="Whether the workload forwards for others: then its source addresses are not "
    "checked.",
)
@click.option(
    "--serves",
    metavar="SERVICES",
    callback=_services,
    help="What the workload is to its link, as a list: router (it may send IPv6 router "
    "advertisements and redirects), dhcp (it may answer DHCP clients) or none (default: none).",
)
@click.option(
    "--address",
    "addresses",
    metavar="A[/LEN]",
    multiple=True,
    help="An address of one host, which is the workload's besides those that its interfaces have "
    "now and its runtime tells; one in a CIDR group is told; repeatable.",
)
@click.option(
    "--follow-addresses",
    "follow",
    type=click.Choice([each.value for each in FollowAddresses]),
    help="Whether it may use addresses and MACs that it gives itself later: free, but none of "
    "another workload's or in a CIDR group of the policy; any, also in a group (default: no).",
)
@click.option(
    "--offload",
    type=click.Choice([each.value for each in Offload]),
    help="off: without segmentation and checksum offloads, as NeuVector does it; much "
    "slower, for comparison (default: on).",
)
@click.option(
    "--force",
    is_flag=True,
    default=None,
    help="Attach also where that loses something (a filter, an XDP or tcx program, a macvlan on top of "
    "the interface) or cuts it off for more than a second (a host's bridge with STP). Each is named.",
)
@click.option(
    "--once",
    is_flag=True,
    default=None,
    help="Do not attach the container again when it restarts or is made anew under its name.",
)
@options.container_host
@options.dry_run
@options.output
def attach(
    pids: tuple[int, ...],
    containers: tuple[str, ...],
    container_host: str | None,
    as_json: bool,
    **body: Any,
) -> None:
    """Splice into a running container, which does not notice.

    Attaching again changes the options that are given and leaves the others; the addresses and MACs
    that the workload has by then are its own from then on. The agent is started
    in the background where none runs.

    A container is remembered by its name: it is attached again, with the same options and mode, when it
    restarts or another one is made under that name, also after a reboot, until it is detached. A forced
    mode holds for the next container or process that is attached under its name; attach says so.

    LOCK-OUT: in protect, what no rule allows is denied. Do not attach a container that your own
    session goes through (SSH, a VPN, a proxy) with --mode protect before a policy allows it.

    INTERRUPTION: the interface is down for some 30 ms, at detach too; --dry-run says what that costs. A
    bridge with a spanning tree, the host's or the workload's own, is silent for 2 x forward_delay; more than
    65,536 routes over an interface are not put back (both need --force by hand); sessions of BGP, OSPF, BFD
    and VRRP may end. Of the connections that the workload masquerades for others, 16,384 are kept. Before
    Linux 6.16 an nftables chain on the interface is lost (--force).
    """
    if bool(pids) == bool(containers):
        raise click.UsageError("Give exactly one of --pid and --container.")
    targets = _targets(pids, containers, container_host)
    if len(targets) > 1 and body["name"] is not None:
        raise click.UsageError(
            f"--name is one workload's, and {len(targets)} are meant."
        )
    options.require_root("attach")
    from pyctl.cli.shared.start import with_agent

    def ask(target: dict[str, Any]) -> dict[str, Any]:
        # Options that are not given are not sent: an attached workload keeps them.
        said = {k: v for k, v in (body | target).items() if v not in (None, (), {})}
        return with_agent(
            options.instance(),
            lambda client: client.attach(**said),
            keep=not body["dry_run"],
        )

    def tell(answer: dict[str, Any]) -> None:
        if body["dry_run"]:
            render.steps(answer["plan"], would=True)
        else:
            _attached(answer)

    _for_each(targets, ask, tell, as_json=as_json)


@click.command(cls=Command)
@click.argument("workload", required=False)
@_whom
@click.option("--all", "everything", is_flag=True, help="Everything that is attached.")
@click.option(
    "--force",
    is_flag=True,
    help="Detach also where that loses what came onto the interface (a macvlan, a filter, an XDP program), as "
    "--all does.",
)
@options.container_host
@options.dry_run
@options.output
def detach(
    workload: str | None,
    pids: tuple[int, ...],
    containers: tuple[str, ...],
    everything: bool,
    force: bool,
    container_host: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Undo attach exactly. WORKLOAD is an id or name as `segctl list` shows it.

    Detaching what is not attached is done at once. Open connections live on, no longer inspected. The
    interface is down for some 44 ms.
    """
    given = [workload is not None, bool(pids), bool(containers), everything]
    if sum(given) != 1:
        raise click.UsageError(
            "Give exactly one of WORKLOAD, --pid, --container and --all."
        )
    options.require_root("detach")
    from pyctl.cli.shared.start import with_agent

    body: dict[str, Any] = dict.fromkeys(("pid", "container", "container_host"))
    body |= {"workload": workload, "all": everything, "dry_run": dry_run}
    if force:
        body["force"] = True

    def ask(target: dict[str, Any]) -> dict[str, Any]:
        return with_agent(
            options.instance(),
            lambda client: client.detach(**(body | target)),
            keep=not dry_run,
        )

    def tell(answer: dict[str, Any]) -> None:
        if dry_run and answer["plan"]:
            render.steps(answer["plan"], would=True)
        elif answer["workloads"]:
            names = ", ".join(map(render.safe, answer["workloads"]))
            click.echo(f"detached {names} in {answer['elapsed_ms']:.0f} ms")
        else:
            click.echo(f"nothing {'is' if dry_run else 'was'} attached")

    targets = _targets(pids, containers, container_host) or [{}]
    _for_each(targets, ask, tell, as_json=as_json)


def _attached(answer: dict[str, Any]) -> None:
    found = answer["workload"]
    ports = "; ".join(
        f"{port['interface']} {' '.join(port['addresses'])}" for port in found["ports"]
    )
    verb = "attached already" if answer["already"] else "attached"
    click.echo(
        f"{verb}: {render.safe(found['name'])} (pid {found['pid']}, {found['mode']}, "
        f"{found['datapath']}, fail {found['fail']}) in {answer['elapsed_ms']:.0f} ms"
    )
    click.echo(f"  {render.safe(ports)}")
