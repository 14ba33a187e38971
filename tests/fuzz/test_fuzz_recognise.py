"""A few seconds of the recognisers' fuzzer, with ASan and UBSan; the long runs are done by hand."""

from __future__ import annotations

import random
import subprocess

from pyctl.abi_build import HEADER, ROOT
from tests.unit.engine.core.harness import SOURCES

SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
FOLDERS = ("prefix", "apps_*", "inspect")
SECONDS = "2"


def test_mutated_beginnings_break_no_memory_and_are_called_alike_in_pieces(tmp_path):
    program = tmp_path / "fuzz_recognise"
    sources = [file for name in FOLDERS for file in SOURCES.glob(f"{name}/*.c")]
    subprocess.run(
        [
            *("gcc", "-std=gnu11", "-O1", "-g", "-DFUZZ_ALONE", *SANITIZE),
            *(f"-I{SOURCES}", f"-I{HEADER.parent}", "-o", program),
            *(ROOT / "tests" / "fuzz" / "fuzz_recognise.c", *sources),
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
