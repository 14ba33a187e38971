"""An agent that answers every route of api.schema with something plausible, and remembers.

Its answers are checked against the schema, so a client cannot be tested against another API.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyctl.api.schema import containers as schema_containers
from pyctl.api.schema import findings as schema_findings
from pyctl.api.schema import history as schema_history
from pyctl.api.schema import hits as schema_hits
from pyctl.api.schema import learning as schema_learning
from pyctl.api.schema import node
from pyctl.api.schema import question as schema_question
from pyctl.api.schema import revision as schema_revision
from pyctl.api.schema import workloads as schema
from pyctl.errors import NotFoundError, SegctlError
from pyctl.model.instance import Instance
from pyctl.model.threats import BY_NAME
from tests import packets
from tests.unit.fake_names import NAMES, SENSORS
from tests.unit.unix_http import serving

PORT = {
    "port_id": 7,
    "interface": "eth0",
    "kind": "veth",
    "vex": "vex1092-eth0",
    "vin": "vin1092-eth0",
    "vex_ifindex": 12,
    "vin_ifindex": 13,
    "mac": packets.pod_one_mac,
    "ucmac": "detour-mac",
    "host_mac": None,
    "mtu": 1500,
    "addresses": [f"{packets.pod_one_ip4}/24"],
}
HEAD = {
    "id": "0123456789ab",
    "name": "web",
    "state": "attached",
    "pid": 4242,
    "runtime": "docker",
    "image": "nginx:1",
    "labels": {"tier": "1", "app": "shop"},
    "uninspected": [],
    "datapath": "ebpf",
    "mode": "protect",
    "mode_source": "policy",
    "fail": "closed",
    "other_traffic": "auto",
    "any_source": False,
    "serves": [],
    "offload": "on",
    "addresses": [f"{packets.pod_one_ip4}/24", f"{packets.leased_ip4}/32"],
    "follow": "no",
    "shared": [{"address": packets.pod_one_ip4, "workloads": ["web", "db"]}],
    "claims": [
        {
            "address": f"{packets.pod_two_ip4}/32",
            "interface": "eth0",
            "state": "refused",
            "reason": "db has it",
        }
    ],
}
EVENT = {
    "time": 0.0,
    "kind": "denial",
    "message": "denied\x1b[31m",
    "workload": "web",
    "direction": "ingress",
    "protocol": "tcp",
    "source": f"{packets.world_ip4}:40000",
    "destination": f"{packets.pod_one_ip4}:80",
    "reason": "default_deny",
}
FLOW_MAP = {
    "entries": 2,
    "capacity": 1000,
    "evicted": 1,
    "refused": 3,
    "offload_misses": 5,
    "offload_missed_bytes": 500,
}
WORKLOAD = {**HEAD, "ports": [PORT]}
DETAIL = {
    **HEAD,
    "attach_mode": "discover",
    "forced_mode": None,
    "policy_mode": "protect",
    "groups": ["web"],
    "ports": [
        {
            **PORT,
            "generation": 3,
            "rules": 2,
            "counters": [
                {
                    "reason": "flow_allow",
                    "category": "pass",
                    "caption": "carried",
                    "packets": 10,
                    "bytes": 1000,
                }
            ],
        }
    ],
    "sessions": 4,
    "applications": {
        "sessions": {"Redis": 2, "TLS?": 1},
        "pending": 1,
        "decided": 2,
        "requests": 3,
    },
    "flow_map": FLOW_MAP,
    "denials": [EVENT],
}
STATUS = {
    "pid": 4711,
    "version": "0.1.0",
    "instance": "segctl",
    "uptime_s": 12.5,
    "log_level": "info",
    "abi": "abc",
    "datapath": "ebpf",
    "engine": {
        "state": "running",
        "pid": 4712,
        "heartbeat_age_ms": 40.0,
        "restarts": 1,
        "sessions": 4,
        "flow_map": FLOW_MAP,
        "ring_drops": 0,
        "pace": 20000,
    },
    "workloads": 1,
    "ports": 1,
    "policy_rules": 2,
    "history": {"recording": True, "why_not": None, "bytes": 1048576, "lost": 0},
    "warnings": [],
}
ATTACHED = {
    "workload": WORKLOAD,
    "plan": ["move eth0", "make eth0"],
    "warnings": ["eth1 has no address"],
    "already": False,
    "elapsed_ms": 31.2,
}
DETACHED = {"workloads": ["web"], "plan": ["back"], "warnings": [], "elapsed_ms": 9.0}
MODE = {
    "workload": "web",
    "before": "discover",
    "after": "protect",
    "source": "command",
    "plan": ["publish"],
    "warnings": ["not inspected: eth9: it is of kind macvtap"],
}
RULES = {
    "workload": "web",
    "datapath": "ebpf",
    "ports": [{"port_id": 7, "interface": "eth0", "rules": ["filter seg_from_vex"]}],
}
_LAND = {**vars(BY_NAME["land"]), "setting": "reset"}
THREATS = {"workload": "web", "enforced": False, "threats": [_LAND]}
POLICY = {"text": "# mine\n", "applied_at": 0.0, "groups": 1, "rules": 2}
APPLIED = {
    "changes": ["rule 1 is new"],
    "warnings": [],
    "groups": 1,
    "rules": 2,
    "ports": 1,
    "open_flows": {
        "looked_at": 20000,
        "complete": False,
        "newly_denied": 3,
        "newly_allowed": 1,
        "examples": [
            {
                "source": "web",
                "destination": "db",
                "service": "tcp/5432",
                "opens": False,
                "rule_id": 7,
                "flows": 3,
            },
            {
                "source": packets.world_ip4,
                "destination": "web",
                "service": "icmp",
                "opens": True,
                "rule_id": None,
                "flows": 1,
            },
        ],
    },
    "elapsed_ms": 2.0,
}
REVISION = {
    "number": 1,
    "time": 0.0,
    "author": "ann",
    "uid": 0,
    "comment": "for the shop",
    "sha256": "00",
    "rules": 2,
    "groups": 1,
    "in_force": False,
}
REVISIONS = {
    "revisions": [REVISION, {**REVISION, "number": 2, "sha256": "01", "in_force": True}]
}
CONTAINERS = {
    "containers": [
        {
            "id": "fedcba987654",
            "name": "proxy",
            "runtime": "docker",
            "status": "running",
            "pid": 77,
            "image": None,
            "state": "not-attached",
            "workload": None,
            "reason": "process 77 has the network namespace of the host",
        }
    ],
    "unreachable": ["unix:///run/podman/podman.sock: it does not exist"],
}
COUNTED = {"hits": 0, "last": None, "since": 5.0}
HITS = {
    "rules": [
        {
            **COUNTED,
            "id": 7,
            "action": "allow",
            "source": "web",
            "target": "db",
            "ports": ["tcp/5432", "tcp/80"],
            "apps": ["PostgreSQL"],
            "asks": "",
            "direction": "egress",
            "staged": False,
            "enabled": True,
            "hits": 12,
            "last": 9.0,
        },
        {
            **COUNTED,
            "id": 8,
            "action": "deny",
            "source": "any",
            "target": "db",
            "ports": ["any"],
            "apps": [],
            "asks": "tls sni a",
            "direction": None,
            "staged": True,
            "enabled": False,
        },
    ],
    "default": {"hits": 3, "last": 9.0, "since": 5.0},
    "recording": True,
}
ANSWER = {
    "source": packets.world_ip4,
    "target": packets.pod_one_ip4,
    "opens": False,
    "shared": [{"address": packets.world_ip4, "workloads": ["far", "near"]}],
    "ends": [
        {
            "direction": "ingress",
            "workload": "web",
            "mode": "protect",
            "says": "deny",
            "rules": [
                {"id": 1, "text": "allow a → b tcp/80", "why_not": "not in a"},
                {"id": 2, "text": "deny any → any any", "why_not": None},
            ],
            "passes": False,
            "verdict": "deny",
            "reason": "policy_deny",
            "reached": True,
            "rejects": False,
            "staged": None,
            "needs_app": False,
            "needs_tls": False,
            "needs_http": False,
        }
    ],
    "by_app": [],
}
LEARNED = {
    "text": "# learned\nrules: []\n",
    "document": {"apiVersion": "segctl/v1", "rules": []},
    "rules": 0,
    "flows": 0,
    "left_out": [
        {
            "why": "scan",
            "meaning": "from a scan",
            "flows": 30,
            "examples": ["client → web\x1b"],
        }
    ],
    "recording": True,
    "complete": True,
}
SIMULATED = {
    "flows": {"denied": 2, "allowed": 0, "uncertain": 1, "unchanged": 7},
    "monitored": 1,
    "examples": [
        {
            "change": "denied",
            "source": "web",
            "target": "db",
            "service": "tcp/5432",
            "flows": 2,
            "last": 0.0,
            "before": {"verdict": "allow", "rule_id": 7, "staged_rule_id": None},
            "after": {"verdict": "deny", "rule_id": None, "staged_rule_id": None},
            "why": None,
        },
        {
            "change": "uncertain",
            "source": "gone",
            "target": "db",
            "service": "tcp/5432",
            "flows": 1,
            "last": 0.0,
            "before": {"verdict": None, "rule_id": None, "staged_rule_id": None},
            "after": {"verdict": "violation", "rule_id": 8, "staged_rule_id": None},
            "why": "gone is not attached any more",
        },
    ],
    "staged": 3,
    "staged_examples": [
        {
            "change": "unchanged",
            "source": "web",
            "target": "app",
            "service": "tcp/80",
            "flows": 3,
            "last": 0.0,
            "before": {"verdict": "allow", "rule_id": 7, "staged_rule_id": None},
            "after": {"verdict": "allow", "rule_id": 7, "staged_rule_id": 9},
            "why": None,
        },
    ],
    "warnings": ["rules[0]: odd"],
    "recording": True,
    "complete": True,
    "elapsed_ms": 3.0,
}
EVENTS = {"events": [EVENT], "position": 3, "lost": 2}
FLOW = {
    "started": 0.0,
    "last": 1.0,
    "live": False,
    "direction": "ingress",
    "protocol": "tcp",
    "source": packets.world_ip6,
    "source_name": None,
    "source_port": 40000,
    "destination": packets.pod_one_ip6,
    "destination_name": "web",
    "looked_up": [],
    "destination_port": 80,
    "packets": 3,
    "bytes": 300,
    "packets_back": 2,
    "bytes_back": 700,
    "kernel_packets": 4,
    "kernel_bytes": 900,
    **dict.fromkeys(("app", "look")),
    "app_guessed": False,
    "shown": "",
    "verdict": "allow",
    "rule_id": 7,
    "reason": None,
    "flows": 1,
    "judged": [
        {
            "workload": "web",
            "direction": "ingress",
            "verdict": "allow",
            "rule_id": 7,
            "reason": None,
            "packets": 5,
            "bytes": 1000,
        }
    ],
}
FLOWS = {"flows": [FLOW], "position": 9, "recording": True, "complete": True}
LEVELS = {"before": "info", "after": "debug"}
STOPPED = {"pid": 4711, "detached": ["web"]}

ROUTES: dict[tuple[str, str], tuple[Any, Any, Any]] = {
    ("POST", "/attach"): (schema.AttachRequest, schema.AttachResponse, ATTACHED),
    ("POST", "/detach"): (schema.DetachRequest, schema.DetachResponse, DETACHED),
    ("GET", "/workloads"): (None, schema.WorkloadList, {"workloads": [WORKLOAD]}),
    ("GET", "/workloads/web"): (None, schema.WorkloadDetail, DETAIL),
    ("PUT", "/workloads/web/mode"): (schema.ModeRequest, schema.ModeResponse, MODE),
    ("GET", "/workloads/web/rules"): (None, schema.RulesResponse, RULES),
    ("GET", "/workloads/web/names"): (None, schema_findings.NameList, NAMES),
    ("GET", "/workloads/web/threats"): (None, schema_findings.ThreatList, THREATS),
    ("GET", "/workloads/web/sensors"): (None, schema_findings.SensorList, SENSORS),
    ("GET", "/workloads/0123456789ab/rules"): (None, schema.RulesResponse, RULES),
    ("GET", "/policy"): (None, schema.PolicyText, POLICY),
    ("PUT", "/policy"): (
        schema.PolicyApplyRequest,
        schema.PolicyApplyResponse,
        APPLIED,
    ),
    ("GET", "/policy/revisions"): (None, schema_revision.RevisionList, REVISIONS),
    ("GET", "/policy/revisions/1"): (
        None,
        schema_revision.RevisionText,
        {"number": 1, "text": "# former\n"},
    ),
    ("GET", "/containers"): (None, schema_containers.ContainerList, CONTAINERS),
    ("GET", "/policy/hits"): (None, schema_hits.PolicyHits, HITS),
    ("POST", "/policy/test"): (
        schema_question.PolicyQuestion,
        schema_question.PolicyAnswer,
        ANSWER,
    ),
    ("GET", "/policy/learned"): (None, schema_learning.Learned, LEARNED),
    ("POST", "/policy/simulate"): (
        schema_learning.SimulateRequest,
        schema_learning.Simulated,
        SIMULATED,
    ),
    ("GET", "/events"): (None, schema_history.EventPage, EVENTS),
    ("GET", "/flows"): (None, schema_history.FlowList, FLOWS),
    ("GET", "/status"): (None, node.Status, STATUS),
    ("PUT", "/log-level"): (node.LogLevelRequest, node.LogLevelResponse, LEVELS),
    ("POST", "/stop"): (node.StopRequest, node.StopResponse, STOPPED),
}


class FakeAgent:
    """`asked`: (method, path with query, body) of each request, in order."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.fails: SegctlError | None = None
        self.raw: tuple[int, bytes] | None = None
        self.changes: dict[str, Any] = {}
        """Put over every answer that has the key."""
        self.at_stop: Callable[[], None] = lambda: None

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        path = path.removeprefix(schema.PREFIX)
        self.asked.append((method, path, body))
        if path == "/stop":
            self.at_stop()
        if self.raw:
            return self.raw
        route = ROUTES.get((method, path.partition("?")[0]))
        error = self.fails or (NotFoundError(f"no {path}") if route is None else None)
        if error or route is None:
            told = schema.ErrorResponse(error=schema.ErrorBody.of(error))
            return schema.HTTP_STATUS[error.code], told.model_dump(mode="json")
        request, response, told = route
        if request:
            request.model_validate(body)
        told = {**told, **{k: v for k, v in self.changes.items() if k in told}}
        return 200, response.model_validate(told).model_dump(mode="json")


class HereInstance(Instance):
    """An instance whose run directory is a test's."""

    directory: Path

    @property
    def run_dir(self) -> Path:
        return self.directory


def instance_in(directory: Path) -> Instance:
    found = replace(HereInstance("test"))
    object.__setattr__(found, "directory", directory)
    return found


@contextmanager
def agent_at(instance: Instance):
    """A FakeAgent that answers at the instance's socket."""
    agent = FakeAgent()
    with serving(instance.api_socket, agent.answer):
        yield agent
