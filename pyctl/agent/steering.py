"""Policies and port pairs, out to the engine and the driver, in the order that never opens a hole.

In: workloads, the policy. Out: engine and driver calls. The order for a policy is: swap it in the
engine, publish its generation, wait until nothing judged by the old one can still be on its way.
For a new port it is: policy first, filters second, links up last (the splice does that).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pyctl.agent.ids import Generations
from pyctl.agent.supervisor import Supervisor
from pyctl.datapath.base import Driver
from pyctl.engine.client import EngineClient
from pyctl.model.policy import PortPolicy
from pyctl.model.workload import Fail, Mode, OtherTraffic, Port, PortPair, Workload
from pyctl.platform.bpf_grace import wait_for_programs


def port_pair(workload: Workload, port: Port, mode: Mode) -> PortPair:
    """What the driver is to do for one port of a workload in `mode`."""
    passes = {
        OtherTraffic.PASS: True,
        OtherTraffic.DROP: False,
        OtherTraffic.AUTO: mode is not Mode.PROTECT,
    }
    return PortPair(
        port_id=port.port_id,
        vex_ifindex=port.vex_ifindex,
        vin_ifindex=port.vin_ifindex,
        mac=port.mac,
        host_mac=port.host_mac,
        kind=port.kind,
        mode=mode,
        fail=closed_or_open(workload.fail, mode),
        pass_other=passes[workload.other_traffic],
        any_source=workload.any_source,
        addresses=port.addresses,
    )


def closed_or_open(fail: Fail, mode: Mode) -> Fail:
    """What a workload's fail policy means in a mode."""
    if fail is not Fail.AUTO:
        return fail
    return Fail.CLOSED if mode in {Mode.PROTECT, Mode.QUARANTINE} else Fail.OPEN


class Steering:
    """What the engine and the driver were last told, and telling them what is new."""

    def __init__(self, driver: Driver, supervisor: Supervisor) -> None:
        self.driver = driver
        self._supervisor = supervisor
        self._generations = Generations()
        self._told: dict[int, PortPolicy] = {}
        self._pairs: dict[int, PortPair] = {}
        self._current: dict[int, int] = {}
        self._listeners: dict[int, Callable[[], Sequence[int]]] = {}
        supervisor.on_new_engine = self._teach

    def policy_of(self, port_id: int) -> tuple[PortPolicy | None, int]:
        """The policy in force for a port, and its generation (0: none)."""
        return self._told.get(port_id), self._current.get(port_id, 0)

    def differs(self, policies: Iterable[PortPolicy]) -> list[PortPolicy]:
        """Those that are not in force as they are."""
        return [
            policy for policy in policies if self._told.get(policy.port_id) != policy
        ]

    def prepare(
        self, policy: PortPolicy, listeners: Callable[[], Sequence[int]]
    ) -> None:
        """Teach the engine a port before it exists, so that nothing is left to be said while its
        workload is cut off. `listeners` gives the TCP ports that the workload listens on: by
        them a fresh engine knows the server of a connection that was open before.
        """
        self._listeners[policy.port_id] = listeners
        self._swap([policy])
        self._tell_listeners(policy.port_id)

    def add(self, pair: PortPair, policy: PortPolicy) -> None:
        """A prepared pair, new (its links still down) or found steered: from its next packet on,
        the policy holds.
        """
        try:
            if self._told.get(pair.port_id) != policy:
                self._swap([policy])
            self.driver.attach(pair)
            self._publish([policy])
            self._pairs[pair.port_id] = pair
        except BaseException:
            self.remove(pair.port_id)
            raise

    def remove(self, port_id: int) -> None:
        """Nothing of the pair is left in driver or engine. Idempotent."""
        try:
            self.driver.detach(port_id)
        finally:
            for known in (self._told, self._current, self._pairs, self._listeners):
                known.pop(port_id, None)
            self._supervisor.tell(lambda engine: engine.port_delete(port_id))

    def change(self, policies: list[PortPolicy], pairs: list[PortPair]) -> None:
        """Policies and pairs of ports that are steered. On return no packet is judged, or
        carried, by what was before. Where it tightens, the engine comes first; a switch in the
        kernel alone (quarantine, fail mode) is a map write and holds at once.
        """
        for pair in pairs:
            if self._pairs.get(pair.port_id) != pair:
                self.driver.update(pair)
                self._pairs[pair.port_id] = pair
        changed = self.differs(policies)
        if not changed:
            return
        self._swap(changed)
        self._publish(changed)
        # The grace period: programs that read the old generation end, then the frames that
        # they sent to the engine are judged.
        wait_for_programs()
        self._supervisor.tell(lambda engine: engine.sync())

    def _swap(self, policies: list[PortPolicy]) -> None:
        for policy in policies:
            self._told[policy.port_id] = policy
            self._current[policy.port_id] = generation = self._generations.next()
            self._supervisor.tell(_policy_set(generation, policy))

    def _tell_listeners(self, port_id: int) -> None:
        ports = self._listeners[port_id]()
        self._supervisor.tell(lambda engine: engine.listeners_set(port_id, ports))

    def _publish(self, policies: list[PortPolicy]) -> None:
        for policy in policies:
            port_id = policy.port_id
            self.driver.publish_generation(port_id, self._current[port_id])

    def _teach(self) -> None:
        """A new engine knows nothing: all policies again, under new generations, because flows
        that the former one cached have no session behind them any more.
        """
        policies = list(self._told.values())
        self._swap(policies)
        for port_id in self._listeners:
            self._tell_listeners(port_id)
        self._publish(policies)


def _policy_set(generation: int, policy: PortPolicy) -> Callable[[EngineClient], None]:
    return lambda engine: engine.policy_set(generation, policy)
