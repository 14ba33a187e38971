"""The engine's packet loop goes to the CPU that waits for it, and leaves what others set alone."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyctl import abi
from pyctl.platform.bpf.commands import Map
from tests.lab.pace import wait_for

CPUS = sorted(os.sched_getaffinity(0))
pytestmark = pytest.mark.skipif(
    len(CPUS) < 2, reason="with one CPU there is nowhere to go"
)


@contextmanager
def steering(control: Map, cpu: int) -> Iterator[None]:
    """The datapath's word, again and again: what was steered came from this CPU."""
    at = abi.ffi.offsetof("struct seg_control", "producer_cpu")
    ended = threading.Event()

    def say() -> None:
        with control.mmap(write=True) as memory:
            while not ended.wait(0.001):
                struct.pack_into("=I", memory, at, cpu + 1)

    thread = threading.Thread(target=say)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


_SPIN = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
end = time.monotonic() + 15
print("spins", flush=True)
while time.monotonic() < end: pass
"""
"""The kernel lends the other threads of that CPU a twentieth of it, now and then."""


@pytest.fixture
def loop(engine_lab) -> tuple[int, Map]:
    """Name: loop. Scope: function. Depends: engine_lab. The thread's number, and seg_control."""
    control = engine_lab.pin_maps()["seg_control"]
    pid = engine_lab.start().hello()["pid"]
    tasks = Path(f"/proc/{pid}/task")
    names = {(task / "comm").read_text().strip(): task for task in tasks.iterdir()}
    return int(names["segctl-packets"].name), control


def test_it_is_near_while_one_cpu_steers_and_free_after(loop):
    thread, control = loop
    for cpu in CPUS[:2]:
        with steering(control, cpu):
            wait_for(lambda cpu=cpu: os.sched_getaffinity(thread) == {cpu}, 20)
        wait_for(lambda: os.sched_getaffinity(thread) == set(CPUS), 20)


def stays_on(thread: int, cpu: int) -> bool:
    """For thirty windows."""
    found = []
    for _ in range(30):
        found.append(os.sched_getaffinity(thread))
        time.sleep(0.01)
    return found == [{cpu}] * len(found)


def test_an_affinity_that_was_set_from_outside_stays(loop):
    thread, control = loop
    with steering(control, CPUS[0]):
        wait_for(lambda: os.sched_getaffinity(thread) == {CPUS[0]}, 20)
        os.sched_setaffinity(thread, {CPUS[1]})
    assert stays_on(thread, CPUS[1])
    with steering(control, CPUS[0]):
        assert stays_on(thread, CPUS[1])


def asked(engine_lab, thread: int) -> set[int]:
    engine_lab.clients[0].hello()
    return os.sched_getaffinity(thread)


def test_behind_a_real_time_thread_it_is_freed_by_who_asks_it(engine_lab, loop):
    thread, control = loop
    with steering(control, CPUS[0]):
        wait_for(lambda: os.sched_getaffinity(thread) == {CPUS[0]}, 20)
        words = (sys.executable, "-c", _SPIN, str(CPUS[0]))
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as spinner:
            try:
                if spinner.stdout.readline() != "spins\n":
                    pytest.skip("no real-time threads for this process")
                wait_for(lambda: asked(engine_lab, thread) != {CPUS[0]}, 4)
                assert spinner.poll() is None, "it had gone by itself"
            finally:
                spinner.kill()
