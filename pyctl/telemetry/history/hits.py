"""How often each rule has decided, and when last: sums that outlive the flows they came from.

In: the engine's counts, by what a rule means (policy/identity.py). Out: sums. I/O: the database that
it is handed.
Each worker's engine counts from the start of an epoch; stored beside each worker's sum is the epoch's count that is already in
it. So a count that is reported twice, or late, or to another agent, is in the sum once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pyctl.engine.records import HIT_DEFAULT

DEFAULT = HIT_DEFAULT
"""The key of flows that no rule matched."""
MOST = 100000
"""The most rules whose sums are kept, former policies' included; the last used ones stay."""
TABLE = """
    CREATE TABLE hits (
        key INTEGER PRIMARY KEY, since REAL NOT NULL, last REAL NOT NULL,
        hits INTEGER NOT NULL, epoch INTEGER NOT NULL, seen INTEGER NOT NULL
    );
    """
BY_WORKER = """
    ALTER TABLE hits RENAME TO hits_of_one;
    CREATE TABLE hits (
        key INTEGER NOT NULL, worker INTEGER NOT NULL, since REAL NOT NULL, last REAL NOT NULL,
        hits INTEGER NOT NULL, epoch INTEGER NOT NULL, seen INTEGER NOT NULL, PRIMARY KEY (key, worker)
    );
    INSERT INTO hits (key, worker, since, last, hits, epoch, seen)
        SELECT key, 0, since, last, hits, epoch, seen FROM hits_of_one;
    DROP TABLE hits_of_one;
    """
_ADD = """
    INSERT INTO hits (key, worker, epoch, seen, hits, last, since)
    VALUES (:key, :worker, :epoch, :hits, :hits, :last, min(:now, iif(:last, :last, :now)))
    ON CONFLICT (key, worker) DO UPDATE SET
        hits = hits + excluded.seen
            - iif(epoch = excluded.epoch AND seen <= excluded.seen, seen, 0),
        since = min(since, iif(excluded.last, excluded.last, since)),
        last = max(last, excluded.last), epoch = excluded.epoch, seen = excluded.seen
    WHERE excluded.epoch != 0
    """


@dataclass(frozen=True)
class Count:
    """What the engine reports of a rule; epoch 0 only makes the rule known."""

    key: int
    epoch: int = 0
    hits: int = 0
    """Hits since the epoch began."""
    last: float = 0.0
    """Seconds since the epoch of clocks; 0: never."""
    worker: int = 0


@dataclass(frozen=True)
class Hits:
    """The stored sum of a rule's hits."""

    hits: int
    last: float | None
    """When it last judged a flow, or the flow was seen to go on. None: never."""
    since: float | None
    """When counting began, never after its first use; None: not yet."""

    def used(self, at: float) -> Hits:
        """Return the hits with a use at that time."""
        since = at if self.since is None else min(self.since, at)
        return replace(self, last=max(self.last or 0.0, at), since=since)


def add(db: sqlite3.Connection, counts: Iterable[Count], now: float) -> None:
    """Add the counts within the caller's transaction."""
    db.executemany(_ADD, ({**vars(count), "now": now} for count in counts))


def prune(db: sqlite3.Connection) -> None:
    """Delete the rules beyond MOST that were unused for longest."""
    (rows,) = db.execute("SELECT count(*) FROM hits").fetchone()
    if rows > MOST:
        db.execute(
            "DELETE FROM hits WHERE rowid IN "
            "(SELECT rowid FROM hits ORDER BY max(last, since) LIMIT ?)",
            (rows - MOST,),
        )


def read(db: sqlite3.Connection) -> dict[int, Hits]:
    """Return the hits of all rules, by key."""
    rows = db.execute(
        "SELECT key, sum(hits), max(last), min(since) FROM hits GROUP BY key"
    )
    return {key: Hits(hits, last or None, since) for key, hits, last, since in rows}
