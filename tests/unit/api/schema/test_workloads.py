"""The schema: what a request may say, and which HTTP status an error has."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pyctl.api import client
from pyctl.api.schema import workloads as schema
from pyctl.api.schema.learning import SimulateRequest
from pyctl.api.schema.node import LogLevelRequest
from pyctl.api.schema.question import PolicyQuestion
from pyctl.errors import ALL, BY_CODE, RefusedError


def test_every_error_code_has_a_status():
    assert set(schema.HTTP_STATUS) == set(BY_CODE)
    assert len(BY_CODE) == len(ALL)


@pytest.mark.parametrize(
    ("request_type", "body"),
    [
        (schema.AttachRequest, {}),
        (schema.AttachRequest, {"pid": 1, "container": "a"}),
        (schema.AttachRequest, {"pid": 0}),
        (schema.AttachRequest, {"pid": 1, "mode": "quarantine"}),
        (schema.AttachRequest, {"pid": 1, "labls": {}}),
        (schema.DetachRequest, {}),
        (schema.DetachRequest, {"pid": 1, "all": True}),
        (schema.AttachRequest, {"pid": 1, "labels": {"a": "\udcff"}}),
        (schema.AttachRequest, {"pid": 1, "labels": {"\udcff": "a"}}),
        (PolicyQuestion, {"source": "a", "target": "\ud800", "port": "icmp"}),
        (SimulateRequest, {"text": "\udcff"}),
        (schema.ModeRequest, {"mode": "off"}),
        (LogLevelRequest, {"level": "loud"}),
    ],
)
def test_what_makes_no_sense_is_refused(request_type, body):
    with pytest.raises(ValidationError):
        request_type.model_validate(body)


def test_an_error_keeps_its_three_parts():
    body = schema.ErrorBody.of(RefusedError("t", state="s", advice="a"))
    assert body.model_dump() == {
        "code": "refused",
        "tried": "t",
        "state": "s",
        "advice": "a",
    }


def test_client_and_schema_agree_on_the_prefix():
    assert client.PREFIX == schema.PREFIX
