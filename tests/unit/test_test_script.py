"""scripts/test with played parts: what it runs in which case, and that its exit code is theirs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
# Each part notes its call; a part named in $FAILS fails. Coverage's runs begin later than the others end or
# end before them, as $FIRST says.
PART = """#!/bin/sh
echo "$0 $*" >>"$CALLS"
case "$*" in
*tests/unit*) part=unit; [ "$FIRST" = unit ] || sleep 0.3 ;;
*tests/datapath*) part=privileged; [ "$FIRST" = privileged ] || sleep 0.3 ;;
*) part=${0##*/} ;;
esac
case "$FAILS" in *$part*) exit 3 ;; esac
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name in ("test", "told"):
        shutil.copy(SCRIPTS / name, scripts / name)
    for name in ("bootstrap", "sandbox", "vm"):
        (scripts / name).write_text(PART)
        (scripts / name).chmod(0o755)
    return tmp_path


def run(
    tree: Path, *arguments: str, fails: str = "", first: str = "unit"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tree / "scripts" / "test", *arguments],
        env={
            "PATH": os.environ["PATH"],
            "CALLS": str(tree / "calls"),
            "FAILS": fails,
            "FIRST": first,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def calls(tree: Path) -> str:
    return (tree / "calls").read_text()


@pytest.mark.parametrize("first", ["unit", "privileged"])
@pytest.mark.parametrize("arguments", [(), ("--native",)])
def test_where_all_passes_the_script_does(tree, first, arguments):
    ended = run(tree, *arguments, first=first)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert "tests/unit" in calls(tree)
    assert "tests/datapath tests/kernel" in calls(tree)
    assert ("--suite" in calls(tree)) is (not arguments)


@pytest.mark.parametrize("first", ["unit", "privileged"])
@pytest.mark.parametrize(
    ("fails", "said"),
    [
        ("unit", ["tests/unit"]),
        ("privileged", ["tests/datapath"]),
        ("unit privileged", ["tests/datapath", "tests/unit"]),
    ],
)
def test_what_failed_here_is_said_last_and_no_other_kernel_is_started(
    tree, first, fails, said
):
    ended = run(tree, fails=fails, first=first)
    assert ended.returncode == 1
    lines = ended.stdout.splitlines()
    assert len(lines) == len(said)
    for line, part in zip(lines, said, strict=True):
        assert line.startswith(f"test: FAILED here: {part}")
    assert "--suite" not in calls(tree)


def test_a_kernel_that_fails_fails_the_script(tree):
    assert run(tree, fails="vm").returncode == 3


def test_arguments_are_pytests_alone(tree):
    assert run(tree, "tests/unit", fails="unit").returncode == 3
    assert "coverage" not in calls(tree)
