"""Attaching one workload: all of its interfaces, or none.

In: an AttachRequest. Out: the workload in the registry, spliced, steered and judged. The workload is
written to disk while a splice still has its journal, so that at any moment of a kill either the
journal or the registry knows of every port; what a recovery finds undone is dropped from both.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from pyctl.controller.context import Context
from pyctl.controller.workloads import succession, uninspected
from pyctl.controller.workloads.attach_target import Target, find_target
from pyctl.controller.workloads.detach import cleanup_dead_workload
from pyctl.controller.workloads.given import (
    as_given,
    found_beside,
    taken_anew,
    uncontested,
    with_claims,
    yielding,
)
from pyctl.controller.workloads.in_netns import workload_in_netns
from pyctl.controller.workloads.release import release_ports
from pyctl.errors import RefusedError, SegctlError
from pyctl.intercept.attach import prepare, preview
from pyctl.intercept.live_state import (
    follow,
    live_addresses,
    unspliced,
)
from pyctl.intercept.survey.select import candidates, refuse_netns, select_interfaces
from pyctl.model.workload import (
    DatapathKind,
    Fail,
    FollowAddresses,
    Mode,
    Offload,
    OtherTraffic,
    RuntimeKind,
    Workload,
)
from pyctl.platform.cap_net_admin import rules_networks
from pyctl.platform.process import process_alive
from pyctl.runtime.base import Container
from pyctl.state.requests import AttachRequest, AttachResult
from pyctl.telemetry.events import Event

_RULES_NETWORKS = (
    "it has CAP_NET_ADMIN in the host's user namespace: it can take away other workloads' interfaces and the host's, "
    "or hang devices on them; without that capability, or with userns-remap, it cannot"
)


def attach(context: Context, order: AttachRequest) -> AttachResult:
    """Attach the workload that the order names: splice and steer its interfaces. If it is attached already,
    update its options and splice its new interfaces.
    """
    started = time.monotonic()
    target = find_target(order.pid, order.container, order.container_host, order.found)
    known = workload_in_netns(context.registry.all(), target.process)
    if known is not None:
        known = _entered(context, known, target, dry_run=order.dry_run)
        result = _attach_more(context, known, target, order, started)
    else:
        result = _attach_new(context, target, order, started)
    return replace(result, container=target.container)


def _entered(
    context: Context, known: Workload, target: Target, *, dry_run: bool
) -> Workload:
    """Return the attached workload with a process that lives: the target's, where its own has ended."""
    if process_alive(known.process):
        return known
    now = succession.inherited(known, target.process)
    if not dry_run:
        succession.hand_over(context, known, now)
    return now


def _attach_new(
    context: Context, target: Target, order: AttachRequest, started: float
) -> AttachResult:
    datapath = context.steering.drivers.choose(order.datapath)
    refuse_netns(context.instance, target.process)
    choose = candidates if order.automatic else select_interfaces
    interfaces, others = choose(target.process, order.interfaces)
    warnings = list(others)
    if rules_networks(target.process.pid):
        warnings.append(_RULES_NETWORKS)
    workload, room = _new_workload(context, target, order, datapath)
    # In an automatic attach nobody checks whether the workload gave itself other addresses.
    given = workload.given if order.automatic and workload.told else None
    if given is None:
        live = live_addresses(target.process)
        workload = replace(workload, found=found_beside(live, interfaces))
    if workload.forced_mode is not None:
        warnings.append(
            f"{workload.name} is in {workload.forced_mode}, as `segctl mode` said before; "
            f"`segctl mode {workload.name} auto` gives it back"
        )
    if order.dry_run:
        plan = room + _preview(context, target, interfaces, force=order.force)
        if workload.offload is Offload.OFF:
            plan.append("switch its offloads and those of vbr-neuv off")
        return AttachResult(None, plan, warnings, False, _ms_since(started))
    context.steering.drivers.of(datapath)
    workload = _splice_all(
        context, workload, interfaces, warnings, given, force=order.force
    )
    if not order.interfaces:
        workload = replace(workload, all_interfaces=True)
        context.registry.put(workload)
    return _attached(context, workload, interfaces, warnings, started)


def rename(context: Context, container: Container, before: str) -> None:
    """Rename a workload after its container was renamed from `before`. RefusedError if another workload has
    the new name.
    """
    known = context.registry.get(container.short_id)
    if known is None or known.name != before:
        return
    _refuse_taken(_others(context, known), container.name, known.id)
    context.registry.put(replace(known, name=container.name))
    context.refresh()
    told = f"it was called {before}"
    context.happened(Event("lifecycle", told, workload=container.name))


def _attach_more(
    context: Context,
    known: Workload,
    target: Target,
    order: AttachRequest,
    started: float,
) -> AttachResult:
    """Update the options of an attached workload as the order says, and splice its interfaces that are not
    spliced yet.
    """
    interfaces, warnings = _not_spliced(context, target, order)
    plan = _update(context, known, target, order)
    if order.dry_run:
        plan += _preview(context, target, interfaces, force=order.force)
        return AttachResult(None, plan, warnings, not interfaces, _ms_since(started))
    workload = context.registry.get(known.id) or known
    if not interfaces:
        plan = plan or ["attached already; nothing to change"]
        warnings += context.identity_warnings(workload)
        return AttachResult(workload, plan, warnings, True, _ms_since(started))
    if order.hotplug and order.told != workload.told:
        workload = replace(workload, told=order.told)
    # The first interface of a workload without addresses counts as given.
    given = workload.given if order.hotplug and workload.given else None
    workload = _splice_all(
        context, workload, interfaces, warnings, given, force=order.force
    )
    return _attached(context, workload, interfaces, warnings, started)


def _preview(
    context: Context, target: Target, interfaces: tuple[str, ...], *, force: bool
) -> list[str]:
    return [
        line
        for interface in interfaces
        for line in preview(context.instance, target.process, interface, force=force)
    ]


def _attached(
    context: Context,
    workload: Workload,
    interfaces: tuple[str, ...],
    warnings: list[str],
    started: float,
) -> AttachResult:
    workload = _claims_settled(context, workload)
    if workload.offload is Offload.OFF:
        _offloads_off(context, workload)
    beside = uninspected.look(context, workload)
    warnings += [f"not inspected: {one.interface}: {one.reason}" for one in beside]
    elapsed = _ms_since(started)
    ports = [port for port in workload.ports if port.interface in interfaces]
    plan = [f"spliced {port.interface}: {port.vex}, {port.vin}" for port in ports]
    warnings += context.identity_warnings(workload) + context.room_warnings()
    names = ", ".join(port.interface for port in ports) or "no interface yet"
    told = f"attached ({names}) in {elapsed:.0f} ms"
    context.happened(Event("lifecycle", told, workload=workload.name))
    return AttachResult(workload, plan, warnings, False, elapsed)


def _offloads_off(context: Context, workload: Workload) -> None:
    """Switch the offloads of a workload that was just attached off. SegctlError if they stay on."""
    try:
        context.switch_offloads(workload)
    except (OSError, SegctlError) as error:
        with_them = replace(workload, offload=Offload.ON)
        context.registry.put(with_them)
        with contextlib.suppress(OSError, SegctlError):
            context.switch_offloads(with_them)
        raise SegctlError(
            f"switching the offloads of {workload.name} off failed: {error}",
            state="it is attached and inspected, with its offloads on",
            advice="attach it again with --offload off to try again, or leave it so",
            errno=error.errno,
        ) from error


def _claims_settled(context: Context, workload: Workload) -> Workload:
    """Return the workload with the claims on its addresses settled, after all other workloads know of it."""
    now = with_claims(workload)
    for one in (now, *yielding(context.instance, now, _others(context, now))):
        if one != context.registry.get(one.id):
            context.registry.put(one)
    context.refresh()
    return context.registry.by_id[workload.id]


def _others(context: Context, workload: Workload) -> list[Workload]:
    return [one for one in context.registry.all() if one.id != workload.id]


def _new_workload(
    context: Context, target: Target, order: AttachRequest, datapath: DatapathKind
) -> tuple[Workload, list[str]]:
    """Return the workload without its ports, and what makes room for it, a line each; a dry run changes nothing."""
    container = target.container
    workload_id = container.short_id if container else f"pid-{target.process.pid}"
    default_name = container.name if container else workload_id
    name = order.name or default_name
    room = _make_room(context, target, name, workload_id, dry_run=order.dry_run)
    others = [one for one in context.registry.all() if one.id not in room]
    if order.automatic and any(name == one.name for one in others):
        # Nobody is there to choose another name.
        name = f"{name}-{workload_id}"
    _refuse_taken(others, name, workload_id)
    workload = Workload(
        id=workload_id,
        name=name,
        process=target.process,
        labels=_labelled(container.labels if container else {}, order),
        image=container.image if container else None,
        runtime=container.runtime if container else "process",
        attach_mode=order.mode or Mode.DISCOVER,
        fail=order.fail or Fail.AUTO,
        other_traffic=order.other_traffic or OtherTraffic.AUTO,
        any_source=bool(order.any_source),
        serves=order.serves or (),
        offload=order.offload or Offload.ON,
        told=container.addresses if container else (),
        added=order.addresses,
        follow=order.follow or FollowAddresses.NO,
    )
    workload = context.steering.drivers.put_on(workload, datapath)
    return context.memory.with_mode(workload), [*room.values()]


def _make_room(
    context: Context, target: Target, name: str, workload_id: str, *, dry_run: bool
) -> dict[str, str]:
    """Free the name and id of a container that starts again: clean up its dead former workload, or rename one
    that lives on in the former network namespace. Return what that is, by the id that it frees or renames.
    """
    taken = [
        one
        for one in context.registry.all()
        if one.id == workload_id or one.name == name
    ]
    plan = {}
    for former, now in succession.outlook(context, taken):
        if now is None:
            pid = former.process.pid
            plan[former.id] = f"clean up {former.name}, whose process {pid} has ended"
            if not dry_run:
                cleanup_dead_workload(context, former)
            continue
        if not dry_run:
            succession.hand_over(context, former, now)
        if now.id == workload_id:
            aside_id = f"pid-{now.process.pid}"
        elif _lost_its_name(now, name, target.container):
            aside_id = now.id
        else:
            continue
        aside = replace(
            now,
            id=aside_id,
            name=f"{now.name}-{aside_id}",
            runtime=RuntimeKind.PROCESS,
        )
        plan[former.id] = (
            f"call {now.name} (process {now.process.pid}) {aside.name}: it lives on in its former network namespace"
        )
        if not dry_run:
            _set_aside(context, now, aside)
    return plan


def _set_aside(context: Context, former: Workload, aside: Workload) -> None:
    """Give another name, and id if the container has that again, to what lives on in a former namespace."""
    context.registry.put(aside)
    if aside.id != former.id:
        context.registry.drop(former.id)
        told = f"{former.name} has started in another network namespace; this is who lives on in its former one"
        context.happened(Event("lifecycle", told, workload=aside.name))


def _lost_its_name(other: Workload, name: str, container: Container | None) -> bool:
    """Return whether `other` lives on without its container, and the container of that name is this one."""
    alone = other.runtime == RuntimeKind.PROCESS and not other.id.startswith("pid-")
    return alone and container is not None and name == other.name == container.name


def _refuse_taken(others: list[Workload], name: str, workload_id: str) -> None:
    """Raise RefusedError if name or id is in use: a pid may come again before the former cleanup."""
    for other in others:
        if name == other.name or workload_id == other.id:
            raise RefusedError(
                f"a workload called {name!r} is attached already (pid {other.process.pid})",
                state="nothing was touched",
                advice="give another with --name, or detach that one",
            )


def _splice_all(
    context: Context,
    before: Workload,
    interfaces: tuple[str, ...],
    warnings: list[str],
    given: Collection[str] | None = None,
    *,
    force: bool,
) -> Workload:
    """Splice all of the interfaces or none; earlier ports stay. What the splices lose goes into `warnings`
    and becomes an event. `given`: only these of their addresses are the workload's own; None: all.
    """
    workload = before
    for interface in interfaces:
        try:
            with context.splicing((workload.id,)):
                workload, lost = _splice_one(
                    context, workload, interface, given, force=force
                )
        except BaseException:
            with contextlib.suppress(SegctlError):
                release_ports(context, workload, workload.ports[len(before.ports) :])
            raise
        warnings += lost
        for sentence in lost:
            event = Event("lifecycle", sentence, workload=workload.name)
            context.happened(event)
    return workload


def _splice_one(
    context: Context,
    workload: Workload,
    interface: str,
    given: Collection[str] | None,
    *,
    force: bool,
) -> tuple[Workload, list[str]]:
    """Splice one interface and steer its port while its links are down, so that the policy holds from the
    first frame; return the workload with the port, and what was lost.
    """
    port_id = context.new_port_id()
    target = context.instance, workload.process, interface, port_id
    try:
        with prepare(*target, force=force) as splice:
            port = as_given(splice.port, given)
            joining = uncontested(
                context.instance,
                replace(workload, ports=(*workload.ports, port)),
                _others(context, workload),
                {port_id: splice.segment},
            )
            *former, port = joining.ports
            compiled = context.prepare(joining, port)
            port = splice.cut(port)
            joining = replace(joining, ports=(*former, port))
            context.registry.put(joining)
            context.steer(joining, port, compiled)
            context.joined(port)
            return joining, splice.commit(context.give_way)
    except BaseException:
        context.steering.remove(port_id)
        context.keep_or_drop(workload)
        raise


def _not_spliced(
    context: Context, target: Target, order: AttachRequest
) -> tuple[tuple[str, ...], list[str]]:
    """Return the interfaces that are not spliced yet, of those named or of all, and warnings."""
    found, warnings = candidates(target.process, order.interfaces)
    return unspliced(context.instance, target.process, found), list(warnings)


def _labelled(before: Mapping[str, str], order: AttachRequest) -> dict[str, str]:
    found = {**before, **order.labels}
    return {key: value for key, value in found.items() if value is not None}


def _changes(known: Workload, wanted: Workload) -> list[str]:
    """Return what differs between the two, a line each, for users."""
    before = vars(known)
    after = vars(replace(wanted, capabilities=known.capabilities))
    hidden = ("ports", "found", "told", "added", "claims", "absent", "taken")
    plan = [
        f"set {key} to {after[key]}"
        for key in after
        if after[key] != before[key] and key not in hidden
    ]
    new = [text for text in wanted.given if text not in known.given]
    gone = [text for text in known.given if text not in wanted.given]
    plan += [f"{text} is its own from now on" for text in new]
    plan += [f"{text} is its own no more" for text in gone]
    macs = zip(known.ports, wanted.ports, strict=True)
    return plan + [
        f"{now.interface} has the MAC {now.mac}"
        for was, now in macs
        if was.mac != now.mac
    ]


def _update(
    context: Context, known: Workload, target: Target, order: AttachRequest
) -> list[str]:
    """Update the options of an attached workload from the order; return what changed, a line each."""
    others = _others(context, known)
    _refuse_taken(others, order.name or known.name, known.id)
    wanted = replace(
        known
        if order.hotplug
        else taken_anew(
            context.instance,
            known,
            target.container,
            others,
            automatic=order.automatic,
        ),
        name=order.name or known.name,
        labels=_labelled(known.labels, order),
        attach_mode=order.mode or known.attach_mode,
        fail=order.fail or known.fail,
        other_traffic=order.other_traffic or known.other_traffic,
        any_source=known.any_source if order.any_source is None else order.any_source,
        serves=known.serves if order.serves is None else order.serves,
        offload=order.offload or known.offload,
        all_interfaces=known.all_interfaces or not order.interfaces,
        added=tuple(dict.fromkeys((*known.added, *order.addresses))),
        follow=order.follow or known.follow,
    )
    datapath = order.datapath or known.datapath
    wanted = context.steering.drivers.put_on(wanted, datapath)
    plan = _changes(known, wanted)
    if plan and not order.dry_run:
        if wanted.datapath is not known.datapath:
            known = _move(context, known, datapath)
        context.registry.put(wanted)
        try:
            context.refresh()
            for was, now in zip(known.ports, wanted.ports, strict=True):
                follow(context.instance, was, now)
            if wanted.offload is not known.offload:
                context.switch_offloads(wanted)
        except (OSError, SegctlError):
            context.registry.put(known)
            context.refresh()
            raise
    return plan


def _move(context: Context, known: Workload, datapath: DatapathKind) -> Workload:
    """Move the workload to the other datapath; the registry is written first, for the case of a kill."""
    context.steering.drivers.of(datapath)
    moving = context.steering.drivers.put_on(known, datapath)
    context.registry.put(moving)
    try:
        context.move(moving)
    except BaseException:
        context.registry.put(known)
        with contextlib.suppress(SegctlError):
            context.move(known)
        raise
    return moving


def _ms_since(started: float) -> float:
    return (time.monotonic() - started) * 1000
