"""Trying: a refusal for want of privilege is told apart from a kernel that cannot."""

from __future__ import annotations

import errno
import json
import subprocess
import sys

import pytest

from pyctl.doctor.probe import COMMON, EBPF, U32
from pyctl.errors import NotPermittedError, SegctlError
from pyctl.platform.probe_scratch import tried


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (OSError(errno.EPERM, "no"), "unknown"),
        (OSError(errno.EACCES, "no"), "unknown"),
        (OSError(errno.ENOENT, "no"), "missing"),
        (NotPermittedError("no"), "unknown"),
        (SegctlError("no"), "missing"),
    ],
)
def test_want_of_privilege_is_unknown_and_all_else_missing(error, state):
    def refuse():
        raise error

    assert tried(refuse)[0] == state


def test_it_tells_only_what_doctor_knows():
    done = subprocess.run(
        [sys.executable, "-m", "pyctl.platform.probe_scratch"],
        capture_output=True,
        check=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert set(found) <= {*COMMON, *EBPF, *U32, "chosen ifindex", "macvlan"}
    assert {state for state, _ in found.values()} <= {"ok", "missing", "unknown"}
