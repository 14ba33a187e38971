"""What a killed process left is put right, or told; ports that nobody knows are found with whose they are. That each
kill ends well: test_attach, test_detach.
"""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from pyctl.intercept.recover import Outcome, find_orphans, recover
from pyctl.intercept.steps import journal
from tests.unit.intercept.played import at, splice
from tests.unit.intercept.rtnetlink import Killed
from tests.unit.intercept.spaces import refused


def interrupted(kernel):
    """An attach whose process was killed when both ports existed."""
    number = len(kernel.changes)

    def dies(_port):
        kernel.fault = at(len(kernel.changes), Killed())
        kernel.change("die")

    with pytest.raises(Killed):
        splice(kernel, ready=dies)
    kernel.alive()
    assert len(kernel.changes) > number
    (path,) = kernel.journals()
    return path


def test_an_interrupted_attach_is_told_with_whose_it_was(kernel):
    before = kernel.picture()
    interrupted(kernel)
    (done,) = recover(kernel.instance)
    assert (done.action, done.interface, done.process.pid) == ("attach", "eth0", 77)
    assert (done.outcome, done.detail) == (Outcome.ROLLED_BACK, "")
    assert kernel.picture() == before
    assert recover(kernel.instance) == []


def test_of_a_workload_that_ended_meanwhile_the_ports_are_removed(kernel):
    interrupted(kernel)
    kernel.ended.add(kernel.process.netns)
    (done,) = recover(kernel.instance)
    assert done.outcome is Outcome.WORKLOAD_GONE
    assert (kernel.ports(), kernel.journals()) == ([], [])


def test_what_cannot_be_repaired_now_is_told_and_keeps_its_journal(kernel):
    before = kernel.picture()
    path = interrupted(kernel)
    ports = kernel.ports()
    kernel.fault = lambda _number, what: (
        refused(errno.EBUSY, "busy") if what == "_set_link" else None
    )
    (done,) = recover(kernel.instance)
    assert done.outcome is Outcome.FAILED
    assert "busy" in done.detail
    assert kernel.journals() == [path]
    assert ports[0] in kernel.ports(), "the workload's own interface is in it"
    kernel.alive()
    assert [one.outcome for one in recover(kernel.instance)] == [Outcome.ROLLED_BACK]
    assert kernel.picture() == before


def test_what_the_interface_lost_on_its_way_back_is_told_and_ends_it(kernel):
    interrupted(kernel)
    kernel.fault = lambda _number, what: (
        refused(errno.EPERM, "not now") if what == "_new_route" else None
    )
    (done,) = recover(kernel.instance)
    assert done.outcome is Outcome.ROLLED_BACK
    assert "not now" in done.detail
    assert kernel.journals() == [], "the kernel would refuse it for ever"


def test_a_journal_that_cannot_be_read_is_told_and_stops_no_other(kernel):
    interrupted(kernel)
    broken = kernel.instance.journal_dir / "0-1.journal"
    broken.write_text("{\n")
    first, second = recover(kernel.instance)
    assert (first.outcome, first.process) == (Outcome.FAILED, None)
    assert str(broken) in first.detail
    assert second.outcome is Outcome.ROLLED_BACK
    assert kernel.journals() == [broken]


def test_a_journal_that_is_no_file_is_told(kernel):
    (kernel.instance.journal_dir / "0-1.journal").mkdir(parents=True)
    (done,) = recover(kernel.instance)
    assert done.outcome is Outcome.FAILED


def test_a_splice_under_way_is_left_alone(kernel):
    path = interrupted(kernel)
    ports = kernel.ports()
    with journal.taken(path) as held:
        assert held is not None
        assert recover(kernel.instance) == []
    assert kernel.ports() == ports
    assert [one.outcome for one in recover(kernel.instance)] == [Outcome.ROLLED_BACK]


def test_half_written_journals_go_and_those_of_the_living_stay(kernel):
    directory = kernel.instance.journal_dir
    directory.mkdir(parents=True)
    dead, living = (directory / f".0-{one}.journal.1.ab" for one in "12")
    dead.touch()
    living.touch()
    with journal.taken(living) as held:
        assert held is not None
        recover(kernel.instance)
    assert kernel.journals() == [living]


def test_without_anything_to_do_nothing_is_touched(kernel):
    assert recover(kernel.instance) == []
    assert kernel.changes == []
    assert find_orphans(kernel.instance, []) == []


def test_a_port_that_nobody_knows_is_found_as_it_is(kernel):
    port, _ = splice(kernel)
    assert find_orphans(kernel.instance, [port]) == []
    (orphan,) = find_orphans(kernel.instance, [])
    assert orphan.port == port
    assert (orphan.vex, orphan.vin) == (port.vex, port.vin)
    assert orphan.process == replace(kernel.process, cookie=kernel.pod.cookie)


def test_what_is_left_of_a_dead_workload_is_no_port(kernel):
    splice(kernel)
    kernel.ended.add(kernel.process.netns)
    (orphan,) = find_orphans(kernel.instance, [])
    assert orphan.port is None
    assert (orphan.vex, orphan.vin) == tuple(kernel.ports())


@pytest.mark.parametrize("gone", [0, 1], ids=["vex", "vin"])
def test_half_a_pair_is_no_port_either(kernel, gone):
    port, _ = splice(kernel)
    names = [port.vex, port.vin]
    device = kernel.enforcer.device(names[gone])
    device.space.devices.remove(device)
    names[gone] = ""
    (orphan,) = find_orphans(kernel.instance, [])
    assert ([orphan.vex, orphan.vin], orphan.port) == (names, None)


def test_a_pair_whose_inner_end_is_not_the_workloads_is_no_port(kernel):
    port, _ = splice(kernel)
    ours = kernel.pod.device("eth0")
    kernel.pod.devices.remove(ours)
    (orphan,) = find_orphans(kernel.instance, [])
    assert (orphan.vex, orphan.port) == (port.vex, None)
