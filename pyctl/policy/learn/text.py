"""What was learned, as a whole document: ready for review, and for `segctl policy apply`.

In: Learned and the text of the policy in force. Out: plain values, and YAML, a line for each group
and rule. I/O: none.

What the author wrote goes over as plain values, not as a parsed Policy: so whatever the language
can say is kept, only the layout and what stands behind a # are not.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

import yaml

from pyctl.policy.document.selectors import as_mapping
from pyctl.policy.document.types import API_VERSION
from pyctl.policy.document.yaml_text import load
from pyctl.policy.learn.rules import Learned, LearnedRule


def document(learned: Learned, text: str) -> dict[str, Any]:
    """Return the policy in force with the learned rules after its own."""
    found = load(text, "the policy in force") if text.strip() else {}
    body = dict(cast("Mapping[str, Any]", found or {}))
    made = {
        name: {"selector": as_mapping(one)} for name, one in learned.selectors.items()
    }
    nets = {
        name: {"cidrs": [_net(net) for net in nets]}
        for name, nets in learned.networks.items()
    }
    body["apiVersion"] = API_VERSION
    body["groups"] = {**(body.get("groups") or {}), **made, **nets}
    body["rules"] = [*(body.get("rules") or []), *map(_rule, learned.rules)]
    head = ("apiVersion", "groups", "modes", "options", "rules")
    return {
        key: body[key] for key in (*head, *(body.keys() - set(head))) if key in body
    }


def as_yaml(body: Mapping[str, Any], head: str) -> str:
    """Return the policy as YAML; `head`: sentences for the comment above it."""
    lines = [f"# {line}" for line in head.splitlines()]
    for key, value in body.items():
        if isinstance(value, dict) and value:
            lines.append(f"{_flow(key)}:")
            lines += [f"  {_flow(name)}: {_flow(one)}" for name, one in value.items()]
        elif isinstance(value, list) and value:
            lines.append(f"{_flow(key)}:")
            lines += [f"  - {_flow(one)}" for one in value]
        else:
            lines.append(f"{_flow(key)}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: object) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, width=2**20, allow_unicode=True
    )
    return text.removesuffix("...\n").strip()


def _net(net: Any) -> str:
    is_host = net.prefixlen == net.max_prefixlen
    return str(net.network_address if is_host else net)


def _rule(rule: LearnedRule) -> dict[str, Any]:
    last = time.strftime("%Y-%m-%d %H:%M", time.localtime(rule.seen.last))
    flows = "1 flow" if rule.seen.flows == 1 else f"{rule.seen.flows} flows"
    apps = {"apps": rule.apps} if rule.apps else {}
    return {
        "id": rule.id,
        "from": rule.source,
        "to": rule.target,
        "ports": rule.ports,
        **apps,
        "action": "allow",
        "comment": f"learned from {flows}, last {last}",
    }
