"""Metrics in Prometheus' text format: at /metrics of the API's socket, and on TCP where asked for.

In: an Agent. Out: samples, made at the moment of a scrape. I/O: the agent's, and a TCP listener.
Every label is bounded: workloads and interfaces by what is attached, reasons and modes by lists of
ours, as applications, rules by the policy in force and MOST_RULES; addresses and ports are no labels. Who may connect to the TCP address reads all of it.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import (
    CONTENT_TYPE_LATEST,
    choose_encoder,
    generate_latest,
)
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from pyctl.agent.agent import Agent
from pyctl.api.scrape import Page, ScrapeServer
from pyctl.api.v1.views import counter_rows
from pyctl.controller.view import View
from pyctl.errors import SegctlError
from pyctl.model.apps import NUMBERS, UNKNOWN_NAME
from pyctl.model.text import harmless
from pyctl.model.workload import Mode
from pyctl.policy.document.identity import rule_key
from pyctl.policy.document.types import Rule
from pyctl.telemetry.history.hits import DEFAULT, Hits

ENGINE_COUNTERS = {
    "frames": "Frames read from the packet rings.",
    "bytes": "Bytes read from the packet rings.",
    "sent": "Frames sent on.",
    "send_failed": "Frames that could not be sent on.",
    "truncated": "Frames that came in part.",
    "flows_put": "Verdicts handed to the kernel.",
    "flows_refused": "Verdicts that the kernel's flow map had no room for.",
}
"""Fields of struct sg_engine_stats."""
MOST_RULES = 1000
"""Rules of a policy that get a series each; for larger policies there is `segctl policy hits`."""
NAME_COUNTERS = {
    "learnt": "Addresses that DNS answers told, repeats among them.",
    "expired": "Addresses whose TTL and grace were over.",
    "evicted": "Addresses, or questions, that made room for others.",
    "no_question": "DNS answers that nobody waited for.",
    "wrong_resolver": "DNS answers of a resolver that no rule allows.",
    "malformed": "DNS messages that could not be read.",
    "truncated": "DNS answers that are cut off.",
}
"""Fields of struct sg_name_counts."""
FLOW_MAP_COUNTERS = {
    "evictions": ("flows_evicted", "Entries taken out while their flow went on."),
    "insert_failures": (
        "flows_refused",
        "Verdicts that there was no room for: their flow stays with the engine.",
    ),
    "offload_misses": (
        "flows_offload_misses",
        "Packets of allowed flows that reached the engine after its verdict was in the kernel.",
    ),
    "offload_missed_bytes": ("flows_offload_missed_bytes", "Bytes of these packets."),
}
"""Name → the field of struct sg_engine_stats, and what it is."""


class AgentCollector(Collector):
    """Collects metrics from agent, kernel and engine at each scrape."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def collect(self) -> Iterator[Metric]:
        """Yield all metric families."""
        view = self._agent.view
        yield InfoMetricFamily(
            "segctl_build", "The agent.", value={"version": version("segctl")}
        )
        yield from self._packets(view)
        yield from self._workloads(view)
        engines = self._agent.engines
        rows = engines.status()["workers"]
        whole = all(row["state"] == "running" for row in rows)
        yield from engine_metrics(engines.stats(), carries=whole)
        yield from worker_metrics(rows)
        yield CounterMetricFamily(
            "segctl_engine_restarts",
            "Engines replaced because they were gone or hung.",
            value=self._agent.engines.restarts,
        )
        yield from name_metrics(engines.name_counts([0]))
        yield from app_metrics(self._agent.collector.ended)
        yield from threat_metrics(view, self._agent.collector.threats)
        yield from sensor_metrics(view, self._agent.collector.sensors)
        yield from self._history()
        yield from rule_metrics(view.policy.rules, self._agent.reader.stored_hits())

    def _packets(self, view: View) -> Iterator[Metric]:
        labels = ["workload", "port", "category", "reason"]
        packets = CounterMetricFamily(
            "segctl_packets", "Packets by what became of them and why.", labels=labels
        )
        size = CounterMetricFamily(
            "segctl_bytes", "Bytes of these packets.", labels=labels
        )
        agent = self._agent
        sums: dict[tuple[str, ...], tuple[int, int]] = {}
        for workload in view.workloads():
            for port in workload.ports:
                try:
                    kernel = agent.driver_of(workload).counters(port.port_id)
                except (SegctlError, OSError):
                    continue  # It was detached meanwhile.
                engine = agent.engines.counters(port.port_id)
                for row in counter_rows(kernel, engine):
                    words = workload.name, port.interface, row.category, row.reason
                    of = tuple(harmless(word) for word in words)
                    # Different names may be equal once made harmless: each series must appear once.
                    had = sums.get(of, (0, 0))
                    sums[of] = had[0] + row.packets, had[1] + row.bytes
        for labels_of, (number, octets) in sums.items():
            packets.add_metric(labels_of, number)
            size.add_metric(labels_of, octets)
        yield from (packets, size)

    def _workloads(self, view: View) -> Iterator[Metric]:
        found = GaugeMetricFamily(
            "segctl_workloads", "Attached workloads.", labels=["mode"]
        )
        modes = Tally(view.mode_of(one).mode for one in view.workloads())
        for mode in Mode:
            found.add_metric([mode.value], modes[mode])
        yield found
        yield GaugeMetricFamily(
            "segctl_workloads_lost",
            "Containers that are to be attached, and are not there.",
            value=len(self._agent.lost(view)),
        )
        beside = GaugeMetricFamily(
            "segctl_uninspected_interfaces",
            "Interfaces that lead out of a workload and are not spliced.",
            labels=["workload"],
        )
        for workload in view.workloads():
            count = len(view.uninspected.get(workload.id, ()))
            beside.add_metric([harmless(workload.name)], count)
        yield beside

    def _history(self) -> Iterator[Metric]:
        state = self._agent.recording()
        yield GaugeMetricFamily(
            "segctl_history_recording",
            "1 while flows and events are recorded on disk.",
            value=state.recording,
        )
        yield GaugeMetricFamily(
            "segctl_history_size_bytes", "Of the file.", value=state.bytes
        )
        yield CounterMetricFamily(
            "segctl_history_lost",
            "Flows and events that are not on disk.",
            value=state.lost,
        )


def engine_metrics(stats: Mapping[str, Any], *, carries: bool) -> Iterator[Metric]:
    """Yield metrics of the engine's own numbers; empty `stats`: it does not answer."""
    yield GaugeMetricFamily(
        "segctl_engine_up",
        "1 while every engine answers, and frames can reach it.",
        value=bool(stats) and carries,
    )
    if not stats:
        return
    for name, caption in ENGINE_COUNTERS.items():
        yield CounterMetricFamily(f"segctl_engine_{name}", caption, value=stats[name])
    yield CounterMetricFamily(
        "segctl_engine_ring_drops",
        "Frames that the packet rings had no room for.",
        value=sum(stats["ring_drops"]),
    )
    lost = CounterMetricFamily(
        "segctl_engine_events_lost",
        "Events beyond what the engine keeps of a port: drops and violations, and ends of flows.",
        labels=["kind"],
    )
    for kind in ("drops", "ends"):
        lost.add_metric([kind], stats[f"events_lost_{kind}"])
    yield lost
    yield GaugeMetricFamily(
        "segctl_engine_pace_seconds",
        "How far apart the packets of one port may reach the engine; 0: it keeps up.",
        value=stats["share_gap_ns"] / 1e9,
    )
    yield from flow_map_metrics(stats)
    yield GaugeMetricFamily(
        "segctl_engine_sessions", "Flows in its table.", value=stats["sessions"]
    )


def worker_metrics(rows: Collection[Mapping[str, Any]]) -> Iterator[Metric]:
    """Yield what tells one engine from the others that share the packets; `rows` as the API's WorkerStatus."""
    up = GaugeMetricFamily(
        "segctl_engine_worker_up",
        "1 while this engine answers, and frames can reach it.",
        labels=["worker"],
    )
    sessions = GaugeMetricFamily(
        "segctl_engine_worker_sessions", "Flows in its table.", labels=["worker"]
    )
    for number, row in enumerate(rows):
        up.add_metric([str(number)], row["state"] == "running")
        sessions.add_metric([str(number)], row["sessions"])
    yield from (up, sessions)


def app_metrics(ended: Mapping[tuple[str | None, bool], int]) -> Iterator[Metric]:
    """Yield how many flows ended by application; `ended` as Collector.ended."""
    flows = CounterMetricFamily(
        "segctl_flows_ended",
        "Flows that ended, at each end, by application; none: not known, or no rule asks for it.",
        labels=["app", "guess"],
    )
    for app in (None, UNKNOWN_NAME, *NUMBERS):
        for guess in (False, True):
            if not guess or app in NUMBERS:
                labels = [app or "none", str(guess).lower()]
                flows.add_metric(labels, ended.get((app, guess), 0))
    yield flows


def name_metrics(counts: Mapping[str, int]) -> Iterator[Metric]:
    """Yield what became of DNS answers; empty `counts`: no engine answers."""
    for name, caption in NAME_COUNTERS.items() if counts else ():
        yield CounterMetricFamily(
            f"segctl_dns_{name}", caption, value=counts.get(name, 0)
        )


def sensor_metrics(
    view: View, counted: Mapping[tuple[str | None, str, str, bool], int]
) -> Iterator[Metric]:
    """Yield how often sensors hit; `counted` as Collector.sensors, of what is attached now."""
    found = CounterMetricFamily(
        "segctl_sensor_hits",
        "Packets in which a sensor's pattern matched.",
        labels=["workload", "sensor", "pattern", "ended"],
    )
    attached = {one.name for one in view.workloads()}
    sums: Tally[tuple[str, str, str, bool]] = Tally()
    for (workload, sensor, pattern, ended), count in counted.items():
        if workload in attached:
            sums[harmless(workload or ""), sensor, pattern, ended] += count
    for (workload, sensor, pattern, ended), count in sums.items():
        found.add_metric([workload, sensor, pattern, str(ended).lower()], count)
    yield found


def threat_metrics(
    view: View, counted: Mapping[tuple[str | None, str, bool], int]
) -> Iterator[Metric]:
    """Yield how often threats were seen; `counted` as Collector.threats, of what is attached now."""
    found = CounterMetricFamily(
        "segctl_threats",
        "Packets, or attempts, of threats.",
        labels=["workload", "threat", "dropped"],
    )
    attached = {one.name for one in view.workloads()}
    sums: Tally[tuple[str, str, bool]] = Tally()
    for (workload, threat, dropped), count in counted.items():
        if workload in attached:
            sums[harmless(workload or ""), threat, dropped] += count
    for (workload, threat, dropped), count in sums.items():
        found.add_metric([workload, threat, str(dropped).lower()], count)
    yield found


def flow_map_metrics(stats: Mapping[str, Any]) -> Iterator[Metric]:
    """Yield metrics of the verdicts in the kernel."""
    yield GaugeMetricFamily(
        "segctl_flow_map_entries",
        "Verdicts there.",
        value=stats.get("flows_entries", 0),
    )
    yield GaugeMetricFamily(
        "segctl_flow_map_capacity",
        "Room for them.",
        value=stats.get("flows_capacity", 0),
    )
    for name, (field, caption) in FLOW_MAP_COUNTERS.items():
        yield CounterMetricFamily(
            f"segctl_flow_map_{name}", caption, value=stats.get(field, 0)
        )


def rule_metrics(
    rules: Collection[Rule], found: Mapping[int, Hits]
) -> Iterator[Metric]:
    """Yield how often rules decided. Unreadable counts are left out: zeros would look like a reset."""
    if len(rules) > MOST_RULES:
        return
    labels = ["rule", "action", "staged"]
    often = CounterMetricFamily(
        "segctl_rule_hits",
        "Flows judged by a rule of the policy in force, at each end; staged: it would have decided. "
        f"None of policies with more than {MOST_RULES} rules.",
        labels=labels,
    )
    last = GaugeMetricFamily(
        "segctl_rule_last_used_timestamp_seconds",
        "When a flow was judged by it, or ended; none for never.",
        labels=labels,
    )
    rows = [
        (rule_key(one), [str(one.id), one.action.value, str(one.stage).lower()])
        for one in rules
        if one.enabled
    ]
    for key, of in [*rows, (DEFAULT, ["default", "mode", "false"])]:
        sums = found.get(key)
        if sums is not None:
            often.add_metric(of, sums.hits)
            if sums.last is not None:
                last.add_metric(of, sums.last)
    yield from (often, last)


def _registry(agent: Agent) -> CollectorRegistry:
    made = CollectorRegistry(auto_describe=False)
    made.register(AgentCollector(agent))
    return made


def router(agent: Agent) -> APIRouter:
    """Return the routes of GET /metrics."""
    made = APIRouter(tags=["metrics"])
    registry = _registry(agent)

    @made.get("/metrics")
    def metrics() -> Response:
        """Return all metrics in Prometheus' text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return made


def serve(agent: Agent, host: str, port: int) -> Callable[[], None]:
    """Listen on TCP for scrapes; return a function that ends it. Raise SegctlError where it cannot."""
    registry = _registry(agent)

    def page(accept: str) -> Page:
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    try:
        return ScrapeServer(host, port, page).close
    except (OSError, OverflowError) as error:
        raise SegctlError(
            f"listening for metrics on {host}:{port}: {error}",
            advice="choose another address with --metrics",
        ) from error
