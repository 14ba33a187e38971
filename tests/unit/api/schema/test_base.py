"""Every body of the API refuses what is no text, and every answer takes it."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel, ValidationError

from pyctl.api.schema import history as schema_history
from pyctl.api.schema import impact as schema_impact
from pyctl.api.schema import learning as schema_learning
from pyctl.api.schema import workloads as schema
from pyctl.api.schema.base import Request, Response

MODULES = (schema, schema_history, schema_impact, schema_learning)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_no_body_goes_its_own_way(module):
    bodies = [
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, BaseModel)
    ]
    assert bodies
    assert all(issubclass(each, Request | Response) for each in bodies)


def test_an_answer_tells_names_of_any_bytes_as_escapes():
    told = schema.RulesResponse(
        workload="é\udcfe",
        datapath="ebpf",
        ports=[{"port_id": 1, "interface": "e\udcff", "rules": ["pref 1 \udcff"]}],
    )
    body = json.loads(told.model_dump_json())
    assert body["workload"] == "é\\xfe"
    assert body["ports"][0]["interface"] == "e\\xff"
    assert body["ports"][0]["rules"] == ["pref 1 \\xff"]


def test_a_request_with_half_a_character_is_refused():
    with pytest.raises(ValidationError, match="UTF-8"):
        schema.AttachRequest(pid=1, labels={"a": "\ud800"})
