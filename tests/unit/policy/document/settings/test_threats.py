"""`threats:` of a policy."""

from __future__ import annotations

import pytest

from pyctl.errors import UsageError
from pyctl.model.threats import ThreatAction
from pyctl.policy.document.parse import parse

HEAD = "apiVersion: segctl/v1\ngroups: {web: {selector: {name: web}}}\nthreats: "


def test_off_is_yamls_false_and_what_is_not_named_has_no_setting():
    found = parse(HEAD + "{web: {land: off, ssl: reset}}").threats
    assert found == {"web": {"land": ThreatAction.OFF, "ssl": ThreatAction.RESET}}


def test_an_action_that_is_none_is_told():
    with pytest.raises(UsageError, match=r"threats\.web\.land: must be one of off"):
        parse(HEAD + "{web: {land: deny}}")
