"""Containers of Podman where its API service does not run, by `podman container inspect`.

In: a name or id. Out: Container, ids of those that start. I/O: the podman program.
Podman has no daemon: most hosts with Podman have no socket at all.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator

from pyctl.errors import SegctlError
from pyctl.runtime.base import Container, Known, Unreachable, container_of, known_of

TIMEOUT_S = 20
"""The first call after boot sets up storage."""


class PodmanProgram:
    """The `podman` program in PATH."""

    runtime = "podman"
    place = "the podman program"

    def find(self, reference: str) -> Container | None:
        """Return a running container by name or id prefix; errors as in base.Runtime."""
        done = self._ask("container", "inspect", "--", reference)
        if done.returncode and self._unknown(reference, done.stderr):
            return None
        try:
            inspected = json.loads(done.stdout)[0]
        except (ValueError, LookupError) as error:
            raise SegctlError(
                f"podman described container {reference} in no JSON"
            ) from error
        return container_of(inspected, "podman", self.place)

    def running(self) -> list[str]:
        """Return the whole ids of all running containers; errors as in base.Runtime."""
        done = self._ask("ps", "--quiet", "--no-trunc")
        if done.returncode:
            raise Unreachable(f"podman ps failed ({done.stderr.strip()})")
        return done.stdout.split()

    def known(self) -> list[Known]:
        """Return all containers, running or not; errors as in base.Runtime."""
        listed = self._ask("ps", "--all", "--quiet", "--no-trunc")
        if listed.returncode:
            raise Unreachable(f"podman ps failed ({listed.stderr.strip()})")
        ids = listed.stdout.split()
        if not ids:
            return []
        # It fails where one has gone meanwhile, and still describes the others.
        done = self._ask("container", "inspect", "--", *ids)
        try:
            found = json.loads(done.stdout)
        except ValueError as error:
            raise SegctlError("podman described its containers in no JSON") from error
        return [known_of(one, "podman", self.place) for one in found]

    @contextlib.contextmanager
    def starts(self) -> Iterator[_Starts]:
        """Yield a stream of starts and renames; errors as in base.Runtime."""
        wanted = ("type=container", "event=start", "event=rename")
        filters = [word for one in wanted for word in ("--filter", one)]
        with subprocess.Popen(
            [self._program(), "events", "--format", "{{.ID}}", *filters],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="surrogateescape",
        ) as program:
            try:
                yield _Starts(program)
            finally:
                program.kill()

    def _program(self) -> str:
        program = shutil.which("podman")
        if program is None:
            raise Unreachable("there is no podman program")
        return program

    def _ask(self, *argv: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [self._program(), *argv],
                capture_output=True,
                check=False,
                text=True,
                errors="surrogateescape",
                timeout=TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unreachable(f"podman does not run ({error})") from error

    def _unknown(self, reference: str, said: str) -> bool:
        """Return True where podman says that there is no such container; else raise what failed."""
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


class _Starts:
    """The lines of `podman events` as ids."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        self._program = program

    def __iter__(self) -> Iterator[str]:
        for line in self._program.stdout or ():
            yield line.strip()

    def cancel(self) -> None:
        """End the iteration, from any thread. Idempotent."""
        self._program.kill()
