"""Brazil's CPF, both of whose check digits are right: with its points, or by its name."""

from __future__ import annotations

from pyctl.model.sensors.parts import in_parts
from pyctl.model.sensors.sensor import Confirm, Pattern

_PARTS = ("url", "body")

PATTERNS: tuple[Pattern, ...] = (
    *in_parts("cpf", r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b", _PARTS, "high", Confirm.BR_CPF),
    *in_parts(
        "cpf-digits",
        r"(?i)\bcpf\b[^\d\r\n]{0,24}\d{11}\b",
        _PARTS,
        "high",
        Confirm.BR_CPF,
    ),
)
"""One in a hundred numbers of eleven digits has the right ones, so that digits alone are told only behind their name."""
