"""What a workload looked up, and its sensors, as the agent tells it."""

from __future__ import annotations

from pyctl.model.sensors import Part, Pattern
from tests import packets

NAMES = {
    "workload": "web",
    "names": [
        {
            "interface": "eth0",
            "address": packets.world_ip4,
            "asked": "db.internal",
            "matched": "a.cdn.example",
            "groups": ["far"],
            "groups_more": 0,
            "resolver": packets.gateway_ip4,
            "learnt": 1000.0,
            "ttl": 300,
            "expires": 1420.0,
            "in_use": False,
            "is_hint": False,
        },
        {
            "interface": "eth0",
            "address": packets.world_ip6,
            "asked": "x.example",
            "matched": "x.example",
            "groups": ["far", "near"],
            "groups_more": 2,
            "resolver": packets.gateway_ip4,
            "learnt": 900.0,
            "ttl": 5,
            "expires": 1025.0,
            "in_use": True,
            "is_hint": True,
        },
    ],
    "complete": True,
    "counts": {
        "learnt": 3,
        "expired": 0,
        "evicted": 0,
        "no_question": 1,
        "wrong_resolver": 0,
        "malformed": 0,
        "truncated": 0,
    },
}
_ORDER = Pattern("order", "ORD-[0-9]{8}", Part.BODY, "high")
_DATA = {"name": "data", "setting": "drop", "show": False, "uses": []}
_SENSOR = {**_DATA, "patterns": [vars(_ORDER)]}
SENSORS = {"workload": "web", "enforced": False, "sensors": [_SENSOR]}
