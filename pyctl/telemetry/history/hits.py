"""How often each rule has decided, and when last: sums that outlive the flows they came from.

In: the engine's counts, by what a rule means (policy/identity.py). Out: sums. I/O: the database that
it is handed.
The engine counts up from the beginning of its counting, which has a name; what is kept beside a sum is how
far it has been added up. So a count that is told twice, or late, or by another agent, is in the sum once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pyctl.engine.records import HIT_DEFAULT

DEFAULT = HIT_DEFAULT
"""The key of flows that no rule matched."""
MOST = 100000
"""Rules whose sums are kept, those of former policies among them; who was used last stays."""
TABLE = """
    CREATE TABLE hits (
        key INTEGER PRIMARY KEY, since REAL NOT NULL, last REAL NOT NULL,
        hits INTEGER NOT NULL, epoch INTEGER NOT NULL, seen INTEGER NOT NULL
    );
    """
_ADD = """
    INSERT INTO hits (key, epoch, seen, hits, last, since)
    VALUES (:key, :epoch, :hits, :hits, :last, min(:now, iif(:last, :last, :now)))
    ON CONFLICT (key) DO UPDATE SET
        hits = hits + excluded.seen
            - iif(epoch = excluded.epoch AND seen <= excluded.seen, seen, 0),
        since = min(since, iif(excluded.last, excluded.last, since)),
        last = max(last, excluded.last), epoch = excluded.epoch, seen = excluded.seen
    WHERE excluded.epoch != 0
    """


@dataclass(frozen=True)
class Count:
    """What the engine tells of a rule; with epoch 0 the rule is only made known."""

    key: int
    epoch: int = 0
    hits: int = 0
    """Since the epoch began."""
    last: float = 0.0
    """Seconds since the epoch of clocks; 0: never."""


@dataclass(frozen=True)
class Hits:
    """A rule's sum."""

    hits: int
    last: float | None
    """A flow was judged by it, or was seen to go on. None: never."""
    since: float | None
    """From then on it is counted, which is never after its use; None: not yet."""

    def used(self, at: float) -> Hits:
        """Return it as used at that time, too."""
        since = at if self.since is None else min(self.since, at)
        return replace(self, last=max(self.last or 0.0, at), since=since)


def add(db: sqlite3.Connection, counts: Iterable[Count], now: float) -> None:
    """Within the caller's transaction."""
    db.executemany(_ADD, ({**vars(count), "now": now} for count in counts))


def prune(db: sqlite3.Connection) -> None:
    """Those that nobody has used for longest go."""
    (rows,) = db.execute("SELECT count(*) FROM hits").fetchone()
    if rows > MOST:
        db.execute(
            "DELETE FROM hits WHERE key IN "
            "(SELECT key FROM hits ORDER BY max(last, since) LIMIT ?)",
            (rows - MOST,),
        )


def read(db: sqlite3.Connection) -> dict[int, Hits]:
    """All of them, by key."""
    rows = db.execute("SELECT key, hits, last, since FROM hits")
    return {key: Hits(hits, last or None, since) for key, hits, last, since in rows}
