"""What is asked of history is checked as it comes in."""

from __future__ import annotations

import pytest

from pyctl.api.schema.history import app_named


def test_an_application_is_named_in_any_case_and_one_without_a_name_is_refused():
    assert app_named("postgresql") == "PostgreSQL"
    assert app_named("Unknown") == "unknown"
    with pytest.raises(ValueError, match="gopher is no application; known are HTTP,"):
        app_named("gopher")
