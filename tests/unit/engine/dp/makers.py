"""Messages of the dp protocol for tests: a right one of each, to be changed."""

from __future__ import annotations

import json
from typing import Any

from pyctl.engine.dp.messages import Message, parse
from tests import packets

ALLOW, DENY = 2, 7


def datagram(name: str, body: object) -> bytes:
    return json.dumps({name: body}).encode()


def message(name: str, /, **fields: Any) -> Message:
    """The right message of that name with these fields changed."""
    return parse(datagram(name, {**RIGHT[name], **fields}))


def rule(**fields: Any) -> dict[str, Any]:
    """An inbound rule for one address and port, changed."""
    return {
        "id": 5,
        "sip": packets.pod_two_ip4,
        "dip": packets.pod_one_ip4,
        "port": 80,
        "portr": 80,
        "proto": 6,
        "action": ALLOW,
        "ingress": True,
        **fields,
    }


def subnet(
    ip: str = packets.pod_one_ip4, mask: str = packets.seed_mask
) -> dict[str, str]:
    return {"ip": ip, "mask": mask}


RIGHT: dict[str, dict[str, Any]] = {
    "ctrl_keep_alive": {"seq_num": 7},
    "ctrl_add_srvc_port": {"iface": "vth", "jumboframe": False},
    "ctrl_del_srvc_port": {"iface": "vth"},
    "ctrl_cfg_internal_net": {"flag": 3, "subnet_addr": [subnet()]},
    "ctrl_add_mac": {
        "iface": "vth",
        "mac": packets.seed_two_mac,
        "ucmac": packets.seed_two_ucmac,
        "bcmac": packets.seed_bcmac,
        "oldmac": "",
        "pmac": "",
        "pips": None,
    },
    "ctrl_del_mac": {"iface": "vth", "mac": packets.seed_two_mac},
    "ctrl_cfg_mac": {"macs": [packets.seed_two_mac], "tap": False},
    "ctrl_cfg_policy": {
        "cmd": 1,
        "flag": 3,
        "defact": DENY,
        "dir": 3,
        "mac": [packets.seed_two_mac],
        "rules": [rule()],
    },
    "ctrl_count_session": {},
    "ctrl_list_session": {},
    "ctrl_counter_device": {},
    "ctrl_set_debug": {"categories": ["ctrl"]},
    "ctrl_get_debug": {},
}
"""The three around the endpoint are the documents' own."""
