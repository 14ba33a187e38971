"""Waiting for a descriptor, whatever its number."""

from __future__ import annotations

import fcntl
import os
import resource

import pytest

from pyctl.platform.ready import readable


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_readable_says_whether_something_is_there(pipe):
    read, write = pipe
    assert not readable(read, 0)
    assert not readable(read, -1)
    os.write(write, b"x")
    assert readable(read, 0)


def test_a_descriptor_beyond_those_of_select_is_as_good_as_any(pipe):
    """An agent with five hundred workloads has such ones."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] <= 2000:
        pytest.skip("no descriptor of this number may be had here")
    read, write = pipe
    high = fcntl.fcntl(read, fcntl.F_DUPFD_CLOEXEC, 2000)
    try:
        os.write(write, b"x")
        assert readable(high, 0)
    finally:
        os.close(high)
