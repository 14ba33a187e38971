"""Attached workloads are watched until they end, and what becomes of them then is done once, however often it
fails at first. Kernel, procedures and poller are played."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from pyctl.errors import NotFoundError, SegctlError
from pyctl.model.workload import FollowAddresses, Mode, ProcessRef, Workload
from pyctl.observe import workloads
from pyctl.observe.workloads import CHANGED, REGISTRY
from tests import packets
from tests.unit.observe.makers import Watch, descriptors, living
from tests.unit.observe.world import APP, IP, LATER, WEB, World
from tests.unit.policy.makers import port, workload


@pytest.fixture
def world(monkeypatch) -> World:
    """Name: world. Scope: function. Two workloads that are watched."""
    made = World(monkeypatch)
    before = set(descriptors())
    made.attach(WEB, APP)
    yield made
    made.workloads.close()
    assert {*descriptors()} <= before, "a descriptor is left"


def test_what_is_attached_is_watched_and_looked_at_at_once(world):
    assert sorted(world.workloads._watched) == ["app", "web"]
    assert sorted(world.looked) == ["app", "web"], (
        "what changed before was told to nobody"
    )
    assert world.change(WEB)
    assert not world.change(WEB), "armed when it was looked at"
    world.looks.pass_time(1)
    assert world.looked[2:] == ["web"]
    assert world.change(WEB)


def test_what_is_detached_is_watched_no_more(world):
    fds = [*world.poller.calls]
    world.detach(WEB)
    assert sorted(world.workloads._watched) == ["app"]
    assert "forget web" in world.looked
    assert sum(world.poller.says(fd) for fd in fds) == 2


def test_one_that_has_another_process_is_watched_by_it(world):
    again = replace(WEB, process=replace(WEB.process, pid=21))
    world.attach(again)
    assert world.workloads._watched["web"].process.pid == 21
    assert len(world.poller.calls) == 4
    del world.alive[WEB.process.pid]
    assert world.buried == []


def test_one_whose_process_ends_is_buried_once(world):
    world.end(WEB)
    world.looks.pass_time()
    world.looks.pass_time(600)
    assert world.buried == ["web"]
    assert world.told == ["web: its process has ended"]
    assert sorted(world.workloads._watched) == ["app"]
    assert world.looks.pending() == []


def test_many_that_end_at_once_are_searched_for_once(world):
    for load in (WEB, APP):
        world.end(load)
    world.looks.pass_time()
    assert world.searched == [{"web", "app"}]
    assert sorted(world.buried) == ["app", "web"]


def test_its_socket_is_given_back_before_anybody_waits_for_the_controller(world):
    """It pins the namespace, which must die with the last who lives there."""
    closed = []
    world.between = lambda: closed.append("web" not in world.workloads._watched)
    world.end(WEB)
    world.looks.pass_time()
    assert closed == [True]


def test_a_burial_that_fails_is_tried_again_and_told_once_for_each_reason(world):
    world.no_burial = SegctlError("no room")
    world.end(WEB)
    world.looks.pass_time()
    for _ in range(5):
        world.looks.pass_time(60)
    world.no_burial = OSError(errno.EIO, "input/output error")
    world.looks.pass_time(60)
    assert world.told == [
        "web: its process has ended",
        "web: its process has ended; it is tried again: no room.",
        "web: its process has ended; it is tried again: [Errno 5] input/output error",
    ]
    assert "input/output" in world.looks.reasons()["web"]
    assert world.registry.get("web") is not None
    world.no_burial = None
    world.looks.pass_time(60)
    assert world.buried == ["web"]
    assert world.looks.pending() == []


def test_one_that_cannot_be_buried_keeps_no_other(world, monkeypatch):
    def cleanup_dead_workload(_context, load: Workload) -> None:
        if load.id == "web":
            raise KeyError("what nobody foresaw")
        world.buried.append(load.id)
        world.registry.drop(load.id)

    monkeypatch.setattr(workloads, "cleanup_dead_workload", cleanup_dead_workload)
    for load in (WEB, APP):
        world.end(load)
    world.looks.pass_time()
    assert world.buried == ["app"]
    assert world.looks.reasons() == {"web": "KeyError('what nobody foresaw')"}


def test_where_it_cannot_be_found_out_whether_it_ended_it_is_not_said_that_it_did(
    world,
):
    world.no_search = SegctlError(
        "the processes of this host could not be gone through"
    )
    world.poller.says(world.pidfds[11])
    world.looks.pass_time()
    assert world.told_of("has ended") == world.told_of(
        "it is not known whether its process"
    )
    world.no_search = None
    world.looks.pass_time(60)
    assert world.buried == []
    assert "web" in world.workloads._watched, "it lives, and is watched again"


def test_one_goes_on_with_who_lives_in_its_namespace_and_is_watched_again(world):
    heir = replace(WEB.process, pid=31, start_time=31)
    world.heirs[WEB.process.netns] = heir
    world.alive[31] = heir
    world.end(WEB)
    world.looks.pass_time()
    assert world.registry.by_id["web"].process.pid == 31
    assert world.workloads._watched["web"].process == heir
    assert world.buried == []
    assert len(world.told_of("goes on with process 31")) == 1
    world.end(world.registry.by_id["web"])
    del world.heirs[WEB.process.netns]
    world.looks.pass_time(0.2)
    assert world.buried == ["web"]


def test_an_heir_that_has_ended_too_is_looked_for_again(world):
    heir = replace(WEB.process, pid=31, start_time=31)
    world.heirs[WEB.process.netns] = heir
    world.end(WEB)
    world.looks.pass_time()
    assert world.buried == []
    del world.heirs[WEB.process.netns]
    world.looks.pass_time(3)
    assert world.buried == ["web"]


def test_heirs_that_end_one_after_the_other_do_not_take_the_agent(world):
    """A shell may start them faster than /proc is gone through."""
    for number in range(100):
        heir = replace(WEB.process, pid=100 + number)
        world.alive[heir.pid] = world.heirs[WEB.process.netns] = heir
        now = world.registry.by_id["web"].process
        if now.pid in world.alive:
            del world.alive[now.pid]
            world.poller.says(world.pidfds[now.pid])
        world.looks.pass_time(0.01)
    assert 5 <= len(world.searched) <= 7
    assert world.buried == []
    world.looks.pass_time(1)
    assert world.workloads._watched["web"].process.pid == 199


HOLDS = (Mode.PROTECT, Mode.QUARANTINE)


@pytest.mark.parametrize("mode", HOLDS)
def test_in_a_mode_that_drops_an_empty_namespace_is_looked_at_until_somebody_enters(
    world, mode
):
    world.registry.put(replace(WEB, forced_mode=mode))
    world.bound = True
    world.end(WEB)
    world.looks.pass_time()
    assert world.told == [], "its runtime may take the namespace away in a moment"
    for _ in range(4):
        world.looks.pass_time(3)
    assert world.buried == []
    (told,) = world.told
    assert f"stays attached in {mode} for whoever enters it" in told
    assert len(world.searched) == 5
    heir = replace(WEB.process, pid=31, start_time=31)
    world.heirs[WEB.process.netns], world.alive[31] = heir, heir
    world.looks.pass_time(3)
    assert world.workloads._watched["web"].process == heir
    world.looks.pass_time(60)
    assert len(world.searched) == 6


@pytest.mark.parametrize("mode", [Mode.DISCOVER, Mode.MONITOR])
def test_in_a_mode_that_holds_nobody_an_empty_namespace_is_given_back(world, mode):
    world.registry.put(replace(WEB, forced_mode=mode))
    world.bound = True
    world.end(WEB)
    world.looks.pass_time()
    assert world.buried == ["web"]


@pytest.mark.parametrize("mode", HOLDS)
def test_a_namespace_that_goes_soon_after_its_process_is_buried_soon(world, mode):
    """As a container's, which its runtime takes away."""
    world.registry.put(replace(WEB, forced_mode=mode))
    world.bound = True
    world.end(WEB)
    world.looks.pass_time()
    world.bound = False
    world.looks.pass_time(0.5)
    assert world.buried == ["web"]
    assert world.told == ["web: its process has ended"]


def test_one_that_stays_empty_is_given_back_when_its_mode_drops_no_more(world):
    world.registry.put(replace(WEB, forced_mode=Mode.PROTECT))
    world.bound = True
    world.end(WEB)
    world.looks.pass_time()
    world.registry.put(replace(WEB, forced_mode=Mode.MONITOR))
    world.looks.pass_time(3)
    assert world.buried == ["web"]


def test_one_that_was_heard_in_vain_is_watched_again(world):
    """Its descriptor had the number of another's that spoke."""
    world.poller.says(world.pidfds[11])
    world.looks.pass_time()
    assert (world.buried, world.told) == ([], [])
    assert "web" in world.workloads._watched
    world.end(WEB)
    world.looks.pass_time(0.2)
    assert world.buried == ["web"]


@pytest.mark.parametrize("wanting", ["pidfd", "watch", "epoll"])
def test_what_is_wanting_for_the_watching_buries_nobody_and_is_tried_again(
    world, wanting
):
    full = OSError(errno.EMFILE, "too many open files")
    db = living(workload("db", port(3)), 13)
    world.no_pidfd = full if wanting == "pidfd" else None
    Watch.refuses = full if wanting == "watch" else None
    world.poller.refuses = full if wanting == "epoll" else None
    before = len([*descriptors()])
    world.attach(db)
    for _ in range(3):
        world.looks.pass_time(3)
        assert world.change(APP)
    world.looks.pass_time(3)
    assert (world.buried, world.told) == ([], [])
    assert len([*descriptors()]) <= before + 2
    world.no_pidfd = Watch.refuses = world.poller.refuses = None
    world.looks.pass_time(3)
    assert world.workloads._watched["db"].process == db.process
    world.end(db)
    world.looks.pass_time(0.2)
    assert world.buried == ["db"]


def test_one_that_had_ended_before_it_was_watched_is_buried(world):
    db = living(workload("db", port(3)), 13)
    world.registry.put(db)
    world.looks.put(REGISTRY)
    world.looks.pass_time()
    assert world.buried == ["db"]


def test_one_whose_pid_is_anothers_by_now_is_buried(world):
    db = living(workload("db", port(3)), 13)
    world.alive[13] = replace(db.process, start_time=99)
    world.registry.put(db)
    world.looks.put(REGISTRY)
    world.looks.pass_time()
    assert world.buried == ["db"]


def test_one_that_is_detached_while_nobody_knows_what_becomes_of_it_is_forgotten(world):
    world.no_burial = SegctlError("no room")
    world.end(WEB)
    world.looks.pass_time()
    world.detach(WEB)
    assert world.looks.pending() == []
    world.no_burial = None
    world.attach(living(WEB, 21))
    assert world.workloads._watched["web"].process.pid == 21


@pytest.mark.parametrize("moment", ["while heirs are searched", "before it"])
def test_one_that_is_attached_anew_while_its_end_is_seen_to_is_watched(world, moment):
    """A container that starts anew has the same id."""
    again = living(WEB, 21)

    def attach_again() -> None:
        world.alive[21] = again.process
        world.registry.put(again)
        world.looks.put(REGISTRY)

    if moment == "before it":
        # The search is another's: of its own nothing is known any more when its end is seen to.
        world.registry.drop("web")
    world.between = attach_again
    world.end(WEB)
    world.looks.pass_time()
    assert world.workloads._watched["web"].process.pid == 21
    assert world.buried == []
    world.between = lambda: None
    world.end(again)
    world.looks.pass_time(0.2)
    assert world.buried == ["web"]


def test_addresses_that_it_gives_itself_are_claims(world):
    world.live[11] = (("eth0", IP), ("eth0", LATER))
    world.change(WEB)
    world.looks.pass_time(1)
    (claim,) = world.registry.by_id["web"].claims
    assert (claim.address, claim.interface) == (LATER, "eth0")
    assert world.refreshed == 1
    world.change(WEB)
    world.looks.pass_time(60)
    assert world.refreshed == 1, "nothing is new"


def test_an_address_that_it_has_no_more_is_told_and_when_it_is_back(world):
    for live in ((), (("eth0", IP),)):
        world.live[11] = live
        world.change(WEB)
        world.looks.pass_time(60)
    assert world.told == [
        f"web: it has {IP} no more, which others may have",
        f"web: it has {IP} again",
    ]


def test_an_interface_that_has_another_mac_and_mtu_is_followed_and_told(world):
    world.registry.put(replace(WEB, follow=FollowAddresses.FREE))
    now = replace(WEB.ports[0], mac=packets.stranger_mac, mtu=1400, xdp=True)
    world.ports[1] = now
    world.change(WEB)
    world.looks.pass_time(1)
    assert world.registry.by_id["web"].ports == (now,)
    assert "follow 1400" in world.looked
    told = f"web: it has now eth0: {packets.stranger_mac}, MTU 1400"
    assert told in world.told
    assert len(world.told_of("XDP")) == 1


@pytest.mark.parametrize("who", ["the engine", "the kernel"])
def test_an_mtu_is_followed_though_something_is_refused_at_first(
    world, monkeypatch, who
):
    """What the registry has by then shows no difference any more."""

    def refuses(*_: object) -> None:
        raise OSError(errno.ENOBUFS, "no buffers")

    world.ports[1] = replace(WEB.ports[0], mtu=1400)
    with monkeypatch.context() as kernel:
        if who == "the engine":
            world.refuses = SegctlError("no room")
        else:
            kernel.setattr(workloads, "follow", refuses)
        world.change(WEB)
        world.looks.pass_time(1)
    assert len(world.failed) == 1
    world.refuses = None
    world.looks.pass_time(60)
    assert world.looked.count("follow 1400") == 1
    assert len(world.told_of("it has now")) == 1
    assert world.registry.by_id["web"].ports[0].mtu == 1400


def test_a_mac_that_does_not_count_is_told_once(world):
    world.ports[1] = replace(WEB.ports[0], mac=packets.stranger_mac)
    for _ in range(3):
        world.change(WEB)
        world.looks.pass_time(60)
    assert world.registry.by_id["web"].ports == WEB.ports
    assert len(world.told_of(packets.stranger_mac)) == 1


def test_a_namespace_that_went_with_its_process_is_no_failure(world):
    """Its end is told by its pidfd."""
    del world.alive[11]
    world.change(WEB)
    world.looks.pass_time(1)
    assert world.failed == []
    assert world.looks.pending() == []
    assert world.buried == []


def test_of_a_living_process_what_is_not_found_is_an_error_and_no_end(world):
    world.live[11] = NotFoundError("the enforcer's namespace has no name")
    world.change(WEB)
    world.looks.pass_time(1)
    assert world.failed == ["the enforcer's namespace has no name."]
    assert world.buried == []
    del world.live[11]
    world.looks.pass_time(3)
    assert world.looks.reasons() == {}


@pytest.mark.parametrize("error", [SegctlError("no room"), KeyError("odd")])
def test_a_look_that_fails_is_made_again_and_its_next_change_heard(world, error):
    world.refuses = error
    world.live[11] = (("eth0", LATER),)
    world.change(WEB)
    world.looks.pass_time(1)
    assert "web" in world.looks.reasons()
    assert world.change(WEB), "armed"
    world.refuses = None
    world.looks.pass_time(3)
    assert world.looks.reasons() == {}


def test_what_quarantine_does_not_hold_for_is_told_and_no_failure(world):
    world.no_cover = SegctlError("web is in quarantine, but not inspected at eth9")
    world.change(WEB)
    world.looks.pass_time(1)
    assert world.told == ["web: web is in quarantine, but not inspected at eth9."]
    assert world.looks.reasons() == {}


def test_a_look_at_who_is_let_go_or_detached_changes_nothing(world):
    world.change(WEB)
    world.registry.drop("web")
    world.looks.pass_time(1)
    assert (world.refreshed, world.failed) == (0, [])
    # It is attached again before the registry was looked at: by the same process.
    world.registry.put(WEB)
    world.looks.put(REGISTRY)
    world.looks.pass_time()
    assert world.change(WEB), "it is heard still"
    world.looks.put(CHANGED, "nobody")
    world.looks.pass_time(60)
    assert world.looks.reasons() == {}


def test_one_that_is_detached_while_it_is_looked_at_stays_detached(world, monkeypatch):
    """Between the look at its addresses and the controller's turn."""
    live = world._live

    def detached_meanwhile(process: ProcessRef):
        found = live(process)
        world.registry.drop("web")
        return (*found, ("eth0", LATER))

    monkeypatch.setattr(workloads, "live_addresses", detached_meanwhile)
    world.change(WEB)
    world.looks.pass_time(1)
    assert world.registry.get("web") is None
    assert (world.refreshed, world.failed) == (0, [])


def test_one_that_is_another_by_now_is_not_taken_by_what_the_former_had(
    world, monkeypatch
):
    """A container that starts anew has the same id, and a namespace of its own."""
    again = living(WEB, 21)
    live = world._live

    def attached_anew(process: ProcessRef):
        found = live(process)
        if process == WEB.process:
            world.alive[21] = again.process
            world.registry.put(again)
            found = (("eth0", LATER),)
        return found

    monkeypatch.setattr(workloads, "live_addresses", attached_anew)
    world.live[21] = (("eth0", IP),)
    world.change(WEB)
    world.looks.pass_time(1)
    assert world.registry.by_id["web"] == again
    assert (world.told, world.failed) == ([], [])
