"""A few seconds of the core's fuzzer, with ASan and UBSan; the long runs are done by hand."""

from __future__ import annotations

import random
import subprocess

from pyctl.abi_build import HEADER, ROOT
from tests.unit.engine.core.harness import FILES, SOURCES

SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SECONDS = "2"


def test_mutated_frames_and_policies_break_no_memory(tmp_path):
    program = tmp_path / "fuzz_core"
    subprocess.run(
        [
            "gcc",
            "-std=gnu11",
            "-O1",
            "-g",
            "-DFUZZ_ALONE",
            *SANITIZE,
            f"-I{SOURCES}",
            f"-I{HEADER.parent}",
            "-o",
            str(program),
            str(ROOT / "tests" / "fuzz" / "fuzz_core.c"),
            *map(str, FILES),
        ],
        check=True,
    )
    seed = str(random.randrange(1 << 30))
    run = subprocess.run(
        [program, SECONDS, seed],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    assert int(run.stdout.split()[0]) > 0
