"""How long the lab waits, and what it says when that was not enough.

SEGCTL_TEST_SLOWNESS is a factor, 1 where it is not set. scripts/vm sets it for emulated machines.
It stretches how long is waited for what must come, never what is expected.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

SLOWNESS = float(os.environ.get("SEGCTL_TEST_SLOWNESS", "1"))
Answer = TypeVar("Answer")


class LabError(Exception):
    """Something could not be done; the text says what, and why."""


class UnavailableError(LabError):
    """This host has not got what is needed; the text is the reason."""


def patient(seconds: float) -> float:
    """So many seconds of a machine that runs natively."""
    return seconds * SLOWNESS


def wait_for(
    what: Callable[[], Answer], seconds: float = 5.0, message: str = ""
) -> Answer:
    """Return the first true answer of `what`, asked every 5 ms; LabError at the deadline. A
    slow machine stretches both."""
    deadline = time.monotonic() + patient(seconds)
    while not (answer := what()):
        if time.monotonic() > deadline:
            raise LabError(message or f"not within {seconds} s: {what}")
        time.sleep(patient(0.005))
    return answer


def in_time(what: Callable[[], object], seconds: float = 10.0) -> bool:
    """Return whether `what` came true in time."""
    try:
        wait_for(what, seconds)
    except LabError:
        return False
    return True
