"""Who is attached in a process's network namespace: known by more than the number of its inode."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from pyctl.controller.workloads.in_netns import workload_in_netns
from pyctl.platform.process import process_ref, with_cookie
from tests.unit.policy.makers import workload


@pytest.mark.parametrize(
    ("ended", "other_cookie", "found"),
    [(False, 0, True), (True, 0, True), (True, 1, False)],
)
def test_the_number_of_a_namespace_that_died_is_a_strangers(ended, other_cookie, found):
    me = with_cookie(process_ref(os.getpid()))
    start = me.start_time - ended
    known = replace(me, start_time=start, cookie=me.cookie + other_cookie)
    web = replace(workload("web"), process=known)
    assert workload_in_netns([web], process_ref(os.getpid())) == (
        web if found else None
    )
