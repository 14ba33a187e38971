"""Sets of patterns that come with segctl, by the names under which `use:` of a sensor takes them.

In, out: values. I/O: none.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyctl.model.sensors.sensor import Pattern

SHIPPED: Mapping[str, tuple[Pattern, ...]] = {}
