"""One thread does what is asked for and what is due, each in turn; what fails comes again, ever more rarely."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace

import pytest

from pyctl.controller import loop as module
from pyctl.controller.loop import AT_ONCE, Kind, Loop, each
from pyctl.errors import SegctlError, UnreachableError
from tests.lab.pace import wait_for
from tests.unit.controller.loops import Held, Stepped, ask_behind

ENDING = "the agent is ending. Nothing was changed."


@pytest.fixture
def stepped(monkeypatch) -> Stepped:
    """Name: stepped. Scope: function. A loop that does work of the kind `look` at each step."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(module, "time", clock)
    made = Stepped(clock)
    made.work()
    return made


@pytest.fixture
def loop() -> Iterator[Loop]:
    """Name: loop. Scope: function. Started, without any kind of work."""
    made = Loop("test")
    made.start()
    yield made
    made.close()


def test_requests_are_done_one_at_a_time_in_the_order_of_asking(loop):
    held, done = Held(loop), []
    askers = [ask_behind(loop, lambda at=at: done.append(at)) for at in range(5)]
    assert done == []
    held.let_go()
    for asker in askers:
        asker.join(10)
    assert done == [0, 1, 2, 3, 4]


def test_requests_and_work_have_their_turns_in_turn(loop):
    done: list[str] = []
    for kind in ("a", "b"):
        loop.kind(kind, Kind(each(done.append), lambda *_: None))
    held = Held(loop)
    askers = [ask_behind(loop, lambda: done.append("asked")) for _ in range(3)]
    for kind in ("a", "b"):
        loop.put(kind, kind)
    held.let_go()
    for asker in askers:
        asker.join(10)
    wait_for(lambda: len(done) == 5)
    assert done == ["a", "asked", "b", "asked", "asked"]


def test_a_result_and_a_failure_are_the_askers_and_the_loop_goes_on(loop):
    assert loop.do(lambda: 7) == 7
    for error in (ZeroDivisionError("odd"), SystemExit(3), SegctlError("no room")):

        def fail(error: BaseException = error) -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            loop.do(fail)
        assert caught.value is error
    assert loop.do(lambda: 8) == 8


def test_who_is_done_by_the_loop_may_ask_it_again(loop):
    assert loop.do(lambda: loop.do(lambda: threading.current_thread().name)) == "test"


def test_before_it_starts_the_asker_does_it_itself():
    loop, me = Loop("test"), threading.current_thread()
    assert loop.do(threading.current_thread) is me
    with pytest.raises(ZeroDivisionError):
        loop.do(lambda: 1 // 0)


def test_what_waits_when_it_starts_is_done_then():
    loop, done = Loop("test"), threading.Event()
    loop.kind("look", Kind(each(lambda _: done.set()), lambda *_: None))
    loop.put("look")
    loop.start()
    assert done.wait(10)
    loop.close()


@pytest.mark.parametrize("fails", [False, True])
def test_readers_see_what_was_done_before_the_asker_hears_of_it(fails):
    """Also where it failed: half of it may have been done."""
    seen: list[int] = []
    state = [0]
    loop = Loop("test", lambda: seen.append(state[0]))
    loop.start()

    def change() -> None:
        state[0] += 1
        if fails:
            raise SegctlError("half done")

    for at in range(20):
        try:
            loop.do(change)
        except SegctlError:
            assert fails
        assert seen[-1] == at + 1
    loop.close()


def test_a_broken_publication_leaves_nobody_waiting():
    def breaks() -> None:
        raise ZeroDivisionError

    loop = Loop("test", breaks)
    loop.kind("look", Kind(each(lambda _: None), lambda *_: None))
    loop.start()
    loop.put("look", "web")
    assert [loop.do(lambda: 7), loop.do(lambda: 8)] == [7, 8]
    loop.close()


def test_of_a_kind_and_key_there_is_one(stepped):
    stepped.work("other")
    for _ in range(3):
        stepped.put("look", "web")
        stepped.put("look", "app")
        stepped.put("other", "web")
    assert [(one.kind, one.key) for one in stepped.pending()] == [
        ("look", "app"),
        ("look", "web"),
        ("other", "web"),
    ]
    assert stepped.pass_time() == ["web", "app"]
    assert stepped.pass_time() == ["web"]
    assert stepped.pending() == []


def test_a_handler_gets_so_many_keys_at_a_time_and_all_in_the_end(stepped):
    batches: list[list[str]] = []
    stepped.kind(
        "many", Kind(lambda keys: batches.append(list(keys)) or {}, lambda *_: None)
    )
    names = [f"load-{at:02}" for at in range(2 * AT_ONCE + 1)]
    for name in names:
        stepped.put("many", name)
        stepped.clock.now += 0.001
    while stepped.pending():
        stepped.pass_time()
    assert [len(one) for one in batches] == [AT_ONCE, AT_ONCE, 1]
    assert [name for one in batches for name in one] == names


def test_what_has_been_due_for_longest_is_done_first(stepped):
    stepped.work("other")
    stepped.put("look", "late")
    stepped.clock.now += 1
    stepped.put("other", "later")
    stepped.put("look", "latest")
    assert stepped.pass_time(1) == ["late", "latest"]
    assert stepped.pass_time() == ["later"]


def test_what_is_put_off_waits_and_the_earlier_time_counts(stepped):
    stepped.put("look", "web", 5.0)
    stepped.put("look", "web", 2.0)
    stepped.put("look", "web", 9.0)
    assert stepped.pass_time(1.9) == []
    assert stepped.pass_time(0.2) == ["web"]
    assert stepped.pass_time(60) == []


def test_what_fails_is_tried_again_ever_more_rarely(stepped):
    stepped.work(retry_s=3.0, retry_max_s=20.0, rests=0.0)
    stepped.refuses["web"] = SegctlError("no room")
    stepped.put("look", "web")
    times = [stepped.clock.now for _ in range(1000) if stepped.pass_time(0.1)]
    pauses = [round(after - before) for before, after in pairwise(times)]
    assert pauses == [3, 6, 12, 20, 20, 20]
    (one,) = stepped.pending()
    assert (one.tries, one.why) == (7, "no room.")
    del stepped.refuses["web"]
    assert stepped.pass_time(20) == ["web"]
    assert stepped.pending() == []


def test_a_reason_is_told_where_it_is_news(stepped):
    stepped.put("look", "web")
    reasons = ["no room", "no room", "no link", "no link", "no room"]
    for reason in reasons:
        stepped.refuses["web"] = SegctlError(reason)
        assert stepped.pass_time(60) == ["web"]
    assert stepped.told == ["web: no room.", "web: no link.", "web: no room."]
    stepped.refuses.clear()
    stepped.pass_time(60)
    stepped.refuses["web"] = SegctlError("no room")
    stepped.put("look", "web")
    stepped.pass_time(60)
    assert len(stepped.told) == 4, "it had held in between"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KeyError("web"), "KeyError('web')"),
        (OSError(24, "too many"), "[Errno 24] too many"),
        (OSError(), "OSError()"),
    ],
    ids=repr,
)
def test_whatever_is_raised_has_a_reason_and_keeps_no_other_from_its_turn(
    stepped, error, why
):
    stepped.refuses["web"] = error
    for name in ("web", "app"):
        stepped.put("look", name)
    assert stepped.pass_time() == ["web", "app"]
    (one,) = stepped.pending()
    assert (one.key, one.tries, one.why) == ("web", 1, why)


def test_what_a_handler_raises_whole_failed_for_each_of_its_keys(stepped):
    def handle(_keys: object) -> dict[str, Exception]:
        raise SegctlError("nobody can be looked at")

    stepped.kind("look", Kind(handle, stepped._failed))
    for name in ("web", "app"):
        stepped.put("look", name)
    stepped.pass_time()
    assert [one.why for one in stepped.pending()] == ["nobody can be looked at."] * 2
    assert len(stepped.told) == 2


def test_who_breaks_when_told_of_a_failure_ends_no_loop(stepped):
    def breaks(_key: str, _error: Exception) -> None:
        raise ZeroDivisionError

    stepped.kind("look", Kind(each(stepped._handle), breaks))
    stepped.refuses = {name: SegctlError("no room") for name in ("web", "app")}
    for name in stepped.refuses:
        stepped.put("look", name)
    stepped.pass_time()
    assert [(one.key, one.tries) for one in stepped.pending()] == [
        ("app", 1),
        ("web", 1),
    ]


def test_what_failed_waits_for_its_next_try_whoever_puts_it(stepped):
    stepped.work(retry_s=3.0, rests=0.0)
    stepped.refuses["web"] = SegctlError("no room")
    stepped.put("look", "web")
    stepped.pass_time()
    stepped.put("look", "web")
    assert stepped.pass_time(2.9) == []
    stepped.meanwhile = lambda key: stepped.put("look", key)
    assert stepped.pass_time(0.1) == ["web"]
    assert stepped.pass_time(5.9) == []


def test_what_is_dropped_is_not_done_and_begins_anew(stepped):
    stepped.put("look", "web")
    stepped.drop("look", "web")
    stepped.drop("look", "nobody")
    assert stepped.pass_time(60) == []
    stepped.refuses["web"] = SegctlError("no room")
    for _ in range(5):
        stepped.put("look", "web")
        assert stepped.pass_time() == ["web"]
        stepped.drop("look", "web")
    assert stepped.pending() == []


def test_what_is_dropped_while_it_is_done_is_not_tried_again(stepped):
    stepped.refuses["web"] = SegctlError("no room")
    stepped.meanwhile = lambda key: stepped.drop("look", key)
    stepped.put("look", "web")
    assert stepped.pass_time() == ["web"]
    assert (stepped.pending(), stepped.told) == ([], [])


def test_what_is_put_anew_while_it_is_done_does_not_wait_for_the_former_try(stepped):
    stepped.work(rests=0.0, retry_s=3.0)
    stepped.refuses["web"] = SegctlError("the former one is gone")
    stepped.put("look", "web")

    def begins_anew(key: str) -> None:
        stepped.drop("look", key)
        stepped.put("look", key)

    stepped.meanwhile = begins_anew
    stepped.pass_time()
    stepped.meanwhile = lambda _: None
    assert stepped.pass_time() == ["web"]
    assert len(stepped.told) == 1


def test_what_changes_while_it_is_done_is_done_again(stepped):
    stepped.meanwhile = lambda key: stepped.put("look", key)
    stepped.put("look", "web")
    assert stepped.pass_time() == ["web"]
    stepped.meanwhile = lambda _: None
    assert stepped.pass_time(1) == ["web"]
    assert stepped.pass_time(60) == []


@pytest.mark.parametrize("when", ["after it", "meanwhile"])
def test_what_took_long_is_left_alone_in_proportion(stepped, when):
    """And that holds for what was put while it was done: who changes all the time does just that."""

    def takes_long(key: str) -> None:
        stepped.clock.now += 2.0
        if when == "meanwhile":
            stepped.put("look", key)

    stepped.meanwhile = takes_long
    stepped.put("look", "web")
    assert stepped.pass_time() == ["web"]
    stepped.meanwhile = lambda _: None
    stepped.put("look", "web")
    stepped.put("look", "app")
    assert stepped.pass_time(7.9) == ["app"]
    assert stepped.pass_time(0.2) == ["web"]


def test_a_rest_is_kept_whoever_puts_it(stepped):
    stepped.work(rests=0.0)
    stepped.meanwhile = lambda key: stepped.rest("look", key, 5.0)
    stepped.put("look", "web")
    stepped.pass_time()
    stepped.put("look", "web")
    assert stepped.pass_time(4.9) == []
    assert stepped.pass_time(0.2) == ["web"]


def test_what_is_done_every_so_often_needs_nobody_to_put_it(stepped):
    stepped.work(every_s=0.2, rests=0.0, retry_s=3.0)
    stepped.put("look", "web")
    done = [bool(stepped.pass_time(0.1)) for _ in range(6)]
    assert done == [True, False, True, False, True, False]
    stepped.refuses["web"] = SegctlError("no room")
    assert stepped.pass_time(0.2) == ["web"]
    assert stepped.pass_time(0.3) == []
    stepped.refuses.clear()
    assert stepped.pass_time(3) == ["web"]
    assert stepped.pass_time(0.2) == ["web"]


def test_a_handler_may_put_other_work(stepped):
    stepped.work("other")
    stepped.meanwhile = lambda key: key == "web" and stepped.put("other", "after web")
    stepped.put("look", "web")
    assert stepped.pass_time() == ["web"]
    assert stepped.pass_time() == ["after web"]


def test_what_is_being_tried_again_is_pending_still(stepped):
    stepped.refuses["web"] = SegctlError("no room")
    stepped.put("look", "web")
    stepped.pass_time()
    seen = []
    stepped.meanwhile = lambda _: seen.extend(stepped.pending())
    stepped.pass_time(60)
    assert [(one.tries, one.why) for one in seen] == [(1, "no room.")]


def test_long_work_lets_others_in_between(loop):
    done: list[str] = []
    loop.kind("look", Kind(each(done.append), lambda *_: None))
    askers: list[threading.Thread] = []

    def long_work() -> None:
        for at in range(3):
            if at == 1:
                askers.extend(
                    ask_behind(loop, lambda name=name: done.append(name))
                    for name in ("first", "second")
                )
                loop.put("look", "work")
            loop.yield_to_waiters()
            done.append(f"part {at}")

    loop.do(long_work)
    for asker in askers:
        asker.join(10)
    assert done == ["part 0", "first", "second", "work", "part 1", "part 2"]


def test_way_is_given_to_those_who_wait_by_now_alone(loop):
    """Who is let in and asks for more has its next turn when the long work ends."""
    done: list[str] = []
    askers: list[threading.Thread] = []

    def one_more() -> None:
        done.append("first")
        askers.append(ask_behind(loop, lambda: done.append("second")))

    def long_work() -> None:
        askers.append(ask_behind(loop, one_more))
        loop.yield_to_waiters()
        done.append("long")

    loop.do(long_work)
    wait_for(lambda: len(askers) == 2)
    for asker in askers:
        asker.join(10)
    assert done == ["first", "long", "second"]


def test_nobody_else_gives_way(loop):
    held, done = Held(loop), []
    asker = ask_behind(loop, lambda: done.append("asked"))
    loop.yield_to_waiters()
    assert done == []
    held.let_go()
    asker.join(10)
    assert done == ["asked"]


def test_at_the_end_those_who_wait_and_all_who_come_are_refused(loop):
    held, done, refused = Held(loop), [], []

    def asks() -> None:
        try:
            loop.do(lambda: done.append("asked"))
        except UnreachableError as error:
            refused.append(str(error))

    waiting = threading.Thread(target=asks)
    waiting.start()
    wait_for(lambda: len(loop._requests) == 1)
    ender = threading.Thread(target=loop.close)
    ender.start()
    wait_for(lambda: loop.closing)
    assert ender.is_alive(), "what is under way is waited for"
    asks()
    held.let_go()
    for thread in (ender, waiting):
        thread.join(10)
    asks()
    assert (refused, done) == ([ENDING] * 3, [])
    loop.close()


def test_at_the_end_work_is_left_undone(loop):
    done: list[str] = []
    loop.kind("look", Kind(each(done.append), lambda *_: None))
    held = Held(loop)
    loop.put("look", "web")
    ender = threading.Thread(target=loop.close)
    ender.start()
    wait_for(lambda: loop.closing)
    loop.put("look", "app")
    held.let_go()
    ender.join(10)
    loop.put("look", "late")
    assert done == []


def test_long_work_that_gives_way_at_the_end_says_what_became_of_it(loop):
    def long_work() -> None:
        loop._closed = True
        loop.yield_to_waiters()

    with pytest.raises(UnreachableError) as caught:
        loop.do(long_work)
    assert caught.value.state == "what was done by now holds, the rest is as it was"


def test_one_that_never_began_may_end():
    loop = Loop("test")
    loop.close()
    with pytest.raises(UnreachableError):
        loop.do(print)


def test_one_whose_thread_could_not_begin_may_end(monkeypatch):
    loop = Loop("test")
    monkeypatch.setattr(module.threading.Thread, "start", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        loop.start()
    loop.close()


def test_nobody_waits_for_a_loop_whose_thread_has_died(loop, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    loop.put("a kind that nobody registered")
    loop._thread.join(10)
    with pytest.raises(UnreachableError, match="is ending"):
        loop.do(lambda: None)
