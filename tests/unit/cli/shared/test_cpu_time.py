"""The time of children counts, while they live and after."""

from __future__ import annotations

import os
import subprocess
import sys

from pyctl.cli.shared.cpu_time import cpu_seconds


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
