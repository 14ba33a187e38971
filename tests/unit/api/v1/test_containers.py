"""Containers as the API tells them."""

from __future__ import annotations

from pyctl.agent.inventory import Listed, Standing
from pyctl.api.v1.containers import container_view
from pyctl.runtime.base import Container, Known


def test_one_that_does_not_run_has_no_pid():
    known = Known(Container("ab" * 32, "db", 0, "docker"), "exited")
    shown = container_view(Listed(known, Standing.LOST, "db", "it does not run"))
    assert (shown.id, shown.pid, shown.state) == ("ab" * 6, None, "lost")
