"""top: the busiest flow first, rates since the frame before."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys

import pytest

from pyctl.cli import top
from tests.unit.fake_agent import FLOW


def frame(at, *volumes):
    flows = [
        {**FLOW, "source_port": port, "bytes": volume, "bytes_back": 0}
        for port, volume in enumerate(volumes)
    ]
    return {"at": at, "flows": flows}


def test_one_frame_shows_workloads_and_flows(agent, segctl):
    done = segctl("top", "--once")
    assert "engine running" in done.stdout
    assert "protect" in done.stdout
    assert "web" in done.stdout


def test_rates_are_what_grew_since_the_frame_before():
    assert top.rates(frame(12.0, 500, 100), frame(10.0, 100, 100)) == [200.0, 0.0]


def test_the_first_frame_averages_over_a_flows_life():
    assert top.rates(frame(12.0, 500), None) == [500.0]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (950, "950"), (1234, "1.2k"), (34_000_000, "34M"), (999_600, "1.0M")],
)
def test_numbers_are_short(number, text):
    assert top.short(number) == text


def test_q_ends_it_and_the_terminal_is_as_before(agent, instance):
    main, side = pty.openpty()
    program = (
        "import sys; from pyctl.cli.shared import options; from pyctl.cli.main import main;"
        "from pathlib import Path; from tests.unit.fake_agent import instance_in;"
        "found = instance_in(Path(sys.argv[1])); options.instance = lambda: found;"
        "main(['top', '--every', '0.2'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(instance.run_dir)],
        stdin=side,
        stdout=side,
        stderr=side,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "50"},
    )
    os.close(side)
    try:
        shown = b""
        while b"protect" not in shown:
            assert select.select([main], [], [], 20)[0], shown
            shown += os.read(main, 65536)
        os.write(main, b"q")
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(main)
