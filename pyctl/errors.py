"""Every error that segctl reports, each with the exit code of the CLI contract.

SegctlError            1  it was tried and failed
├─ UsageError          2  the request makes no sense as it stands
├─ NotFoundError       3  no such process, container, workload, map
├─ NotPermittedError   4  privilege is missing
├─ NotCapableError     4  this kernel or host lacks something; doctor names it
├─ RefusedError        1  it would break the workload, so nothing was touched
└─ UnreachableError    1  the agent or the engine does not answer
"""

from __future__ import annotations


class SegctlError(Exception):
    """A failure told to the user in full: what was tried, what is left, what to do.

    The parts are given as clauses without a capital or a full stop; `str` makes sentences of them,
    of which the first goes on after "segctl: ".
    """

    exit_code = 1
    code = "failed"
    """The stable word for it in the API's JSON."""

    def __init__(
        self, tried: str, *, state: str = "", advice: str = "", errno: int | None = None
    ) -> None:
        super().__init__(tried)
        self.tried = tried
        self.state = state
        self.advice = advice
        self.errno = errno

    def __str__(self) -> str:
        parts = (self.tried, _sentence(self.state), _sentence(self.advice))
        return ". ".join(part.rstrip(".") for part in parts if part) + "."


class UsageError(SegctlError):
    """A request that is wrong in itself."""

    exit_code = 2
    code = "usage"


class NotFoundError(SegctlError):
    """A named thing that does not exist (any more)."""

    exit_code = 3
    code = "not-found"


class NotPermittedError(SegctlError):
    """A caller that lacks the privilege."""

    exit_code = 4
    code = "not-permitted"


class NotCapableError(SegctlError):
    """A capability that the kernel or the host lacks."""

    exit_code = 4
    code = "not-capable"


class RefusedError(SegctlError):
    """A refusal to go on, which would break the workload; it was left as it was."""

    code = "refused"


class UnreachableError(SegctlError):
    """A process that does not answer."""

    code = "unreachable"


def _sentence(part: str) -> str:
    """Return the clause with a capital, unless it starts with a name (eth0, seg_gens, `segctl list`)."""
    first, _, _ = part.partition(" ")
    return part[0].upper() + part[1:] if first.isalpha() else part


ALL = (
    SegctlError,
    UsageError,
    NotFoundError,
    NotPermittedError,
    NotCapableError,
    RefusedError,
    UnreachableError,
)
BY_CODE = {cls.code: cls for cls in ALL}
