"""A process is known by more than its pid."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from pyctl.errors import NotFoundError
from pyctl.platform.process import netns_of, process_alive, process_ref, same_netns


def test_this_process_is_found_and_alive() -> None:
    ref = process_ref(os.getpid())
    assert process_alive(ref)
    assert same_netns(ref, replace(ref, pid=1))
    with netns_of(ref) as fd:
        found = os.fstat(fd)
        assert (found.st_dev, found.st_ino) == ref.netns


def test_a_reused_pid_is_not_the_same_process() -> None:
    ref = replace(process_ref(os.getpid()), start_time=1)
    assert not process_alive(ref)
    with pytest.raises(NotFoundError), netns_of(ref):
        pass


def test_a_pid_that_never_was_is_not_found() -> None:
    with pytest.raises(NotFoundError) as caught:
        process_ref(2**22 + 1)
    assert caught.value.exit_code == 3


def test_a_process_that_ended_is_not_alive() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    ref = process_ref(child)
    os.waitpid(child, 0)
    assert not process_alive(ref)
