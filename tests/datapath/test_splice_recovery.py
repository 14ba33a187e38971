"""A splice that fails or is killed, at whatever step, leaves the workload as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from pyctl.errors import SegctlError
from pyctl.intercept.recover import Outcome
from pyctl.model.workload import Port
from tests.lab.datapath.splice import Rig, furnish, killed_at, splice
from tests.lab.net.snapshot import assert_same, picture

Act = Callable[[Callable[[str], None]], object]


def points_of(act: Act) -> list[str]:
    """Every place where a fault can be put, in order."""
    found: list[str] = []
    act(found.append)
    assert len(found) > 20
    return found


def attach_points(rig: Rig) -> list[str]:
    """Those of an attach, found by one that is taken back."""
    spliced: list[Port] = []
    points = points_of(lambda fault: spliced.append(rig.splice(fault=fault)))
    rig.unsplice(spliced[0])
    return points


def names_in(directory: str) -> list[str]:
    return sorted(entry.name for entry in Path(directory).iterdir())


def failing_at(point: str) -> Callable[[str], None]:
    def fault(reached: str) -> None:
        if reached == point:
            raise RuntimeError(f"injected {point}")

    return fault


def test_a_failure_at_every_step_of_attach_restores_everything(rig: Rig) -> None:
    furnish(rig.pod)
    pod, host = picture(rig.pod), picture(rig.host)
    for point in attach_points(rig):
        with pytest.raises(SegctlError, match=f"injected {point}") as caught:
            rig.splice(fault=failing_at(point))
        assert caught.value.state == "the workload is as it was"
        assert_same(pod, picture(rig.pod), point)
        assert (rig.ports(), rig.journals()) == ([], []), point
    assert_same(host, picture(rig.host))


def test_a_failure_at_every_step_of_detach_leaves_the_workload_attached(
    rig: Rig,
) -> None:
    furnish(rig.pod)
    port = rig.splice()
    spliced = picture(rig.pod, inside=True)
    points = points_of(lambda fault: rig.unsplice(port, fault=fault))
    port = rig.splice()
    for point in points:
        with pytest.raises(SegctlError, match=f"injected {point}"):
            rig.unsplice(port, fault=failing_at(point))
        assert_same(spliced, picture(rig.pod, inside=True), point)
        assert rig.ports() == [port.vex, port.vin], point
        assert rig.journals() == [], point
        rig.pod.run("ping", "-c1", "-W2", rig.gateway)
    rig.unsplice(port)


@pytest.mark.parametrize("point", ["after move", "after verify", None])
def test_the_turn_to_come_home_is_given_back_whatever_becomes_of_it(
    rig: Rig, point
) -> None:
    """It is not held while our interface is deleted, and the workload that waits for it is cut off."""
    port = rig.splice()
    turns, seen = threading.Lock(), {}

    def fault(at: str) -> None:
        seen[at] = turns.locked()
        if at == point:
            raise OSError("injected")

    with pytest.raises(SegctlError) if point else nullcontext():
        rig.unsplice(port, fault=fault, turns=turns)
    assert not seen["after remove"]
    assert seen["after move"]
    assert not turns.locked()
    if point:
        rig.unsplice(port)


def test_a_kill_at_every_step_of_attach_is_undone_by_recovery(rig: Rig) -> None:
    furnish(rig.pod)
    pod, host = picture(rig.pod), picture(rig.host)
    for point in attach_points(rig):
        assert killed_at(point, lambda fault: rig.splice(fault=fault)), point
        outcomes = [done.outcome for done in rig.recover()]
        assert outcomes == [Outcome.ROLLED_BACK], point
        assert_same(pod, picture(rig.pod), point)
        assert (rig.ports(), rig.journals()) == ([], []), point
    assert_same(host, picture(rig.host))


def test_a_kill_at_every_step_of_detach_is_finished_by_recovery(rig: Rig) -> None:
    furnish(rig.pod)
    pod = picture(rig.pod)
    port = rig.splice()
    points = points_of(lambda fault: rig.unsplice(port, fault=fault))
    for point in points:
        port = rig.splice()
        assert killed_at(
            point, lambda fault, port=port: rig.unsplice(port, fault=fault)
        ), point
        outcomes = [done.outcome for done in rig.recover()]
        assert outcomes == [Outcome.FINISHED], point
        assert_same(pod, picture(rig.pod), point)
        assert (rig.ports(), rig.journals()) == ([], []), point


def test_a_recovery_that_is_killed_is_repeated(rig: Rig) -> None:
    """A second crash must not make the first one worse."""
    pod = picture(rig.pod)
    assert killed_at("after addresses", lambda fault: rig.splice(fault=fault))
    journal = rig.instance.journal_dir / rig.journals()[0]
    kept = journal.read_bytes()
    rig.recover()
    journal.write_bytes(kept)
    assert [done.outcome for done in rig.recover()] == [Outcome.ROLLED_BACK]
    assert_same(pod, picture(rig.pod))


def test_recovery_leaves_a_splice_under_way_alone(rig: Rig) -> None:
    seen: list[object] = []

    def fault(point: str) -> None:
        if point == "after move":
            seen.append(rig.recover())

    port = rig.splice(fault=fault)
    assert seen == [[]]
    rig.unsplice(port)


def test_a_second_splice_of_an_interface_under_way_is_refused(rig: Rig) -> None:
    pod = picture(rig.pod)
    assert killed_at("after park", lambda fault: rig.splice(fault=fault))
    with pytest.raises(SegctlError, match="under way or was interrupted"):
        rig.splice()
    rig.recover()
    assert_same(pod, picture(rig.pod))


def test_a_workload_that_ended_half_spliced_leaves_nothing(rig: Rig) -> None:
    assert killed_at("after create", lambda fault: rig.splice(fault=fault))
    rig.pod.destroy()
    assert [done.outcome for done in rig.recover()] == [Outcome.WORKLOAD_GONE]
    assert (rig.ports(), rig.journals()) == ([], [])
    assert "veth0" not in {link["ifname"] for link in rig.host.ip("link", "show")}


def test_an_interrupted_splice_is_repaired_though_its_process_ended(rig: Rig) -> None:
    """The namespace lives on under its name; it is found by identity, not by pid."""
    pod = picture(rig.pod)
    assert killed_at("after move", lambda fault: rig.splice(fault=fault))
    rig.pod.holder.kill()
    rig.pod.holder.wait()
    assert [done.outcome for done in rig.recover()] == [Outcome.ROLLED_BACK]
    assert_same(pod, picture(rig.pod))


def test_an_unreadable_journal_is_reported_and_kept(rig: Rig) -> None:
    rig.instance.journal_dir.mkdir(parents=True)
    path = rig.instance.journal_dir / "1-2.journal"
    path.write_text("{\n")
    assert [done.outcome for done in rig.recover()] == [Outcome.FAILED]
    assert path.exists()


def test_a_refused_datapath_rolls_the_splice_back(rig: Rig) -> None:
    pod = picture(rig.pod)

    def refuse(_port: Port) -> None:
        raise SegctlError("the datapath cannot be set")

    with pytest.raises(SegctlError, match="the datapath cannot be set"):
        splice(rig.instance, rig.process, "eth0", 7, refuse)
    assert_same(pod, picture(rig.pod))
    assert rig.ports() == []


def test_many_rounds_leave_nothing(rig: Rig) -> None:
    def fds() -> int:
        return len(names_in("/proc/self/fd"))

    port = rig.splice()
    rig.unsplice(port)
    before = (fds(), picture(rig.pod), names_in("/run/netns"))
    for _ in range(25):
        rig.unsplice(rig.splice())
    after = (fds(), picture(rig.pod), names_in("/run/netns"))
    assert before[0] == after[0]
    assert_same(before[1], after[1])
    assert before[2] == after[2]
    assert (rig.ports(), rig.journals()) == ([], [])
