"""A policy in the place of another: on every workload, or on none.

In: a parsed policy. Out: it holds from the next packet on, or the former one does everywhere.
I/O: the store; engine and drivers, through the steering.

The text is stored first, because what holds must hold after a restart too: an agent that is killed
between the two steps puts the stored policy in force when it starts. The engine takes a policy whole,
between two packets; where a driver refuses after that, the engine is given the former one back, and
what it let pass in between was allowed by one whole policy.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from pyctl.controller.context import Context
from pyctl.errors import SegctlError
from pyctl.policy.document.types import Policy
from pyctl.telemetry.events import Event

_log = structlog.get_logger()


def commit_policy(context: Context, policy: Policy) -> None:
    """The caller holds the agent's lock. On any failure the former policy is put back, and the
    failure raised; it says so where even that did not succeed.
    """
    before = context.policy
    try:
        context.store.save_policy(policy.text)
        context.policy = policy
        context.refresh()
    except Exception as error:
        context.policy = before
        left = _put_back(context, before)
        told = f"the policy was not applied: {_tried(error)}"
        context.happened(Event("policy", f"{told}; {left}"))
        raise SegctlError(
            told,
            state=left,
            advice=getattr(error, "advice", ""),
            errno=getattr(error, "errno", None),
        ) from error
    context.happened(Event("policy", f"policy applied, rules: {len(policy.rules)}"))


def _put_back(context: Context, before: Policy) -> str:
    """Each by itself: a full disk must not keep the engine from getting its rules back."""
    failed = []
    steps: dict[str, Callable[[], object]] = {
        "stored": lambda: _store_again(context, before),
        "in force on every port": context.refresh,
    }
    for what, step in steps.items():
        try:
            step()
        except Exception as error:  # noqa: BLE001  see above
            _log.exception("putting the former policy back")
            failed.append(f"it is not {what} again ({_tried(error)})")
    if not failed:
        return "the former one is in force everywhere"
    return f"the former one is to hold, but {', and '.join(failed)}"


def _store_again(context: Context, before: Policy) -> None:
    # Where the disk refused the new one, the former one is there still.
    if context.store.policy()[0] != before.text:
        context.store.save_policy(before.text)


def _tried(error: Exception) -> str:
    return error.tried if isinstance(error, SegctlError) else str(error) or repr(error)
