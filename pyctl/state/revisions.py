"""The policies that were applied, newest last: what each said, when, by whom, and why.

In: texts. Out: revisions, kept across restarts. I/O: two files for each in Instance.state_dir/policies, the
text as it was written and its facts; beyond KEPT the oldest are deleted. The text is written last: a revision
without one was never there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pyctl.errors import NotFoundError
from pyctl.model.instance import Instance
from pyctl.state.store import disk_errors, read_any, write_atomically

KEPT = 100
UNTOLD = "found in force: the agent that applied it ended before it could say so here"
"""The comment on a policy that was stored (the first step) but not added as a revision (the last step)."""


@dataclass(frozen=True)
class Revision:
    """The facts of one applied policy, without its text."""

    number: int
    """The number, from 1 on; none is used twice."""
    time: float
    """Seconds since the epoch."""
    author: str
    """The author that the client named; empty: none."""
    comment: str
    sha256: str
    """The SHA-256 of the text, in hex."""
    rules: int
    groups: int
    uid: int | None = None
    """The uid of the process that applied it, from the kernel; None: not known."""


def fingerprint(text: str) -> str:
    """Return the SHA-256 of a policy's text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


class Revisions:
    """The revisions of one instance. Methods raise SegctlError where the disk refuses."""

    def __init__(self, instance: Instance) -> None:
        self._directory = instance.state_dir / "policies"

    def _text_file(self, number: int) -> Path:
        return self._directory / f"{number}.yaml"

    def _facts_file(self, number: int) -> Path:
        return self._directory / f"{number}.json"

    def numbers(self) -> list[int]:
        """Return the numbers of the revisions, ascending."""
        stems = (path.stem for path in self._directory.glob("*.yaml"))
        return sorted(int(stem) for stem in stems if stem.isdigit())

    def add(
        self,
        text: str,
        *,
        time: float,
        author: str,
        comment: str,
        rules: int,
        groups: int,
        uid: int | None = None,
    ) -> Revision:
        """Remember one more revision; the oldest beyond KEPT are deleted."""
        numbers = self.numbers()
        number = numbers[-1] + 1 if numbers else 1
        facts = (author, comment, fingerprint(text), rules, groups, uid)
        made = Revision(number, time, *facts)
        with disk_errors("remembering the policy as a revision"):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._facts_file(number), json.dumps(asdict(made)))
            write_atomically(self._text_file(number), text)
            for old in numbers[: len(numbers) + 1 - KEPT]:
                self._text_file(old).unlink(missing_ok=True)
                self._facts_file(old).unlink(missing_ok=True)
        return made

    def all(self) -> list[Revision]:
        """Return the revisions, newest last; one whose facts cannot be read is left out."""
        found = []
        for number in self.numbers():
            with contextlib.suppress(OSError, ValueError, TypeError):
                raw = json.loads(self._facts_file(number).read_text())
                found.append(Revision(**raw))
        return found

    def tells(self, text: str) -> bool:
        """Return whether one of the revisions is this text."""
        return fingerprint(text) in {one.sha256 for one in self.all()}

    def text(self, number: int) -> str:
        """Return a revision's text; raise NotFoundError for a number that is not kept."""
        try:
            return read_any(self._text_file(number))
        except FileNotFoundError as error:
            raise NotFoundError(
                f"there is no revision {number} of the policy",
                advice="`segctl policy log` lists those that are kept",
            ) from error
