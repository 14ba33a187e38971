"""The steps of a splice and of its inverse, each with what takes it back.

In: a Snapshot. Out: a tuple of Steps. I/O: none.

    attach   park → strip → move → create → ports → open → FILL
    detach   park → mark → remove → move → FILL
    FILL     settings → master → up → queues → addresses → groups → ways-out → neighbours → routes → settle → unpark → verify

Every operation may be done twice or taken back undone, so a killed splice is put right
by undoing the steps that had begun, newest first, and a killed detach by doing all of
its steps. FILL is one and the same for our interface and for the original: both have
the same name and index inside the workload.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from pyctl.intercept.restore.snapshot import Snapshot
from pyctl.platform.netlink import l3


PARKED_MAX = 128
"""The most addresses of a family that are lent to lo. The kernel goes through all addresses of an interface for each
that comes or goes, so lending and taking back tens of thousands would cut the workload off for longer than a send
from one of the others fails.
"""


class Op(StrEnum):
    """An operation of a step; pyctl.intercept.steps.ops runs it."""

    PARK = "park"
    UNPARK = "unpark"
    DROP_ALTNAMES = "drop-altnames"
    MOVE_OUT = "move-out"
    MOVE_IN = "move-in"
    CREATE = "create"
    REMOVE = "remove"
    TAKE_TURN = "take-turn"
    PORTS_READY = "ports-ready"
    PORTS_UP = "ports-up"
    SETTINGS = "settings"
    MASTER = "master"
    LINK_UP = "link-up"
    ADDRESSES = "addresses"
    GROUPS = "groups"
    WAYS_OUT = "ways-out"
    ROUTES = "routes"
    NEIGHBOURS = "neighbours"
    QUEUES = "queues"
    SETTLE = "settle"
    VERIFY = "verify"


@dataclass(frozen=True)
class Step:
    """A step of a plan; `undo` restores the state before it, however far `do` came."""

    name: str
    what: str
    """For people."""
    do: tuple[Op, ...] = ()
    undo: tuple[Op, ...] = ()


REFILL = (
    *(Op.SETTINGS, Op.MASTER, Op.LINK_UP, Op.QUEUES),
    *(Op.ADDRESSES, Op.GROUPS, Op.WAYS_OUT, Op.NEIGHBOURS, Op.ROUTES, Op.SETTLE),
)

CARRIED = frozenset({*REFILL, Op.VERIFY})
"""What is done to an interface that is in its place."""
DETAILS = frozenset(
    {
        *(Op.PARK, Op.UNPARK, Op.DROP_ALTNAMES),
        *(Op.SETTINGS, Op.GROUPS, Op.NEIGHBOURS),
    }
)
"""What a workload can do without. It may have given itself what nobody can put back, so what fails of these is
told and ends no splice: it must not be a way to stay unprotected.
"""


def _park(snapshot: Snapshot) -> tuple[Step, ...]:
    if not parked(snapshot):
        return ()
    what = "lend the addresses to lo, with a last-resort default route, so that no send fails"
    return (Step("park", what, (Op.PARK,), (Op.UNPARK,)),)


def _fill(was: Snapshot) -> tuple[Step, ...]:
    link = was.link
    routes = sum(link.index in l3.route_oifs(body) for body in was.routes)
    routes += len(was.advertised)
    settings = f"give {link.name} its sysctls, flags and names"
    up = f"set {link.name} up" if link.up else "leave it down"
    ordered = f"put {routes} routes back, in an order that resolves"
    unpark = Step("unpark", "take the lent addresses off lo", (Op.UNPARK,), (Op.PARK,))
    return (
        Step("settings", settings, (Op.SETTINGS,)),
        *_master(was),
        Step("up", up, (Op.LINK_UP,)),
        *_queues(was),
        Step("addresses", f"put {len(was.addresses)} addresses back", (Op.ADDRESSES,)),
        *_groups(was),
        Step("ways-out", "put nexthops and default routes back", (Op.WAYS_OUT,)),
        Step(
            "neighbours", f"put {len(was.neighbours)} neighbours back", (Op.NEIGHBOURS,)
        ),
        Step("routes", ordered, (Op.ROUTES,)),
        Step("settle", "wait until the kernel has finished with it", (Op.SETTLE,)),
        *((unpark,) if parked(was) else ()),
        Step("verify", "compare everything with what it was", (Op.VERIFY,)),
    )


def _groups(snapshot: Snapshot) -> tuple[Step, ...]:
    number = len(snapshot.groups) + len(snapshot.link_groups)
    what = f"let the sockets join {number} multicast groups again"
    return (Step("groups", what, (Op.GROUPS,)),) if number else ()


def _queues(snapshot: Snapshot) -> tuple[Step, ...]:
    what = f"give it back {len(snapshot.qdiscs)} qdiscs"
    return (Step("queues", what, (Op.QUEUES,)),) if snapshot.qdiscs else ()


def _master(snapshot: Snapshot) -> tuple[Step, ...]:
    what = "make it a port of its bridge or VRF again, with all its settings"
    return (Step("master", what, (Op.MASTER,)),) if snapshot.link.master else ()


def attach_plan(snapshot: Snapshot, vex: str, vin: str) -> tuple[Step, ...]:
    """Return the steps that put our veth in the interface's place."""
    name = snapshot.link.name
    strip = (Op.DROP_ALTNAMES,) if snapshot.link.altnames else ()
    out = f"move {name} out and call it {vex}"
    anew = f"create {name} anew with the peer {vin}"
    return (
        *_park(snapshot),
        Step("strip", f"take {name}'s alternative names off", strip, REFILL),
        Step("move", out, (Op.MOVE_OUT,), (Op.MOVE_IN,)),
        Step("create", anew, (Op.CREATE,), (Op.REMOVE,)),
        Step("ports", "set the datapath on both ports", (Op.PORTS_READY,)),
        Step("open", f"set {vin} and {vex} up", (Op.PORTS_UP,)),
        *_fill(snapshot),
    )


def detach_plan(snapshot: Snapshot, vex: str, vin: str) -> tuple[Step, ...]:
    """Return the steps that give the workload its own interface back."""
    name = snapshot.link.name
    ours = f"delete our {name}, and {vin} with it"
    home = f"move {vex} back and call it {name}"
    return (
        *_park(snapshot),
        Step(
            "mark",
            "remember what to put back should this fail",
            undo=(Op.PORTS_READY, Op.PORTS_UP, *REFILL),
        ),
        Step("remove", ours, (Op.REMOVE,), (Op.CREATE,)),
        Step("move", home, (Op.TAKE_TURN, Op.MOVE_IN), (Op.MOVE_OUT,)),
        *_fill(snapshot),
    )


def parked(snapshot: Snapshot) -> tuple[bytes, ...]:
    """Return the addresses to lend to lo (message bodies): the global ones in use that lo does not have, the first
    PARKED_MAX of each family.
    """
    loopback = snapshot.loopback
    if loopback is None or not loopback.up or not snapshot.link.up:
        return ()
    there = {l3.address_raw(body) for body in snapshot.loopback_addresses}
    lent: dict[tuple[int, bytes], None] = {}
    number = Counter[int]()
    for body in snapshot.addresses:
        if (
            number[body[0]] < PARKED_MAX
            and l3.address_scope(body) == l3.RT_SCOPE_UNIVERSE
            and not l3.in_doubt(body)
            and (one := l3.address_raw(body)) not in there
            and one not in lent
        ):
            lent[one] = None
            number[body[0]] += 1
    return tuple(
        l3.host_address(family, raw, loopback.index, "lo") for family, raw in lent
    )


def describe(steps: tuple[Step, ...]) -> tuple[str, ...]:
    """Return the plan in words, one line per step: what --dry-run prints."""
    return tuple(f"{step.name}: {step.what}" for step in steps if step.do)
