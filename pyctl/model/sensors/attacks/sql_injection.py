"""SQL where a value is expected: what closes the value and goes on as SQL. SQL alone is no injection."""

from __future__ import annotations

from pyctl.model.sensors.parts import in_target_and_fields
from pyctl.model.sensors.sensor import Pattern

_GAP = r"(?:\s|\+|/\*[^*]*\*+/)"
"""What separates words, comments among it."""
_QUOTE = r"""['"`]"""
_END = rf"(?:{_QUOTE}|\)|\b\d+){_GAP}*"
"""What ends a value."""
_LITERAL = rf"(?:\d+|{_QUOTE}[\w ]*{_QUOTE}?|true|false|null)"
_UNION = (
    rf"(?:{_END}|\*/){_GAP}*(?:/\*!\d*)?union(?:{_GAP}|/\*!\d*|\*/)+"
    rf"(?:(?:all|distinct)(?:{_GAP}|\()+)?(?:/\*!\d*)?\(?select\b"
)
_TAUTOLOGY = (
    rf"(?:{_QUOTE}[\s)]*|\b\d+[\s)]+){_GAP}*(?:or|and|xor|\|\||&&)(?:{_GAP}|\(|not\b)*{_LITERAL}[\s)]*"
    rf"(?:=|<>|!=|\blike\b|\bis\b){_GAP}*\(*{_LITERAL}"
)
_COMMENT = rf"\w{_QUOTE}[\s)]*(?:;{_GAP}*)?(?:--(?:[\s+-]|$|&)|#(?:$|[\s&]))"
_STACKED = (
    rf"{_END};{_GAP}*(?:(?:drop|alter|create|truncate){_GAP}+(?:table|database|user|view|procedure|schema|login)\b|"
    rf"insert{_GAP}+into\b|delete{_GAP}+from\b|update{_GAP}+[\w.]+{_GAP}+set\b|exec(?:ute)?{_GAP}+[\w.(@]|shutdown\b|"
    rf"declare{_GAP}+@|select{_GAP}+pg_sleep|copy{_GAP}+[\w(]+)"
)
_WAIT = (
    rf"(?:{_END}|\b(?:select|and|or|if|when|then)\b|[(,;|]){_GAP}*\(?"
    rf"(?:(?:pg_)?sleep{_GAP}*\({_GAP}*\d|benchmark{_GAP}*\({_GAP}*\d+{_GAP}*,|"
    rf"waitfor{_GAP}+delay{_GAP}+['\"]|dbms_pipe\.receive_message{_GAP}*\()"
)
_READ = (
    rf"{_END}.*(?:\bfrom{_GAP}+(?:information_schema\.|sysobjects\b|pg_catalog\.|sqlite_master\b|mysql\.user\b|"
    rf"all_tables\b)|\b(?:extractvalue|updatexml){_GAP}*\({_GAP}*\w+{_GAP}*,|\binto{_GAP}+(?:out|dump)file\b|"
    rf"\bxp_cmdshell\b|\bload_file{_GAP}*\({_GAP}*['\"])"
)
_PROBE = (
    rf"(?:{_QUOTE}[\s)]*{_GAP}*(?:order|group){_GAP}+by{_GAP}+\d+{_GAP}*(?:--|#|,|$)|"
    rf"{_QUOTE}{_GAP}+having{_GAP}+\d+{_GAP}*=\s*\d)"
)

PATTERNS: tuple[Pattern, ...] = (
    *in_target_and_fields("union", _UNION, "critical", json=True),
    *in_target_and_fields("tautology", _TAUTOLOGY, "critical", json=True),
    *in_target_and_fields("comment", _COMMENT, "high"),
    *in_target_and_fields("stacked", _STACKED, "critical", json=True),
    *in_target_and_fields("wait", _WAIT, "critical"),
    *in_target_and_fields("read", _READ, "critical"),
    *in_target_and_fields("probe", _PROBE, "high"),
)
