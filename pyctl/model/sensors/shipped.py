"""Sets of patterns that come with segctl, by the names under which `use:` of a sensor takes them.

In, out: values. I/O: none.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyctl.model.sensors.attacks import (
    command_injection,
    log4shell,
    path_traversal,
    shellshock,
    sql_injection,
    xss,
)
from pyctl.model.sensors.data import (
    cloud_credentials,
    iban,
    national_id_br,
    national_id_es,
    national_id_us,
    payment_cards,
    private_keys,
)
from pyctl.model.sensors.sensor import Pattern

SHIPPED: Mapping[str, tuple[Pattern, ...]] = {
    "payment_cards": payment_cards.PATTERNS,
    "iban": iban.PATTERNS,
    "private_keys": private_keys.PATTERNS,
    "cloud_credentials": cloud_credentials.PATTERNS,
    "national_id_us": national_id_us.PATTERNS,
    "national_id_es": national_id_es.PATTERNS,
    "national_id_br": national_id_br.PATTERNS,
    "sql_injection": sql_injection.PATTERNS,
    "path_traversal": path_traversal.PATTERNS,
    "command_injection": command_injection.PATTERNS,
    "log4shell": log4shell.PATTERNS,
    "shellshock": shellshock.PATTERNS,
    "xss": xss.PATTERNS,
}
