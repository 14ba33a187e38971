"""What the API says of a request that is not one."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pyctl.api.schema.workloads import AttachRequest
from pyctl.api.wrong import unforeseen, wrong


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("name", "-x", "'-x' is no name: 128 of a-z"),
        ("addresses", ["web"], "'web' is no IP address"),
        ("mode", "loud", "'loud' is none of 'discover'"),
        ("fail", "never", "'never' is none of 'auto'"),
        ("pid", 0, "0: it should be greater than 0"),
        ("colour", "red", "no such field"),
    ],
)
def test_it_says_what_is_wrong_in_its_own_words(field, value, told):
    with pytest.raises(ValidationError) as caught:
        AttachRequest(**{"pid": 1, field: value})
    (item,) = caught.value.errors()
    assert wrong(item).startswith(told)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("seg_flows4"), "KeyError: 'seg_flows4'. It may be half done"),
        (ZeroDivisionError(), "ZeroDivisionError. It may be half done"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device."),
    ],
)
def test_what_nobody_foresaw_is_told_in_full(error, told):
    said = unforeseen(error)
    assert str(said).startswith(told)
    assert said.errno == getattr(error, "errno", None)
