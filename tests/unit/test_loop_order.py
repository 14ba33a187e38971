"""In whatever order it is put, dropped, refused, asked for and broken off: nothing is lost, too early, or done for
another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctl.controller import loop as module
from pyctl.controller.loop import Kind, Loop, each
from pyctl.errors import SegctlError
from tests.lab.pace import wait_for
from tests.unit.controller.loops import Held, Interrupted, Stepped


@pytest.fixture
def loop() -> Iterator[Loop]:
    """Name: loop. Scope: function. Started, without any kind of work."""
    made = Loop("test")
    made.start()
    yield made
    made.close()


def interrupted(monkeypatch, first: Callable[[], object] = lambda: None) -> None:
    make = module._Request

    def request(call: Callable[[], Any]) -> Any:
        return make(call, Interrupted(first))  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_Request", request)


def test_who_is_interrupted_while_it_waits_takes_it_back(loop, monkeypatch):
    held, done = Held(loop), []
    interrupted(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        loop.do(lambda: done.append("asked"))
    held.let_go()
    monkeypatch.undo()
    loop.do(lambda: done.append("other"))
    assert done == ["other"]


def test_who_is_interrupted_while_it_is_done_waits_for_its_end(loop, monkeypatch):
    begun, go, done = threading.Event(), threading.Event(), []

    def slow() -> None:
        begun.set()
        go.wait(10)
        done.append("whole")

    def interrupt() -> None:
        assert begun.wait(10)
        threading.Timer(0.02, go.set).start()

    interrupted(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.do(slow)
    assert done == ["whole"]


def test_who_is_interrupted_while_the_loop_ends_is_interrupted(loop, monkeypatch):
    held, done = Held(loop), []

    def ends() -> None:
        ender = threading.Thread(target=loop.close)
        ender.start()
        wait_for(lambda: loop.closing)
        held.let_go()
        ender.join(10)

    interrupted(monkeypatch, ends)
    with pytest.raises(KeyboardInterrupt):
        loop.do(lambda: done.append("asked"))
    assert done == []


def test_many_askers_get_each_their_own_answer(loop):
    done, wrong = [], []
    loop.kind("look", Kind(each(done.append), lambda *_: None, rests=0.0))

    def asks(name: int) -> None:
        for at in range(40):
            loop.put("look", f"{name}-{at}")
            if loop.do(lambda at=at: (name, at)) != (name, at):
                wrong.append((name, at))

    askers = [threading.Thread(target=asks, args=(name,)) for name in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(30)
    assert wrong == []
    wait_for(lambda: len(done) == 160)


KEYS = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.sampled_from([0.0, 0.5, 4.0])),
        st.tuples(st.just("drop"), KEYS, st.just(0.0)),
        st.tuples(st.just("refuse"), KEYS, st.just(0.0)),
        st.tuples(st.just("allow"), KEYS, st.just(0.0)),
        st.tuples(st.just("pass"), KEYS, st.sampled_from([0.0, 0.3, 2.0, 7.0])),
    ),
    max_size=40,
)


@given(STEPS)
def test_nothing_that_is_put_is_lost_done_too_early_or_more_often_than_it_should(steps):
    """A model of each key: since when it may be done, and how often it has failed."""
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "time", clock)
        loop = Stepped(clock)
        loop.work(retry_s=1.0, retry_max_s=4.0, rests=0.0)
        due: dict[str, float] = {}
        tries: dict[str, int] = {}

        def step(seconds: float) -> None:
            done = loop.pass_time(seconds)
            expected = sorted(key for key, at in due.items() if at <= clock.now)
            assert sorted(done) == expected
            for key in expected:
                if key in loop.refuses:
                    due[key] = clock.now + min(4.0, 2.0 ** tries.get(key, 0))
                    tries[key] = tries.get(key, 0) + 1
                else:
                    del due[key]
                    tries.pop(key, None)

        for what, key, seconds in steps:
            if what == "put":
                loop.put("look", key, seconds)
                if not tries.get(key):
                    due[key] = min(due.get(key, 1e9), clock.now + seconds)
            elif what == "drop":
                loop.drop("look", key)
                due.pop(key, None)
                tries.pop(key, None)
            elif what == "refuse":
                loop.refuses[key] = SegctlError("no")
            elif what == "allow":
                loop.refuses.pop(key, None)
            else:
                step(seconds)
            assert {one.key: one.due for one in loop.pending()} == due
        loop.refuses.clear()
        step(10.0)
        assert loop.pending() == []


def behind(loop: Loop, call: Callable[[], object], **how: Any) -> threading.Thread:
    """Somebody who asks while the loop is busy."""
    queued = len(loop._requests)
    thread = threading.Thread(target=loop.do, args=(call,), kwargs=how, daemon=True)
    thread.start()
    wait_for(lambda: len(loop._requests) == queued + 1)
    return thread


def test_where_a_long_call_gives_way_only_who_may_cuts_in(loop):
    done, threads = [], []

    def long() -> None:
        threads.append(behind(loop, lambda: done.append("patient")))
        no, yes = (lambda: False), (lambda: True)
        threads.append(behind(loop, lambda: done.append("may not"), may_cut_in=no))
        threads.append(behind(loop, lambda: done.append("cut in"), may_cut_in=yes))
        loop.give_way()
        done.append("long")

    loop.do(long)
    for thread in threads:
        thread.join(10)
    assert done == ["cut in", "long", "patient", "may not"]


def test_who_cuts_in_gets_its_own_error_and_gives_way_to_nobody(loop):
    done, errors = [], []

    def fails() -> None:
        behind(loop, lambda: done.append("third"), may_cut_in=lambda: True)
        loop.give_way()
        done.append("second")
        raise SegctlError("its own")

    def ask() -> None:
        try:
            loop.do(fails, may_cut_in=lambda: True)
        except SegctlError as error:
            errors.append(error.tried)

    def long() -> None:
        asker = threading.Thread(target=ask, daemon=True)
        asker.start()
        wait_for(lambda: len(loop._requests) == 1)
        loop.give_way()
        asker.join(10)
        done.append("long")

    loop.do(long)
    wait_for(lambda: len(done) == 3)
    assert (done, errors) == (["second", "long", "third"], ["its own"])


def test_outside_of_the_loop_nobody_gives_way(loop):
    held, done = Held(loop), []
    asker = behind(loop, lambda: done.append("asked"), may_cut_in=lambda: True)
    loop.give_way()
    assert done == []
    held.let_go()
    asker.join(10)
    assert done == ["asked"]
