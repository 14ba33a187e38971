"""A process is known by more than its pid."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from dataclasses import replace

import pytest

from pyctl.errors import NotFoundError, SegctlError
from pyctl.platform.process import (
    cpu_seconds,
    netns_of,
    process_alive,
    process_ref,
)


def test_this_process_is_found_and_alive() -> None:
    ref = process_ref(os.getpid())
    assert process_alive(ref)
    with netns_of(ref) as fd:
        found = os.fstat(fd)
        assert (found.st_dev, found.st_ino) == ref.netns


def test_a_reused_pid_is_not_the_same_process() -> None:
    ref = replace(process_ref(os.getpid()), start_time=1)
    assert not process_alive(ref)


def test_a_namespace_is_never_mistaken_for_another() -> None:
    ref = replace(process_ref(os.getpid()), netns=(0, 0))
    with pytest.raises(NotFoundError), netns_of(ref):
        pass


def test_a_pid_that_never_was_is_not_found() -> None:
    with pytest.raises(NotFoundError) as caught:
        process_ref(2**22 + 1)
    assert caught.value.exit_code == 3


def test_a_process_that_ended_is_not_alive() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        ref = process_ref(child.pid)
    assert not process_alive(ref)


def test_who_has_no_descriptor_left_calls_nobody_dead() -> None:
    ref = process_ref(os.getpid())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(SegctlError) as caught:
            process_alive(ref)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.errno == errno.EMFILE
    assert not isinstance(caught.value, NotFoundError)


def test_the_processor_time_of_children_counts_while_they_live_and_after() -> None:
    before = cpu_seconds(os.getpid())
    code = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass\nprint(); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    assert cpu_seconds(os.getpid()) - before >= 0.3
    assert cpu_seconds(child.pid) >= 0.3
    child.communicate(b"\n")
    assert cpu_seconds(os.getpid()) - before >= 0.3
    assert cpu_seconds(child.pid) == 0
