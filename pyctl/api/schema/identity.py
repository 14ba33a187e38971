"""What the API tells of addresses. In: values. Out: typed models. I/O: none."""

from __future__ import annotations

from ipaddress import ip_interface
from typing import Annotated

from pydantic import AfterValidator

from pyctl.api.schema.base import Response
from pyctl.model.workload import ClaimState


def _address(text: str) -> str:
    try:
        return str(ip_interface(text))
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no IP address, with or without a length"
        ) from error


Address = Annotated[str, AfterValidator(_address)]
"""`a.b.c.d/len` or `x::y/len`; without a length, one address."""


class ClaimView(Response):
    """An address that the workload gave itself."""

    address: str
    interface: str
    state: ClaimState
    reason: str
    """Empty: it is followed."""


class SharedAddress(Response):
    """An address that several workloads have: it may do what each of them may."""

    address: str
    workloads: list[str]
