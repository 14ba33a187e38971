"""Whom an order means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.controller.workloads import attach_target
from pyctl.controller.workloads.attach_target import find_target
from pyctl.errors import NotFoundError


def test_a_pid_is_a_process_without_a_container(host):
    process = host.runs(11)
    found = find_target(11, None, None)
    assert (found.process, found.container) == (process, None)


def test_a_name_is_the_first_process_of_its_container(host):
    web = host.starts("web", 11)
    found = find_target(None, "web", None)
    assert (found.process, found.container) == (host.processes[11], web)


def test_a_runtime_is_asked_where_the_order_says(host, monkeypatch):
    web, asked = host.starts("web", 11), []

    def resolve(name, place):
        asked.append((name, place))
        return web

    monkeypatch.setattr(attach_target, "resolve", resolve)
    assert find_target(None, "web", "unix:///there").container == web
    assert asked == [("web", "unix:///there")]
    assert find_target(None, "web", None, web).container == web
    assert len(asked) == 1, "what was described is not asked for again"


def test_nobody_is_no_target(host):
    web = host.starts("web", 11)
    host.ends(11)
    for asked in ((11, None, None), (None, "app", None), (None, None, None)):
        with pytest.raises(NotFoundError):
            find_target(*asked)
    with pytest.raises(NotFoundError):
        find_target(None, None, None, web)


def test_its_namespace_is_known_by_a_cookie(host, monkeypatch):
    host.runs(11)
    monkeypatch.setattr(attach_target, "with_cookie", lambda it: replace(it, cookie=5))
    assert find_target(11, None, None).process.cookie == 5
