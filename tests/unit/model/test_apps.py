"""The agent's names of applications and the engine's numbers are one table."""

from __future__ import annotations

from pyctl.engine._binding import ffi
from pyctl.model import apps


def test_each_application_has_the_engine_s_number():
    told = dict(ffi.typeof("enum sg_app").relements)
    numbers = {
        name.removeprefix("SG_APP_").lower(): number
        for name, number in told.items()
        if name not in {"SG_APP_NONE", "SG_APP_UNKNOWN"}
    }
    assert numbers == {name.lower(): number for name, number in apps.NUMBERS.items()}
    assert told["SG_APP_UNKNOWN"] == apps.UNKNOWN


def test_a_name_is_found_whatever_its_case_and_a_set_has_what_it_contains():
    assert apps.spelled("postgresql") == "PostgreSQL"
    assert apps.spelled("gopher") is None
    assert apps.app_bits(["TLS"]) == 1 << 5 | 1 << 6
    assert (apps.app_name(5), apps.app_name(0), apps.app_name(63)) == (
        "TLS",
        None,
        "unknown",
    )
