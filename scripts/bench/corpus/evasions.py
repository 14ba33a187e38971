"""Cases of suricata-verify that are about evasion, replayed through an engine's core.

In: a directory with the cases. Out: a table by kind of case, and what does not apply with its reason. I/O: reads captures.
A case is an evasion if a byte crosses as two different ones, if any payload crosses under a rule for another application or
for another request, or if it is called another application for sure than it is. What the case's author wanted found is
compared where it is about that: most of it is about alerts that this engine does not give.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scripts.bench.corpus.replay import Crossed, Replay

KINDS = {
    "http-evader": ("http-evader/*/*.pcap", "HTTP"),
    "overlap": ("eve-*overlap*/*.pcap", ""),
    "smb-overlap": ("smb-*overlap*/*.pcap", "SMB"),
    "quic-frag": ("quic-frag*/*.pcap", "QUIC"),
}
"""Kind → its captures, and the application that they are; none: what nobody knows."""
NOT_WHOLE = {
    "http-evader": "the answer does not begin as one of HTTP/1, which clients read differently: its connection ends",
    "overlap": "a byte comes again as another one, or never comes: then what is behind it waits",
}  # fmt: skip
"""Why not all of a case crosses, and should not."""
DOES_NOT_APPLY = {
    "http-evader, what alerts say": "a pattern in the body of an answer, and names of files: this is for patterns over payload",
    "ipv6-evasion": "none of these cases is in this half",
    "smb-overlap, what alerts say": "a pattern in a file that SMB carries; its payload is judged as any other",
    "eve-overlap and eve-payload, what alerts say": "which copy an alert prints; here the second copy never crosses",
    "exception-policy-defrag": "plays that Suricata has no memory for fragments",
    "quic-frag, what is logged": "all extensions of a ClientHello; here it is whether it is QUIC",
    "websocket-control-frag": "reads messages behind the upgrade",
}  # fmt: skip


@dataclass
class Result:
    """How the cases of a kind did."""

    cases: int = 0
    whole: int = 0
    """All payload crossed under the rule that allows it."""
    ended: Counter[str] = field(default_factory=Counter)
    """Why others did not."""
    evasions: list[str] = field(default_factory=list)


def attempts(replay: Replay, capture: Path, app: str) -> Iterator[tuple[str, Crossed]]:
    """Yield what crosses under the rule that allows a case, and under each that does not."""
    path = "/*" if app == "HTTP" else ""
    allows = replay.rule(app or "SSH", path=path, unknown=not app)
    yield "allowed", replay.crossing(capture, allows)
    yield "another application", replay.crossing(capture, replay.rule("SSH"))
    if path:
        other = replay.rule(app, path="/another/path")
        yield "another request", replay.crossing(capture, other)


def judge(directory: Path, scratch: Path) -> dict[str, Result]:
    """Replay the cases below a directory; the core is compiled in `scratch`, unless it is there."""
    found = {kind: Result() for kind in KINDS}
    replay = Replay(scratch)
    for kind, (pattern, app) in KINDS.items():
        result = found[kind]
        for capture in sorted(directory.glob(f"**/{pattern}")):
            result.cases += 1
            for what, crossed in attempts(replay, capture, app):
                name = f"{capture.parent.name}: {what}: {crossed}"
                if crossed.differ or (what != "allowed" and crossed.payload):
                    result.evasions.append(name)
                if what == "allowed" and crossed.payload == crossed.captured:
                    result.whole += 1
                elif what == "allowed":
                    result.ended[", ".join(crossed.reasons) or "-"] += 1
    return found


def table(found: dict[str, Result]) -> str:
    """Return the counts, what evaded, and what does not apply."""
    lines = [f"{'kind':14}{'cases':>7}{'evasions':>10}{'whole':>7}  not whole, and why"]
    for kind, one in found.items():
        why = "; ".join(f"{count}: {reason}" for reason, count in one.ended.items())
        lines.append(f"{kind:14}{one.cases:>7}{len(one.evasions):>10}{one.whole:>7}  {why}")  # fmt: skip
        lines += [f"  evasion: {name}" for name in one.evasions]
    lines += [f"not whole, {kind}: {why}" for kind, why in NOT_WHOLE.items()]
    lines.append("does not apply:")
    lines += [f"  {what}: {reason}" for what, reason in DOES_NOT_APPLY.items()]
    return "\n".join(lines)
