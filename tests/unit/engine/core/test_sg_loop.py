"""What the kernel says of a connection is read after the packets that came before it, however many wait."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pyctl.abi_build import HEADER
from tests.unit.engine.core.extension import SOURCES
from tests.unit.engine.core.harness import EGRESS
from tests.unit.engine.core.wire import NETS, Connection, udp

CLOSED = 7
SMALL, SLOTS, BATCH = 8192, 8192 + 660 + 180, 64
"""Frames that the ring of small ones holds, that all hold, and that a round reads."""


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Name: loop. Scope: module. Depends: gcc. The loop over rings in plain memory, as a program."""
    program = tmp_path_factory.mktemp("loop") / "loop"
    sources = [p for p in SOURCES.glob("*/sg_*.c") if "sg_engine" not in p.name]
    subprocess.run(
        [
            *("gcc", "-std=gnu11", "-O1", "-g", "-pthread", "-fsanitize=undefined"),
            *("-fno-sanitize-recover=all", "-Wall", "-Wextra", "-Werror"),
            "-Wl,--wrap=sg_ring_release,--wrap=sg_kernel_ring_take",
            *(f"-I{HEADER.parent}", f"-I{SOURCES}", "-o", program),
            *(Path(__file__).with_name("loop_lab.c"), *sources),
        ],
        check=True,
    )
    return program


def run(loop: Path, mode: str, frames: list[bytes]) -> int:
    """The number that the program prints."""
    fed = b"".join(len(frame).to_bytes(2, "big") + frame for frame in frames)
    done = subprocess.run(
        [loop, mode], input=fed, capture_output=True, check=True, timeout=60
    )
    return int(done.stdout)


def others(net, count: int) -> list[bytes]:
    """Datagrams of one flow each."""
    return [net.out(udp(sport=2000 + number)) for number in range(count)]


@pytest.mark.parametrize("waiting", [0, 61, 62, 64, 500])
def test_a_reset_comes_after_the_packets_that_waited_before_it(loop, waiting):
    """Read before its connection's last ACK it would seem to be a blind one, and the connection lives on."""
    net = NETS[0]
    connection = Connection(net, EGRESS)
    first = [connection.segment(0, "S"), connection.segment(1, "SA")]
    last = connection.segment(0, "A")
    assert run(loop, "once", [*first, *others(net, waiting), last]) == CLOSED


def test_a_reset_is_read_though_the_rings_never_run_empty(loop):
    """After as many frames as they hold: all that came before it are among them."""
    frames = others(NETS[0], 1) * SMALL
    assert SLOTS <= run(loop, "refill", frames) < SLOTS + BATCH


def test_a_record_that_is_never_finished_holds_frames_up_for_a_moment_only(loop):
    """The frames behind may be of the connection of a later record, so they wait for it first."""
    assert run(loop, "busy", others(NETS[0], 100)) == 100


def test_while_frames_are_held_up_the_rings_do_not_count_as_empty(loop):
    """Else a reset would be read before them, and settled flows would overtake them."""
    connection = Connection(NETS[0], EGRESS)
    frames = [connection.segment(0, "S"), connection.segment(1, "SA")]
    frames.append(connection.segment(0, "A"))
    assert run(loop, "behind", frames) == CLOSED
