"""Who a workload goes on with: somebody in its very namespace, known by more than the number of its inode."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pyctl.controller.workloads import succession
from pyctl.model.workload import Mode, RuntimeKind
from pyctl.platform import netns
from pyctl.platform.inhabitants import Inhabitants
from pyctl.platform.process import process_ref, with_cookie
from pyctl.policy.document.resolve import effective_mode
from pyctl.policy.document.types import EMPTY
from pyctl.state.registry import Registry
from tests.unit.policy.makers import workload


class NoStore:
    def save(self, _workload) -> None: ...


@pytest.fixture
def context():
    registry, told = Registry(NoStore()), []
    return SimpleNamespace(
        registry=registry,
        told=told,
        happened=told.append,
        mode_of=lambda one: effective_mode(EMPTY, one),
    )


def ended(context, *, stranger: bool, mode: Mode = Mode.DISCOVER):
    """Its process has ended; this one has the number of its namespace."""
    me = with_cookie(process_ref(os.getpid()))
    known = replace(me, start_time=me.start_time - 1, cookie=me.cookie + stranger)
    web = replace(workload("web", forced_mode=mode), process=known)
    context.registry.put(web)
    return web


def living_here() -> Inhabitants:
    me = process_ref(os.getpid())
    return Inhabitants({me.netns: me})


def test_it_goes_on_with_who_lives_in_its_namespace(context):
    web = ended(context, stranger=False)
    assert succession.go_on(context, web, living_here())
    now = context.registry.by_id["web"]
    assert now.process.pid == os.getpid()
    assert now.process.cookie == web.process.cookie
    assert now.runtime == RuntimeKind.PROCESS
    assert len(context.told) == 1


def test_who_lives_in_another_with_the_same_number_is_a_stranger(context):
    web = ended(context, stranger=True)
    assert not succession.go_on(context, web, living_here())
    assert context.registry.by_id["web"] == web
    assert not context.told


@pytest.mark.parametrize("mode", [*Mode])
@pytest.mark.parametrize("stranger", [False, True])
def test_a_mode_that_drops_stays_where_its_very_namespace_is_bound(
    context, monkeypatch, stranger, mode
):
    me = Path("/proc/self/ns/net")
    monkeypatch.setattr(netns, "_bound", lambda *_: me)
    web = ended(context, stranger=stranger, mode=mode)
    holds = mode in (Mode.PROTECT, Mode.QUARANTINE) and not stranger
    assert succession.go_on(context, web, Inhabitants()) is holds
