"""Private keys as programs write them. A key's name without the key is none."""

from __future__ import annotations

from pyctl.model.sensors.sensor import Part, Pattern

_LINE_END = r"(?:\s|\\r|\\n)+"
"""As it is, and as JSON and YAML escape it."""
_PEM = (
    r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,2}PRIVATE KEY-----"
    rf"{_LINE_END}(?:(?:Proc-Type|DEK-Info): [\w,.-]+{_LINE_END}){{0,2}}[A-Za-z0-9+/]{{16}}"
)
_PGP = (
    r"-----BEGIN PGP PRIVATE KEY BLOCK-----"
    rf"(?:{_LINE_END}[A-Z][a-z]{{2,12}}: [^\r\n\\]{{1,120}}){{0,4}}{_LINE_END}[A-Za-z0-9+/]{{16}}"
)
_JWK = r'"kty"\s*:\s*"(?:RSA|EC|OKP|oct)"[^{}]*"[dk]"\s*:\s*"[A-Za-z0-9_-]{20}'
_JWK_TURNED = r'"d"\s*:\s*"[A-Za-z0-9_-]{20,}"[^{}]*"kty"\s*:\s*"(?:RSA|EC|OKP)"'

PATTERNS: tuple[Pattern, ...] = tuple(
    Pattern(name, regex, Part.BODY, "critical")
    for name, regex in (
        ("pem", _PEM),
        ("pgp", _PGP),
        ("putty", r"PuTTY-User-Key-File-[23]: (?:ssh|ecdsa)-[a-z0-9-]+\s+Encryption: "),
        ("jwk", _JWK),
        ("jwk-turned", _JWK_TURNED),
        ("wireguard", r"\bPrivateKey\s*=\s*[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="),
        ("age", r"\bAGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}\b"),
    )
)
