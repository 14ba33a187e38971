"""Scripts where a value is expected. Pages are full of them, so that of bodies only fields of forms are looked at."""

from __future__ import annotations

from pyctl.model.sensors.parts import in_target_and_fields
from pyctl.model.sensors.sensor import Pattern

_TAG = r"<(?:script|iframe|object|embed|applet|meta|base|link)(?:[\s/>]|$)"
_HANDLER = r"""<[a-z][^>]*[\s/"'`]on[a-z]{3,24}[\s]*=\s*[^\s>]"""
_BROKEN_OUT = r"""["'`][\s/]*on(?:error|load|click|focus|blur|mouse\w{2,5}|pointer\w{2,5}|toggle|start|key\w{2,5})\s*=\s*\S"""
_ADDRESS = (
    r"(?:j\s*a\s*v\s*a|v\s*b)\s*s\s*c\s*r\s*i\s*p\s*t\s*(?::|&colon;|&#0*58;|&#x0*3a;)\s*"
    r"(?:[\w$.\[\]/*%]*[(`=]|//)"
)
_DATA = r"data:text/html[;,]"
_STYLE = r"<[a-z][^>]*\bstyle\s*=[^>]*(?:expression\s*\(|url\s*\(\s*['\"]?javascript:)"

_BEFORE = r"&?\"'\s:("

PATTERNS: tuple[Pattern, ...] = (
    *in_target_and_fields("tag", _TAG, "high"),
    *in_target_and_fields("handler", _HANDLER, "high"),
    *in_target_and_fields("broken-out", _BROKEN_OUT, "high"),
    *in_target_and_fields("style", _STYLE, "high"),
    *in_target_and_fields("address", _ADDRESS, "high", behind=_BEFORE),
    *in_target_and_fields("data", _DATA, "high", behind=_BEFORE),
)
