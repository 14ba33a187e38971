"""The u32 driver: the classic ruleset on clsact, every packet through the engine.

In: `model.PortPair`. Out: filters of a port on vex, vin and vbr. I/O: rtnetlink, a file for each port.
There is no verdict cache, no heartbeat and no look at source addresses here. So a port in protect
fails closed whatever its fail policy says, and one that only records gets a tap, which cannot fail.

What keeps it closed. A set's rules are in force from the first pref on, and what no rule matches
ends in the enforcer's mute stack; so the head of a set is as safe as the whole. Sets are filled from
the first rule and emptied from the last. To change one, its successor is first put behind it (ASIDE),
then the old one is emptied, then the successor is put in its place (HOME), then it leaves ASIDE: at
every moment each frame meets the head of one set and then the whole of another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import ClassVar

from fallback_tc.drift import drift
from fallback_tc.plan import guard
from fallback_tc.render import add as command
from pyctl.datapath.u32 import counters as u32_counters
from pyctl.datapath.u32.plan import (
    ASIDE,
    BRIDGE,
    HOME,
    VBR,
    Plan,
    in_range,
    steering_of,
)
from pyctl.datapath.u32.session import Session, ends_of, shown, told
from pyctl.datapath.u32.state import U32State
from pyctl.errors import NotFoundError, RefusedError, SegctlError
from pyctl.model.instance import Instance
from pyctl.model.workload import Capabilities, Counter, DatapathKind, PortPair
from pyctl.platform.tc.rule_sets import RuleSets


class U32Driver:
    """The u32 driver of one instance. What it was asked for is on disk, the rest in the kernel."""

    kind: ClassVar = DatapathKind.U32
    capabilities: ClassVar = Capabilities()

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self._state = U32State(instance)

    # -- the driver's contract ------------------------------------------------------------

    def connect(self) -> None:
        """Install the guard on vbr (`base.Driver`). The pairs' rules do not depend on this call."""
        with self._tc() as tc:
            session = Session(tc)
            made = tc.add_clsact(VBR)
            try:
                session.place(guard(BRIDGE), session.guards)
            except BaseException:
                if made:
                    tc.remove_clsact_if_empty(VBR)
                raise

    def cleanup(self) -> None:
        """Detach all ports and remove the guard (`base.Driver`)."""
        for port_id in self._state.port_ids():
            self.detach(port_id)
        with contextlib.suppress(NotFoundError), self._tc() as tc:
            session = Session(tc)
            session.remove(session.guards())
            tc.remove_clsact_if_empty(VBR)

    def attach(self, pair: PortPair) -> None:
        """Attach a pair (`base.Driver`). RefusedError if other live links have the port id.

        If another kind's filter has our place on a port, the rules wait at ASIDE; attaching again after it is
        gone moves them HOME.
        """
        with self._tc() as tc:
            session = Session(tc)
            self._take_over(session, pair)
            known = self._state.get(pair.port_id)
            goal = session.plan(pair)
            made = [
                end
                for end in (pair.vex_ifindex, pair.vin_ifindex)
                if tc.add_clsact(end)
            ]
            self._state.put(pair)
            try:
                self._bring(session, goal)
            except BaseException:
                self._undo(session, pair, known, made)
                raise

    def update(self, pair: PortPair) -> None:
        """Update an attached pair (`base.Driver`). NotFoundError for a pair that is not attached."""
        known = self._state.get(pair.port_id)
        ends = (pair.vex_ifindex, pair.vin_ifindex)
        if known is None or ends_of(known) != ends:
            raise NotFoundError(
                f"port {pair.port_id} with interfaces {ends[0]} and {ends[1]} is not attached",
                advice="attach it first",
            )
        self.attach(pair)

    def repair(self, port_id: int) -> list[str]:
        """Restore the port's rules (`base.Driver`); return a line for each rule that was missing, changed or
        too much. NotFoundError for a port that is not attached.
        """
        asked = self._asked(port_id)
        with self._tc() as tc:
            session = Session(tc)
            goal = session.plan(asked)
            found = session.differences(goal)
            if found:
                for end in ends_of(asked):
                    tc.add_clsact(end)
                self._bring(session, goal)
        return found

    def repair_guard(self) -> list[str]:
        """Restore the rules that all ports share on vbr; return a line for each difference.

        Of one with other matches, the wrong rule leaves before the right one comes: a pref's rules
        are right in their order or not at all. The moment between opens nothing: what enters on vbr
        is the engine's, which drops by itself a frame of two detours or of none, and what no rule
        takes ends in the enforcer's mute stack.
        """
        with self._tc() as tc:
            session = Session(tc)
            found = told(drift(guard(BRIDGE), session.guards()))
        if found:
            self.connect()
        return found

    def in_front(self, port_id: int) -> list[str]:
        """Return others' filters before ours on vex and vin, a line each (`base.Driver`)."""
        asked = self._asked(port_id)
        with self._tc() as tc:
            session = Session(tc)
            return session.in_front(session.plan(asked))

    def step_aside(self, port_id: int) -> None:
        """Move the port's rules to ASIDE without a gap, to leave HOME to another datapath's filter. They take
        effect when that filter goes. NotFoundError for a port that is not attached.
        """
        asked = self._asked(port_id)
        with self._tc() as tc:
            session = Session(tc)
            session.swap(session.plan(asked), ASIDE)

    def detach(self, port_id: int) -> None:
        """Remove the port's rules and its file (`base.Driver`)."""
        asked = self._state.get(port_id)
        with contextlib.suppress(NotFoundError), self._tc() as tc:
            session = Session(tc)
            for end in ends_of(asked) if asked else ():
                session.remove(reversed(session.on(end, HOME) + session.on(end, ASIDE)))
                tc.remove_clsact_if_empty(end)
            session.remove(session.ways_back(port_id))
        self._state.forget(port_id)

    def publish(self, generations: Mapping[int, int]) -> None:
        """Do nothing (`base.Driver`): there is no verdict cache."""

    def rules(self, port_id: int) -> list[str]:
        """Return the rules intended and held, others' filters before them, and the differences
        (`base.Driver`). NotFoundError for a port that is not attached.
        """
        asked = self._asked(port_id)
        with self._tc() as tc:
            session = Session(tc)
            goal = session.plan(asked)
            base = session.base(goal)
            intended = goal.port_rules(base) + goal.bridge_rules()
            found = session.held_by(goal)
            lines = [f"intended {command(rule)}" for rule in intended]
            lines += [f"held     {shown(one)}" for one in found]
            lines += session.in_front(goal)
            differences = session.differences(goal)
        return lines + (differences or ["held as intended"])

    def counters(self, port_id: int) -> Mapping[str, Counter]:
        """Return the port's counters (`base.Driver`); `u32_counters` tells which reasons are absent."""
        asked = self._state.get(port_id)
        if asked is None:
            return {}
        with self._tc() as tc:
            session = Session(tc)
            parts = [
                u32_counters.of_ports(
                    [one for one in found if in_range(one.pref, base)],
                    base,
                    steering_of(asked.mode),
                )
                for found in map(tc.filters, ends_of(asked))
                for base in (HOME, ASIDE)
            ]
            back = session.filters_back(port_id)
        parts.append(u32_counters.of_bridge(back, steering_of(asked.mode)))
        return u32_counters.summed(*parts)

    def port_in_use(self, port_id: int) -> bool:
        """Return whether a file of the port or a rule on vbr is left."""
        if self._state.holds(port_id):
            return True
        try:
            with self._tc() as tc:
                return bool(Session(tc).ways_back(port_id))
        except NotFoundError:
            return False

    def port_ids(self) -> list[int]:
        """Return the ports that are steered by this datapath."""
        return self._state.port_ids()

    # -- parts ----------------------------------------------------------------------------

    def _tc(self) -> RuleSets:
        return RuleSets(self.instance.netns)

    def _asked(self, port_id: int) -> PortPair:
        asked = self._state.get(port_id)
        if asked is None:
            raise NotFoundError(f"port {port_id} is not attached with u32")
        return asked

    def _take_over(self, session: Session, pair: PortPair) -> None:
        """Forget stale ports that hold the pair's links. RefusedError if other live links have its id."""
        ends = set(ends_of(pair))
        known = self._state.get(pair.port_id)
        if known is not None:
            alive = {end for end in ends_of(known) if end in session.names} - ends
            if alive:
                raise RefusedError(
                    f"port {pair.port_id} belongs to interfaces {sorted(alive)}, not to "
                    f"{pair.vex_ifindex} and {pair.vin_ifindex}",
                    advice="detach it first",
                )
            if set(ends_of(known)) != ends:
                self._forget(session, pair.port_id)
        for port_id in map(self._state.holder, ends):
            if port_id not in (None, pair.port_id):
                self._forget(session, port_id)

    def _forget(self, session: Session, port_id: int) -> None:
        session.remove(session.ways_back(port_id))
        self._state.forget(port_id)

    def _undo(
        self,
        session: Session,
        pair: PortPair,
        known: PortPair | None,
        made: list[int],
    ) -> None:
        if known is not None:
            # The old or the new rules stand; the next repair finds out which.
            self._state.put(known)
            return
        with contextlib.suppress(SegctlError):
            self.detach(pair.port_id)
        for end in made:
            with contextlib.suppress(SegctlError):
                session.tc.remove_clsact_if_empty(end)

    def _bring(self, session: Session, goal: Plan) -> None:
        """Bring the held rules to the goal. The rules on vbr come first: frames held meanwhile must find
        their way back, and a tap's copies never take it.
        """
        session.place(goal.bridge_rules(), lambda: session.ways_back(goal.port_id))
        session.swap(goal, session.base(goal))
