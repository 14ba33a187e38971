"""A policy in the place of another: on every workload, or on none.

In: a parsed policy. Out: it holds from the next packet on, or the former one does everywhere.
I/O: the store; engine and drivers, in commit_order's order.

The text is stored first, because the policy must survive a restart: an agent that is killed between the two
steps applies the stored policy when it starts. The engine takes a policy whole, between two packets. If a
driver refuses after that, the engine gets the former policy back; what it let pass in between was allowed by
one whole policy.
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
    """Apply a policy to every workload, or to none. On any failure the former policy is applied again and
    SegctlError raised, whose `state` says if that failed too. The controller's loop calls it.
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
    """Apply the former policy again; each step runs even if another fails (a full disk, for example)."""
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
    # If the disk refused the new policy, the former one is still there.
    if context.store.policy()[0] != before.text:
        context.store.save_policy(before.text)


def _tried(error: Exception) -> str:
    return error.tried if isinstance(error, SegctlError) else str(error) or repr(error)
