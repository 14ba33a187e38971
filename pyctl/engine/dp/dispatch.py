"""Does what a datagram asks, on the engine.

In: datagrams. Out: reply datagrams. I/O: through the engine, and the opening of its rings in the
network namespace of this process: `ip netns exec NAME segctl engine`, as one starts a dp.

Configuration is not acknowledged, as in the dp: whoever must know sends a keep-alive after it, because
requests are done in their order. A tapped endpoint's packets are sent back too, where the dp would keep them:
what reaches this engine is on a detour, so keeping it would cut the workload off.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import structlog

from pyctl.engine import records
from pyctl.engine.dp import messages, replies, sessions
from pyctl.engine.dp.state import Endpoint, State
from pyctl.engine.dp.translate import is_range
from pyctl.engine.process import log
from pyctl.engine.process.engine import Engine
from pyctl.engine.rings import open_rings
from pyctl.errors import SegctlError, UsageError

OWN_NETNS = "/proc/self/ns/net"
GENERATION_BASE = 1 << 62
"""Above every generation that an agent publishes: the kernel must not cache verdicts of policies whose
changes nobody publishes."""
DEBUG_CATEGORIES = (
    *("init", "error", "ctrl", "packet", "session", "timer", "tcp", "parser", "log"),
    *("ddos", "policy", "dlp"),
)
_LISTED = 4096
_NO_WORKLOAD = ("no_policy", "detour_macs", "detour_unknown")
_ERRORS = ("malformed", "truncated", "tcp_flags", "fragment_overlap", "fragment_tiny")


class Dispatcher:
    """The dp protocol's requests on one engine. Use it in one thread at a time."""

    def __init__(self, engine: Engine, *, log_level: str = "info") -> None:
        self._engine = engine
        self._log = structlog.get_logger()
        self._log_level = log_level
        self._state = State()
        self._generation = GENERATION_BASE
        self._port: tuple[str, int] | None = None
        """(name, ifindex) of the interface whose rings this protocol opened."""
        self._debug: tuple[str, ...] = ()
        self._gone: Counter[str] = Counter()
        """Counters of deleted endpoints, so that the device's counters never decrease."""
        self._handlers: dict[type, Callable[[Any], Iterator[bytes] | None]] = {
            messages.KeepAlive: self._keep_alive,
            messages.AddServicePort: self._add_port,
            messages.DeleteServicePort: self._delete_port,
            messages.InternalNet: self._internal_net,
            messages.AddMac: self._add_mac,
            messages.DeleteMac: self._delete_mac,
            messages.ConfigMac: self._config_mac,
            messages.ConfigPolicy: self._config_policy,
            messages.CountSession: self._count_session,
            messages.ListSession: self._list_session,
            messages.CounterDevice: self._counter_device,
            messages.SetDebug: self._set_debug,
            messages.GetDebug: self._get_debug,
        }

    def handle(self, datagram: bytes) -> Iterator[bytes]:
        """Do what a datagram asks; return its replies, made when they are read. Most have none.

        Raises SegctlError for what cannot be done or is no request; nothing has changed then. If the engine
        refuses a policy (no memory), its port keeps what it had until the endpoint's next message, and the
        others of the same message get theirs.
        """
        request = messages.parse(datagram)
        self._log.debug("dp request", request=type(request).__name__)
        return self._handlers[type(request)](request) or iter(())

    def _keep_alive(self, request: messages.KeepAlive) -> Iterator[bytes]:
        yield replies.keep_alive(request.seq_num)

    def _add_port(self, request: messages.AddServicePort) -> None:
        try:
            wanted = request.iface, socket.if_nametoindex(request.iface)
        except OSError as error:
            raise SegctlError(
                f"open rings on {request.iface}: {error}",
                state="the engine reads what it read before",
                advice="is the engine in the namespace that has it?",
                errno=error.errno,
            ) from error
        # Opening a second set beside the first would read every frame twice for a moment.
        if self._port == wanted:
            return
        if self._port and self._port[0] != request.iface:
            raise UsageError(
                f"open rings on {request.iface}: the engine reads {self._port[0]}",
                state="it goes on with that",
                advice="ctrl_del_srvc_port first",
            )
        self._engine.set_rings(open_rings(OWN_NETNS, request.iface).fds)
        self._port = wanted
        self._log.info("dp port added", iface=request.iface)

    def _delete_port(self, request: messages.DeleteServicePort) -> None:
        if self._port is None or self._port[0] != request.iface:
            raise UsageError(
                f"no rings were opened on {request.iface} by this protocol"
            )
        self._engine.drop_rings()
        self._port = None
        self._log.info("dp port deleted", iface=request.iface)

    def _internal_net(self, request: messages.InternalNet) -> None:
        if self._state.take_nets(request):
            self._log.info("dp internal subnets", count=len(self._state.nets.inside))
            self._program(*self._state)

    def _add_mac(self, request: messages.AddMac) -> None:
        endpoint, freed = self._state.add(request)
        for port_id in freed:
            self._release(port_id)
        self._program(endpoint)
        self._log.info("dp endpoint", mac=endpoint.mac, port_id=endpoint.port_id)

    def _delete_mac(self, request: messages.DeleteMac) -> None:
        endpoint = self._state.delete(request.mac)
        if endpoint.port_id is not None:
            self._release(endpoint.port_id)
        self._log.info("dp endpoint deleted", mac=endpoint.mac)

    def _config_mac(self, request: messages.ConfigMac) -> None:
        self._program(*self._state.configure(request))
        self._log.info("dp endpoint configured", macs=request.macs, tap=request.tap)

    def _config_policy(self, request: messages.ConfigPolicy) -> None:
        changed = self._state.take_policy(request)
        for endpoint in changed:
            policy = endpoint.policy
            self._log.info(
                "dp policy",
                mac=endpoint.mac,
                rules=len(policy.rules) if policy else 0,
                defact=policy.defact.name if policy else None,
            )
            named = sum(bool(rule.fqdn) for rule in policy.rules) if policy else 0
            if named:
                self._log.warning(
                    "dp rules for names are left out", mac=endpoint.mac, rules=named
                )
        self._program(*changed)

    def _program(self, *endpoints: Endpoint) -> None:
        """Set the policies of these endpoints in the engine. A refusal does not stop the others; the first
        one is raised at the end.
        """
        refused: list[SegctlError] = []
        for endpoint in endpoints:
            compiled = self._state.compiled(endpoint)
            if compiled is None:
                continue
            self._generation += 1
            try:
                self._engine.set_policy(records.pack_policy(compiled, self._generation))
                self._engine.set_listeners(compiled.port_id, endpoint.listeners)
            except SegctlError as error:
                refused.append(error)
        if refused:
            raise refused[0]

    def _release(self, port_id: int) -> None:
        self._gone.update(self._counted(port_id))
        self._engine.delete_port(port_id)

    def _counted(self, port_id: int) -> dict[str, int]:
        found = self._engine.counters(port_id)
        return {reason: packets for reason, (packets, _, _) in found.items()}

    def _sessions(self) -> Iterator[tuple[records.Session, Endpoint]]:
        """Yield the sessions that belong to an endpoint; the engine also lists some of deleted endpoints."""
        cursor, more = 0, True
        while more:
            blob, cursor = self._engine.sessions(0, _LISTED, cursor)
            for session in records.sessions(blob):
                endpoint = self._state.at_port(session.port_id)
                if endpoint is not None:
                    yield session, endpoint
            more = cursor != 0

    def _counts(self) -> replies.SessionCounts:
        return sessions.count(session for session, _ in self._sessions())

    def _count_session(self, _: messages.CountSession) -> Iterator[bytes]:
        yield replies.session_count(self._counts())

    def _list_session(self, _: messages.ListSession) -> Iterator[bytes]:
        now = time.monotonic_ns()
        rows = (
            sessions.row(session, endpoint, self._state.nets, now)
            for session, endpoint in self._sessions()
        )
        yield from replies.session_list(rows)

    def _counter_device(self, _: messages.CounterDevice) -> Iterator[bytes]:
        # Read these first, so that the ports' counts include every frame counted here.
        stats = self._engine.stats()
        counted = Counter(self._gone) + Counter(self._counted(0))
        for endpoint in self._state:
            if endpoint.port_id is not None:
                counted.update(self._counted(endpoint.port_id))
        unknown = max(0, stats["frames"] - counted["to_engine"])
        rules = [
            is_range(rule)
            for endpoint in self._state
            for rule in (endpoint.policy.rules if endpoint.policy else ())
        ]
        yield replies.device_counter(
            replies.DeviceCounters(
                rx=stats["frames"],
                rx_drop=sum(stats["ring_drops"]),
                tx=stats["sent"],
                tx_drop=stats["send_failed"],
                error=sum(counted[reason] for reason in _ERRORS),
                no_workload=unknown + sum(counted[reason] for reason in _NO_WORKLOAD),
                other=counted["other_ethertype"],
                timeout_frag=counted["fragment_timeout"],
                sessions=self._counts(),
                type1_rules=rules.count(False),
                type2_rules=rules.count(True),
            )
        )

    def _set_debug(self, request: messages.SetDebug) -> None:
        """Set the log level: any category means debug, because this engine's log has no categories."""
        wanted = dict.fromkeys(request.categories)
        unknown = [
            name for name in wanted if name not in (*DEBUG_CATEGORIES, "all", "none")
        ]
        if unknown:
            raise UsageError(f"no debug category {unknown[0][:60]!r}")
        chosen = DEBUG_CATEGORIES if "all" in wanted else tuple(wanted)
        self._debug = () if "none" in wanted else chosen
        log.configure("debug" if self._debug else self._log_level)

    def _get_debug(self, _: messages.GetDebug) -> Iterator[bytes]:
        yield replies.debug(self._debug)
