"""The event log is bounded, and a flood of the same is one line with a count."""

from __future__ import annotations

from pyctl.telemetry.events import Event, EventLog


def denial(time: float, packets: int = 1, workload: str = "web") -> Event:
    return Event("denial", "denied", time=time, workload=workload, packets=packets)


def test_repeats_within_ten_seconds_are_counted_not_listed():
    log = EventLog()
    assert log.add(denial(100.0))
    assert not log.add(denial(105.0, packets=3))
    (only,) = log.latest(10)
    assert only.packets == 4


def test_a_repeat_after_the_window_is_a_new_line():
    log = EventLog()
    log.add(denial(100.0))
    assert log.add(denial(111.0))
    assert len(log.latest(10)) == 2


def test_repeats_interleaved_with_others_still_fold():
    log = EventLog()
    for second in range(4):
        log.add(denial(100.0 + second, workload="web"))
        log.add(denial(100.0 + second, workload="db"))
    assert [event.packets for event in log.latest(10)] == [4, 4]


def test_drops_in_the_kernel_fold_without_a_count():
    """Each tells of a port, a reason and a CPU, not of how many packets of its flow were dropped."""
    log = EventLog()
    for second in range(3):
        log.add(Event("kernel-drop", "no", time=100.0 + second, workload="web"))
    (only,) = log.latest(10)
    assert (only.time, only.packets, only.bytes) == (100.0, None, None)


def test_lifecycle_events_never_fold():
    log = EventLog()
    for _ in range(2):
        log.add(Event("lifecycle", "attached", time=1.0, workload="web"))
    assert len(log.latest(10)) == 2


def test_a_full_log_forgets_the_oldest_and_counts_it():
    log = EventLog(limit=3)
    for number in range(5):
        log.add(Event("lifecycle", f"event {number}"))
    assert [event.message for event in log.latest(10)] == [
        "event 2",
        "event 3",
        "event 4",
    ]
    assert log.lost == 2


def test_latest_filters_by_workload_and_kind():
    log = EventLog()
    log.add(denial(1.0, workload="web"))
    log.add(Event("lifecycle", "attached", workload="web"))
    log.add(denial(1.0, workload="db"))
    assert len(log.latest(10, workload="web", kinds=("denial",))) == 1


def test_one_workload_s_flood_leaves_the_others_their_lines():
    log = EventLog(limit=50)
    log.add(denial(1.0, workload="db"))
    for number in range(500):
        log.add(Event("lifecycle", f"event {number}", workload="web"))
    log.add(Event("lifecycle", "last", workload="db"))
    assert len(log.latest(1000)) == 50
    assert [one.message for one in log.latest(9, workload="db")] == ["denied", "last"]
    assert log.latest(1)[0].message == "last"
