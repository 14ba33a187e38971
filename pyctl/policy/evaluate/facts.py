"""What rules ask of a flow besides its application, as a flow of which so much is known meets it.

In: rules, Facts. Out: whether a rule's conditions hold, and why not. I/O: none.
The engine's condition/sg_condition.c does the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyctl.model.policy import Action
from pyctl.policy.document.conditions.http import takes_path
from pyctl.policy.document.conditions.names import takes
from pyctl.policy.document.conditions.tls import VERSIONS
from pyctl.policy.document.types import Http, Rule, Tls


@dataclass(frozen=True)
class Facts:
    """What is known of a flow; None: it is not known."""

    sni: str | None = None
    """The name that the client sends, in lower case; "": it sends none."""
    alpn: tuple[str, ...] | None = None
    """The protocols that it offers."""
    version: str | None = None
    """The version of TLS that the server chooses."""
    method: str | None = None
    """Of a request of HTTP."""
    host: str | None = None
    """In lower case; "": it names none."""
    path: str | None = None
    """In one of its readings; "": it has none."""


NOTHING = Facts()
"""Nothing is known."""


def why_not_by(rule: Rule, facts: Facts) -> str | None:
    """Return why a flow of the rule's applications does not match it, "" if it does. None: it is not known."""
    found = [] if rule.tls is None else _tls(rule.tls, rule.action, facts)
    found += [] if rule.http is None else _http(rule.http, rule.action, facts)
    return next((why for why in found if why), None if None in found else "")


def _tls(tls: Tls, action: Action, facts: Facts) -> list[str | None]:
    return [
        _sni(tls.sni, facts.sni),
        _alpn(tls.alpn, facts.alpn, action),
        _version(tls.min_version, facts.version),
    ]


def _http(http: Http, action: Action, facts: Facts) -> list[str | None]:
    return [
        _method(http.methods, action, facts.method),
        _host(http.hosts, facts.host),
        _path(http, facts.path),
    ]


def _method(asked: tuple[str, ...], action: Action, method: str | None) -> str | None:
    if not asked and action is not Action.ALLOW:
        return ""
    if method is None:
        return None
    if method in asked or (not asked and method != "CONNECT"):
        return ""
    return f"its methods are {', '.join(asked) or 'all but CONNECT'}"


def _host(patterns: tuple[str, ...], host: str | None) -> str | None:
    if not patterns:
        return ""
    if host is None:
        return None
    if host and any(takes(one, host) for one in patterns):
        return ""
    return f"its hosts are {', '.join(patterns)}"


def _path(http: Http, path: str | None) -> str | None:
    if not http.paths:
        return ""
    if path is None:
        return None
    if path and any(takes_path(one, path) for one in http.paths):
        return ""
    return "the path is none of its own"


def _sni(patterns: tuple[str, ...], name: str | None) -> str | None:
    if not patterns:
        return ""
    if name is None:
        return None
    if name and any(takes(one, name) for one in patterns):
        return ""
    return f"its names are {', '.join(patterns)}"


def _alpn(
    asked: tuple[str, ...], offered: tuple[str, ...] | None, action: Action
) -> str | None:
    if not asked:
        return ""
    if offered is None:
        return None
    # Which of those offered the server chooses is not seen: what allows must name each.
    both = set(offered) & set(asked)
    if both and (action is not Action.ALLOW or both == set(offered)):
        return ""
    return f"its protocols are {', '.join(asked)}"


def _version(least: str | None, version: str | None) -> str | None:
    if least is None:
        return ""
    if version is None:
        return None
    return "" if VERSIONS[version] >= VERSIONS[least] else f"it begins with TLS {least}"
