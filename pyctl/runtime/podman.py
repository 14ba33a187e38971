"""Containers of Podman where its API service does not run, by `podman container inspect`.

In: a name or id. Out: Container. I/O: the podman program.
Podman has no daemon: most hosts with Podman have no socket at all.
"""

from __future__ import annotations

import json
import shutil
import subprocess

from pyctl.errors import SegctlError
from pyctl.runtime.base import Container, Unreachable, container_of

TIMEOUT_S = 20
"""The first call after boot sets up storage."""


class PodmanProgram:
    """The `podman` in PATH."""

    def find(self, reference: str) -> Container | None:
        """See base.Runtime."""
        program = shutil.which("podman")
        if program is None:
            raise Unreachable("there is no podman program")
        try:
            done = subprocess.run(
                [program, "container", "inspect", "--", reference],
                capture_output=True,
                check=False,
                text=True,
                timeout=TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unreachable(f"podman does not run ({error})") from error
        if done.returncode and self._unknown(reference, done.stderr):
            return None
        try:
            inspected = json.loads(done.stdout)[0]
        except (ValueError, LookupError) as error:
            raise SegctlError(
                f"podman described container {reference} in no JSON"
            ) from error
        return container_of(inspected, "podman")

    def _unknown(self, reference: str, said: str) -> bool:
        """True where podman says that there is no such container; else what failed is raised."""
        lines = said.strip().splitlines() or ["it said nothing"]
        if "no such container" in lines[-1].lower():
            return True
        if "more than one" in lines[-1].lower():
            raise SegctlError(
                f"podman was asked for container {reference}: {lines[-1]}",
                state="nothing was touched",
                advice="give the whole name or more of the id",
            )
        raise Unreachable(f"podman inspect failed ({lines[-1]})")
