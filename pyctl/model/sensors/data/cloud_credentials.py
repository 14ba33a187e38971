"""Credentials of clouds and services that say what they are. A name without its secret, or a sample's, is none."""

from __future__ import annotations

from pyctl.model.sensors.parts import in_parts
from pyctl.model.sensors.sensor import Part, Pattern

_IS = r"""["']?\s*[:=]\s*["']?"""
_SECRETS = (
    (
        "aws-secret",
        rf"(?i)\b(?:aws_?)?secret_?access_?key{_IS}[a-z0-9/+]{{40}}(?:[^a-z0-9/+=]|$)",
    ),
    ("azure-storage", r"\bAccountKey=[A-Za-z0-9+/]{86}=="),
    ("azure-client", r"\b[A-Za-z0-9_~.]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}(?:[^\w~.-]|$)"),
    ("gcp-account", r'"private_key_id"\s*:\s*"[0-9a-f]{40}"'),
    ("vault", r"\bhvs\.[A-Za-z0-9_-]{90}"),
)
_TOKENS = (
    ("gcp-api-key", r"\bAIza[0-9A-Za-z_-]{35}(?:[^0-9A-Za-z_-]|$)"),
    (
        "github",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b",
    ),
    ("gitlab", r"\bglpat-[A-Za-z0-9_-]{20}(?:[^\w-]|$)"),
    ("slack", r"\bxox[abprs]-\d{10,13}-\d{10,13}-[A-Za-z0-9-]{24}"),
    ("stripe", r"\b[rs]k_live_[0-9A-Za-z]{24}"),
    ("digitalocean", r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    ("npm", r"\bnpm_[A-Za-z0-9]{36}\b"),
)

PATTERNS: tuple[Pattern, ...] = (
    *(Pattern(name, regex, Part.BODY, "critical") for name, regex in _SECRETS),
    *(
        one
        for name, regex in _TOKENS
        for one in in_parts(name, regex, ("url", "body"), "critical")
    ),
    Pattern("aws-key-id", r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b", Part.BODY, "high"),
)
"""An AWS key's id is in each signed request's header or target, which is where it belongs: only bodies are looked at."""
