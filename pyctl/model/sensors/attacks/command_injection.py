"""Commands of a shell where a value is expected."""

from __future__ import annotations

from pyctl.model.sensors.parts import in_target_and_fields
from pyctl.model.sensors.sensor import Pattern

_GAP = r"(?:\s|\+|\$\{?IFS\}?|\{|,)"
_THEN = r"(?:[;|`\n]|&&|\|\||\$\()"
"""What ends one command and begins another."""
_PATH = r"(?:/?(?:usr/)?s?bin/)?"
_WITH_ARGUMENTS = (
    rf"(?:cat|less|head|tail|rm|chmod|chown|touch|echo|ping|sleep|sh|bash|dash|zsh|nc|ncat|telnet|tftp|dig|host|find|"
    rf"python[23]?|perl|ruby|php|type|dir|net|nslookup|kill|ls|base64|awk|sed|tee|env|cp|mv|wget|curl){_GAP}+"
    rf"(?:-[\w-]|[/.~$'\"*]|\d{{1,5}}\b|\w+\.\w|\w+[:/\\@]|user\b)"
)
_ALONE = (
    r"(?:(?:whoami|ifconfig|ipconfig|uname|hostname|printenv|netstat|systeminfo|wget|curl)\b"
    r"(?:\s|$|[;|&`)#<>+])|(?:id|ls|pwd|ps|env)\s*(?:[;|`)#<>]|&&|$))"
)
_TELLS = r"(?:whoami|ifconfig|ipconfig|uname|printenv|netstat)"
"""Words that a list with semicolons or bars has for no other reason."""

PATTERNS: tuple[Pattern, ...] = (
    *in_target_and_fields(
        "arguments", rf"{_THEN}{_GAP}*{_PATH}{_WITH_ARGUMENTS}", "critical"
    ),
    *in_target_and_fields(
        "alone",
        rf"(?:(?:`|\$\(|[;|]\s+|&&\s*){_PATH}{_ALONE}|[;|]{_PATH}{_TELLS}\b)",
        "critical",
    ),
    *in_target_and_fields(
        "shell",
        r"(?:/(?:usr/)?bin/(?:ba|da|z|k|c)?sh\b|/dev/(?:tc|ud)p/[\w.]+/\d)",
        "critical",
        behind=r";|&`(\s>",
    ),
    *in_target_and_fields("separator", r"\w\$\{?IFS\b", "critical"),
    *in_target_and_fields(
        "powershell",
        r"\bpowershell(?:\.exe)?[\s+]+[-/](?:e|en|enc\w*|nop\w*|w\w*|c|command)[\s+]",
        "critical",
    ),
    *in_target_and_fields(
        "cmd", r"\s*cmd(?:\.exe)?[\s+]*/[ck][\s+]", "critical", behind=r";&|/\\"
    ),
)
