"""No request, however wrong, ends the engine: it is answered with an error."""

from __future__ import annotations

import contextlib
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyctl.engine.process import log
from pyctl.engine.process.engine import Engine
from pyctl.engine.process.requests import Request, Requests
from pyctl.errors import SegctlError, UsageError
from pyctl.model.instance import Instance

OPERATIONS = [
    "rings_set",
    "cache",
    "policy_set",
    "node_set",
    "members_set",
    "port_delete",
    "listeners_set",
    "counters",
    "sessions",
    "events",
    "hits",
    "names",
    "names_of",
    "name_counts",
    "log_level",
]
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.lists(st.integers()),
)
fields = st.dictionaries(
    st.sampled_from(
        ["port_id", "limit", "cursor", "max", "after", "level", "enabled", "ports"]
    ),
    values,
)


@pytest.fixture(scope="module")
def requests():
    log.configure("error")
    with Engine() as engine:
        yield Requests(engine, Instance("segt-unit"))


def ask(requests, op, **rest):
    return requests.answer(Request({"op": op, **rest}))


@given(st.sampled_from(OPERATIONS), fields, st.binary(max_size=100))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_fields_are_answered_or_refused(requests, op, given_fields, blob):
    with contextlib.suppress(SegctlError):
        requests.answer(Request({"op": op, **given_fields}, blob))
    log.configure("error")
    assert ask(requests, "hello").body["pid"] == os.getpid()


def test_an_unknown_operation_is_named(requests):
    with pytest.raises(UsageError, match="'fly'"):
        ask(requests, "fly")


def test_descriptors_that_nobody_asked_for_are_closed(requests):
    read, write = os.pipe()
    requests.answer(Request({"op": "hello"}, fds=(read,)))
    with pytest.raises(BrokenPipeError):
        os.write(write, b"x")
    os.close(write)


def test_true_is_no_number(requests):
    with pytest.raises(UsageError):
        ask(requests, "port_delete", port_id=True)


def test_hello_says_who_answers(requests):
    body = ask(requests, "hello").body
    assert set(body) == {"version", "abi", "wire", "pid", "workers", "stats"}
    assert body["stats"]["has_rings"] == 0


def test_stop_is_remembered():
    with Engine() as engine:
        requests = Requests(engine, Instance("segt-unit"))
        ask(requests, "stop")
        assert requests.stopping
