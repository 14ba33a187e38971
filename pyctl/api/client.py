"""Requests to the agent, with the standard library alone.

In: plain values. Out: the JSON answers of api.schema as plain dicts; failures as the SegctlError
that the agent raised. I/O: the unix socket Instance.api_socket.
No pydantic and no HTTP package: a command of the CLI must start at once.
"""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import quote, urlencode

from pyctl.errors import (
    BY_CODE,
    NotPermittedError,
    SegctlError,
    UnreachableError,
)
from pyctl.model.instance import Instance

PREFIX = "/v1"
TIMEOUT_S = 60.0
"""Seconds to wait for one answer."""
WHOLE_NODE_S = 900.0
"""Seconds to wait while every workload is detached: 0.06 s each with a thousand, on two cores."""

Answer = dict[str, Any]


class _UnixConnection(HTTPConnection):
    """An HTTP connection over an AF_UNIX socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("agent", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class AgentClient:
    """A client of one agent. Each method makes one request of api.schema and raises SegctlError: what the
    agent says, UnreachableError where none answers, NotPermittedError where the socket may not be opened.
    """

    def __init__(self, instance: Instance, timeout: float = TIMEOUT_S) -> None:
        self.instance = instance
        self.timeout = timeout

    def attach(self, **body: Any) -> Answer:
        """Attach a workload. Takes the fields of AttachRequest; returns AttachResponse."""
        return self.request("POST", "/attach", body)

    def detach(self, **body: Any) -> Answer:
        """Detach workloads. Takes the fields of DetachRequest; returns DetachResponse."""
        return self.request("POST", "/detach", body, whole_node=bool(body.get("all")))

    def workloads(self) -> Answer:
        """Return WorkloadList: what is attached, or lost."""
        return self.request("GET", "/workloads")

    def containers(self, host: str | None = None) -> Answer:
        """Return schema_containers.ContainerList; `host`: of the runtime at this URL alone."""
        query = _query(host=host)
        return self.request("GET", "/containers" + (f"?{query}" if query else ""))

    def workload(self, ref: str) -> Answer:
        """Return WorkloadDetail: one workload in full. `ref`: id, name, pid or container."""
        return self.request("GET", f"/workloads/{_path(ref)}")

    def set_mode(self, ref: str, mode: str, *, dry_run: bool = False) -> Answer:
        """Force the workload's mode and return ModeResponse; `auto` gives the choice back."""
        body = {"mode": mode, "dry_run": dry_run}
        return self.request("PUT", f"/workloads/{_path(ref)}/mode", body)

    def rules(self, ref: str) -> Answer:
        """Return RulesResponse: the kernel's rules for the workload's ports."""
        return self.request("GET", f"/workloads/{_path(ref)}/rules")

    def sensors(self, ref: str) -> Answer:
        """Return SensorList: what is done at hits of each sensor at the workload."""
        return self.request("GET", f"/workloads/{_path(ref)}/sensors")

    def threats(self, ref: str) -> Answer:
        """Return ThreatList: what is done at each threat at the workload."""
        return self.request("GET", f"/workloads/{_path(ref)}/threats")

    def policy(self) -> Answer:
        """Return PolicyText: the policy in force."""
        return self.request("GET", "/policy")

    def apply_policy(
        self, text: str, *, dry_run: bool = False, author: str = "", comment: str = ""
    ) -> Answer:
        """Apply a policy. Sends PolicyApplyRequest; returns PolicyApplyResponse."""
        body = {"text": text, "dry_run": dry_run, "author": author, "comment": comment}
        return self.request("PUT", "/policy", body)

    def policy_revisions(self) -> Answer:
        """Return RevisionList: the policies that were applied."""
        return self.request("GET", "/policy/revisions")

    def policy_revision(self, number: int) -> Answer:
        """Return RevisionText: one applied policy's text."""
        return self.request("GET", f"/policy/revisions/{number}")

    def names(self, ref: str) -> Answer:
        """Return schema_findings.NameList: the DNS names that a workload looked up."""
        return self.request("GET", f"/workloads/{_path(ref)}/names")

    def policy_hits(self) -> Answer:
        """Return schema_hits.PolicyHits: how often each rule decided."""
        return self.request("GET", "/policy/hits")

    def test_policy(
        self,
        source: str,
        target: str,
        port: str,
        text: str | None = None,
        **shown: str | list[str] | None,
    ) -> Answer:
        """Return PolicyAnswer: what becomes of a new connection. Sends PolicyQuestion; `shown` are its other fields."""
        body: dict[str, Any] = {"source": source, "target": target}
        body |= {"port": port, "text": text}
        body |= {key: one for key, one in shown.items() if one is not None}
        return self.request("POST", "/policy/test", body)

    def policy_learned(self, **which: Any) -> Answer:
        """Return schema_learning.Learned: the policy with learned rules; see the route's parameters."""
        query = _query(**which)
        return self.request("GET", "/policy/learned" + (f"?{query}" if query else ""))

    def simulate_policy(self, text: str, **how: Any) -> Answer:
        """Return schema_learning.Simulated: recorded flows under the policy. Sends SimulateRequest."""
        return self.request("POST", "/policy/simulate", {"text": text, **how})

    def flows(self, limit: int, **which: Any) -> Answer:
        """Return FlowList of the last `limit` flows; see the route's parameters."""
        return self.request("GET", "/flows?" + _query(limit=limit, **which))

    def events(self, limit: int, **which: Any) -> Answer:
        """Return EventPage of the last `limit` events; see the route's parameters."""
        return self.request("GET", "/events?" + _query(limit=limit, **which))

    def status(self) -> Answer:
        """Return Status: the state of agent and engine."""
        return self.request("GET", "/status")

    def set_log_level(self, level: str) -> Answer:
        """Set the log level of agent and engine; return LogLevelResponse."""
        return self.request("PUT", "/log-level", {"level": level})

    def stop(self, *, detach: bool = False) -> Answer:
        """Stop the agent and return StopResponse; the agent ends after it."""
        return self.request("POST", "/stop", {"detach": detach}, whole_node=detach)

    def request(
        self, method: str, path: str, body: object = None, *, whole_node: bool = False
    ) -> Answer:
        """Send one request under the prefix; return the answer's JSON object. A ^C during a change raises an
        error that says so: the agent goes on.
        """
        seconds = max(self.timeout, WHOLE_NODE_S) if whole_node else self.timeout
        connection = _UnixConnection(str(self.instance.api_socket), seconds)
        try:
            payload = None if body is None else json.dumps(body)
            headers = {"Content-Type": "application/json"} if payload else {}
            connection.request(method, PREFIX + path, payload, headers)
            response = connection.getresponse()
            return _answer(response, response.read())
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise UnreachableError(
                f"no agent answers at {self.instance.api_socket}",
                advice="start it with `segctl agent run`; `segctl attach` does so itself",
                errno=error.errno,
            ) from error
        except PermissionError as error:
            raise NotPermittedError(
                f"the agent's socket {self.instance.api_socket} may not be opened",
                advice="run the command as root",
                errno=error.errno,
            ) from error
        except KeyboardInterrupt as error:
            if method == "GET":
                raise
            raise SegctlError(
                "interrupted before the agent answered",
                state="the agent goes on with what was asked",
                advice="`segctl list` shows what is attached",
            ) from error
        except TimeoutError as error:
            raise UnreachableError(
                f"the agent did not answer within {seconds:g} s",
                state="what was asked may still be done",
                advice=f"see {self.instance.log_file} and `segctl list`",
            ) from error
        except (OSError, HTTPException) as error:
            raise UnreachableError(
                f"the agent broke off: {error or type(error).__name__}",
                state="what was asked may be done or not",
                advice=f"see {self.instance.log_file} and `segctl list`",
            ) from error
        finally:
            connection.close()


def _path(ref: str) -> str:
    """Return a name quoted as a part of a path; argument bytes that are not UTF-8 are kept."""
    return quote(ref, safe="", errors="surrogateescape")


def _query(**given: Any) -> str:
    """Return a query string of what is not None, with sequences as repeated parameters."""
    said = {key: value for key, value in given.items() if value is not None}
    return urlencode(said, doseq=True, errors="surrogateescape")


def _answer(response: HTTPResponse, content: bytes) -> Answer:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and response.status < 400:
        return answer
    told = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(told, dict) or "tried" not in told:
        raise SegctlError(
            f"the agent answered HTTP {response.status} without saying why",
            advice="is it of another version? `segctl agent stop`, then try again",
        )
    raise BY_CODE.get(str(told.get("code")), SegctlError)(
        str(told["tried"]),
        state=str(told.get("state", "")),
        advice=str(told.get("advice", "")),
    )
