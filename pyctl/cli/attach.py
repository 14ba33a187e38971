"""segctl attach, segctl detach.

In: options. Out: what was done. I/O: the agent, started where none runs.
"""

from __future__ import annotations

from typing import Any

import click

from pyctl.cli import options, render
from pyctl.model.workload import Fail, Mode, Offload, OtherTraffic

_MODES = [Mode.DISCOVER.value, Mode.MONITOR.value, Mode.PROTECT.value]


def _labels(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    found = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{text!r} is not key=value")
        found[key] = value
    return found


@click.command()
@click.option("--pid", type=click.IntRange(min=1), help="A process in the container.")
@click.option("--container", metavar="NAME", help="Name or id, in Docker or Podman.")
@click.option(
    "--interface",
    "interfaces",
    metavar="IF",
    multiple=True,
    help="Only this interface; repeatable (default: each that has an address, or gets one later).",
)
@click.option(
    "--name", help="The workload's name (default: the container's, or pid-N)."
)
@click.option(
    "--label",
    "labels",
    metavar="K=V",
    multiple=True,
    callback=_labels,
    help="A label for the policy's selectors; repeatable.",
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
    "--offload",
    type=click.Choice([each.value for each in Offload]),
    help="off: without segmentation and checksum offloads, as NeuVector does it; much "
    "slower, for comparison (default: on).",
)
@options.container_host
@options.dry_run
@options.output
def attach(
    pid: int | None,
    container: str | None,
    container_host: str | None,
    as_json: bool,
    **body: Any,
) -> None:
    """Splice into a running container, which does not notice.

    Attaching again changes the options that are given and leaves the others. The agent is started
    in the background where none runs.

    LOCK-OUT: in protect, what no rule allows is denied. Do not attach a container that your own
    session goes through (SSH, a VPN, a proxy) with --mode protect before a policy allows it.
    """
    if (pid is None) == (container is None):
        raise click.UsageError("Give exactly one of --pid and --container.")
    options.require_root("attach")
    from pyctl.cli.start import with_agent

    body |= {"pid": pid, "container": container}
    if container:
        body["container_host"] = container_host
    # What is not said is not sent: it stays as it is where the workload is attached already.
    body = {key: value for key, value in body.items() if value not in (None, (), {})}
    answer = with_agent(
        options.instance(),
        lambda client: client.attach(**body),
        keep=not body["dry_run"],
    )
    render.warnings(answer["warnings"])
    if as_json:
        render.as_json(answer)
    elif body["dry_run"]:
        render.steps(answer["plan"], would=True)
    else:
        _attached(answer)


@click.command()
@click.argument("workload", required=False)
@click.option("--pid", type=click.IntRange(min=1), help="A process in the container.")
@click.option("--container", metavar="NAME", help="Name or id, in Docker or Podman.")
@click.option("--all", "everything", is_flag=True, help="Everything that is attached.")
@options.container_host
@options.dry_run
@options.output
def detach(
    workload: str | None,
    pid: int | None,
    container: str | None,
    everything: bool,
    container_host: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Undo attach exactly. WORKLOAD is an id or name as `segctl list` shows it.

    Detaching what is not attached is done at once. Open connections live on, no longer inspected.
    """
    given = [workload is not None, pid is not None, container is not None, everything]
    if sum(given) != 1:
        raise click.UsageError(
            "Give exactly one of WORKLOAD, --pid, --container and --all."
        )
    options.require_root("detach")
    from pyctl.cli.start import with_agent

    body = {
        "pid": pid,
        "container": container,
        "workload": workload,
        "all": everything,
        "container_host": container_host if container else None,
        "dry_run": dry_run,
    }
    answer = with_agent(
        options.instance(), lambda client: client.detach(**body), keep=not dry_run
    )
    render.warnings(answer["warnings"])
    if as_json:
        render.as_json(answer)
    elif dry_run:
        render.steps(answer["plan"], would=True)
    elif answer["workloads"]:
        names = ", ".join(map(render.safe, answer["workloads"]))
        click.echo(f"detached {names} in {answer['elapsed_ms']:.0f} ms")
    else:
        click.echo("nothing was attached")


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
