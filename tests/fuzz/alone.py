"""Runs a fuzzer without libFuzzer for some seconds. In: its name, a folder. Out: nothing, or what broke."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from pyctl.abi_build import HEADER, ROOT
from tests.unit.engine.core.extension import FILES, SOURCES

SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SECONDS = "2"


def run_alone(name: str, folder: Path) -> None:
    """Build tests/fuzz/NAME.c with ASan and UBSan, and run it from a random seed, which a failure tells."""
    program = folder / name
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
            str(ROOT / "tests" / "fuzz" / f"{name}.c"),
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
