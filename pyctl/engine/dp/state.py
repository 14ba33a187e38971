"""What the dp protocol's messages have built up: endpoints by MAC, policies, internal subnets.

In: requests. Out: which endpoints changed. I/O: none; `dispatch` tells the engine.
Source: NeuVector's dp. A set that comes in several datagrams (START … END) is collected
aside and swapped in whole at its END: a set whose end never comes changes nothing. Unlike in the
dp, each kind of set, and each list of MACs, is collected by itself, so interleaved ones do not mix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network

from pyctl.engine.dp.messages import (
    UCMAC_PREFIX,
    AddMac,
    ApplyDir,
    Command,
    ConfigMac,
    ConfigPolicy,
    InternalNet,
    Part,
    PolicyAction,
    Rule,
)
from pyctl.engine.dp.translate import MAX_RULES, DpPolicy, InternalNets, port_policy
from pyctl.errors import UsageError
from pyctl.model.policy import PortPolicy
from pyctl.model.protocols import NUMBERS

MAX_SUBNETS = 65536
MAX_PENDING = 64
"""The most unfinished policies; beyond that the oldest is dropped, and also if all of them together have more
rules than one policy may have."""
MAX_ENDPOINTS = 65535
"""One for each port id; endpoints without one count too."""
_SHOWN = 3


@dataclass(frozen=True)
class Endpoint:
    """The interface of a workload as the protocol knows it (an "EP")."""

    mac: str
    port_id: int | None
    """The last two bytes of the UCMAC; None if no frame can belong to this endpoint."""
    tap: bool = True
    policy: DpPolicy | None = None
    listeners: tuple[int, ...] = ()
    """Its listening TCP ports."""


@dataclass
class _Pending:
    defact: PolicyAction
    dir: ApplyDir
    rules: list[Rule]


class State:
    """The endpoints of the protocol. Every method either does all of what is asked or raises UsageError."""

    def __init__(self) -> None:
        self.nets = InternalNets()
        self._endpoints: dict[str, Endpoint] = {}
        self._by_port: dict[int, str] = {}
        self._pending: dict[tuple[str, ...], _Pending] = {}
        self._pending_nets: list[IPv4Network] | None = None

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._endpoints.values())

    def at_port(self, port_id: int) -> Endpoint | None:
        """Return the endpoint whose frames carry this port id."""
        mac = self._by_port.get(port_id)
        return self._endpoints[mac] if mac else None

    def compiled(self, endpoint: Endpoint) -> PortPolicy | None:
        """Return the endpoint's policy for the engine; None without a port. UsageError: too many rules."""
        if endpoint.port_id is None:
            return None
        return port_policy(
            endpoint.port_id,
            endpoint.mac,
            endpoint.policy,
            self.nets,
            tap=endpoint.tap,
        )

    def add(self, request: AddMac) -> tuple[Endpoint, list[int]]:
        """Add an endpoint; return it and the port ids that it no longer has.

        An endpoint that replaces another (`oldmac`, else the same MAC) keeps its tap flag, policy and
        listening ports; a new one begins as tapped, without a policy.
        """
        port_id = _port_id(request.ucmac)
        former = [
            self._endpoints[mac]
            for mac in dict.fromkeys((request.oldmac, request.mac))
            if mac in self._endpoints
        ]
        holder = self._by_port.get(port_id) if port_id else None
        if holder and holder not in {endpoint.mac for endpoint in former}:
            raise UsageError(
                f"add {request.mac}: {request.ucmac} is the UCMAC of {holder}",
                state=f"{holder} keeps it",
            )
        if not former and len(self._endpoints) >= MAX_ENDPOINTS:
            raise UsageError(f"add {request.mac}: there are {MAX_ENDPOINTS} already")
        made = Endpoint(request.mac, port_id)
        if former:
            made = replace(former[0], mac=request.mac, port_id=port_id)
        for endpoint in former:
            self._forget(endpoint)
        self._put(made)
        freed = {endpoint.port_id for endpoint in former} - {port_id, None}
        return made, sorted(port for port in freed if port)

    def delete(self, mac: str) -> Endpoint:
        """Delete an endpoint and its policy; return the endpoint."""
        endpoint = self._known(mac)
        self._forget(endpoint)
        return endpoint

    def configure(self, request: ConfigMac) -> list[Endpoint]:
        """Configure the endpoints and return them. Unknown MACs are skipped, as in the dp: one must not leave
        a workload's others tapped. UsageError if none is known.
        """
        changed = []
        for endpoint in self._known_of(request.macs):
            now = endpoint
            if request.tap is not None:
                now = replace(now, tap=request.tap)
            if request.apps is not None:
                tcp = {
                    app.port for app in request.apps if app.ip_proto == NUMBERS["tcp"]
                }
                now = replace(now, listeners=tuple(sorted(tcp - {0})))
            self._put(now)
            changed.append(now)
        return changed

    def take_policy(self, request: ConfigPolicy) -> list[Endpoint]:
        """Take a part of a policy; return the endpoints whose policy it completed, changed or deleted.

        Unknown MACs are skipped, as in the dp: the agent sends a workload's policy for all its interfaces.
        UsageError for a part without its START, for too many rules, or if no MAC is known; the policies in
        force stay then.
        """
        if request.cmd is Command.DELETE:
            return self._swap(request.macs, None)
        whole = self._collect(request)
        return self._swap(request.macs, whole) if whole else []

    def _collect(self, request: ConfigPolicy) -> DpPolicy | None:
        key = request.macs
        if Part.START in request.part:
            self._pending.pop(key, None)
            if len(self._pending) >= MAX_PENDING:
                self._pending.pop(next(iter(self._pending)))
            self._pending[key] = _Pending(request.defact, request.dir, [])
        pending = self._pending.get(key)
        if pending is None:
            raise UsageError(
                f"a part of a policy for {_shown(key)} whose START never came"
            )
        if len(pending.rules) + len(request.rules) > MAX_RULES:
            del self._pending[key]
            raise UsageError(
                f"a policy for {_shown(key)} of more than {MAX_RULES} rules"
            )
        pending.rules += request.rules
        if Part.END not in request.part:
            self._forget_oldest()
            return None
        del self._pending[key]
        return DpPolicy(pending.defact, pending.dir, tuple(pending.rules))

    def _forget_oldest(self) -> None:
        rules = sum(len(pending.rules) for pending in self._pending.values())
        while rules > MAX_RULES:
            rules -= len(self._pending.pop(next(iter(self._pending))).rules)

    def _swap(self, macs: Sequence[str], policy: DpPolicy | None) -> list[Endpoint]:
        known = self._known_of(macs)
        changed = [replace(endpoint, policy=policy) for endpoint in known]
        for endpoint in changed:
            self.compiled(endpoint)
        for endpoint in changed:
            self._put(endpoint)
        return changed

    def take_nets(self, request: InternalNet) -> bool:
        """Take a part of the internal subnets; return whether it completed the list, now in force."""
        if Part.START in request.part:
            self._pending_nets = []
        if self._pending_nets is None:
            raise UsageError("a part of the internal subnets whose START never came")
        if len(self._pending_nets) + len(request.subnets) > MAX_SUBNETS:
            self._pending_nets = None
            raise UsageError(f"more than {MAX_SUBNETS} internal subnets")
        self._pending_nets += request.subnets
        if Part.END not in request.part:
            return False
        former, self.nets = self.nets, InternalNets.of(self._pending_nets)
        self._pending_nets = None
        try:
            for endpoint in self:
                self.compiled(endpoint)
        except UsageError:
            self.nets = former
            raise
        return True

    def _known(self, mac: str) -> Endpoint:
        if mac not in self._endpoints:
            raise UsageError(f"no endpoint has the MAC {mac}")
        return self._endpoints[mac]

    def _known_of(self, macs: Sequence[str]) -> list[Endpoint]:
        known = [self._endpoints[mac] for mac in macs if mac in self._endpoints]
        if not known:
            raise UsageError(f"no endpoint has the MAC {_shown(macs)}")
        return known

    def _put(self, endpoint: Endpoint) -> None:
        self._endpoints[endpoint.mac] = endpoint
        if endpoint.port_id is not None:
            self._by_port[endpoint.port_id] = endpoint.mac

    def _forget(self, endpoint: Endpoint) -> None:
        self._endpoints.pop(endpoint.mac)
        if endpoint.port_id is not None:
            self._by_port.pop(endpoint.port_id, None)


def _shown(macs: Sequence[str]) -> str:
    """Return the first MACs for an error text; a datagram may name hundreds."""
    rest = f" and {len(macs) - _SHOWN} more" if len(macs) > _SHOWN else ""
    return ", ".join(macs[:_SHOWN]) + rest


def _port_id(ucmac: str | None) -> int | None:
    """Return a UCMAC's port id; None for 0 too, which a driver without a detour gives to all endpoints."""
    if ucmac is None:
        return None
    return int(ucmac.removeprefix(UCMAC_PREFIX).replace(":", ""), 16) or None
