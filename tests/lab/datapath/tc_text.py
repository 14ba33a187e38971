"""What `tc filter show` prints, back as rules: what tc reads of a kernel is held to what fallback_tc reads.

In: its output, and the device and hook that it was asked for, which tc does not repeat. Out: `Held`
rules, in the order in which the kernel tries them. I/O: none.
Takes what iproute2 has printed over the years: with or without `parent`, `flowid ???`, statistics.
What our rules never have becomes `Unknown`, so that such a filter differs from all that is asked
for; filters of other kinds are somebody else's, and left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from fallback_tc.rules import (
    WORD,
    Action,
    Direction,
    Gact,
    Header,
    Held,
    Match,
    Mirred,
    Munge,
    Parent,
    Pedit,
    Rule,
    Unknown,
    Verdict,
)

_PARENTS = {
    "ffff:": Parent.INGRESS,
    "ffff:fff2": Parent.CLSACT_INGRESS,
    "ingress": Parent.CLSACT_INGRESS,
}
_CONTROLS = {Direction.MIRROR: "pipe", Direction.REDIRECT: "stolen"}
_WORDLESS = Match(WORD, 0, 0)

_HEAD = re.compile(
    r"filter (?:parent (?P<parent>\S+) |(?P<hook>ingress|egress|root) )?"
    r"(?:dev \S+ |block \d+ )?protocol (?P<protocol>\S+) pref (?P<pref>\d+) "
    r"(?P<kind>\S+)(?: chain (?P<chain>\d+))?(?P<rest>.*)"
)
_NODE = re.compile(r" fh (?P<handle>[0-9a-f]+:[0-9a-f]*:[0-9a-f]+)\S*(?P<tail>.*)")
_MATCH = re.compile(r"match ([0-9a-f]{8})/([0-9a-f]{8}) at (-?\d+)(?: \(success.*)?")
_ACTION = re.compile(r"action order \d+:\s+(?P<what>.*)")
_MIRRED = re.compile(
    r"mirred \(Egress (Mirror|Redirect) to device (\S+)\) (pipe|stolen)"
)
_GACT = re.compile(r"gact action (\S+)")
_PEDIT = re.compile(r"pedit action pipe keys \d+")
_KEY = re.compile(
    r"key #\d+\s+at (?:(?P<header>[a-z]\w*)\+)?(?P<offset>-?\d+): "
    r"val (?P<value>[0-9a-f]+) mask (?P<keep>[0-9a-f]+)"
)
_NOISE = re.compile(
    r"index \d|random type none |Action statistics:|Sent \d|backlog \d|rate \d|used_hw_stats |"
    r"not_in_hw$|cookie "
)
_PLAIN = re.compile(
    r"(?:\s*order \d+|\s*key ht [0-9a-f]+ bkt [0-9a-f]+|\s*terminal flowid(?: \?\?\?)?|"
    r"\s*not_in_hw|\s*\(rule hit \d+ success \d+\))*\s*"
)


@dataclass
class _Found:
    """A filter while its lines are read."""

    parent: Parent
    pref: int
    protocol: str
    handle: int
    matches: list[Match] = field(default_factory=list)
    actions: list[Action | list[Munge]] = field(default_factory=list)
    """A list: the keys of a pedit, as far as they are read."""
    odd: list[Unknown] = field(default_factory=list)

    def held(self, device: str) -> Held:
        actions = [_closed(action) for action in self.actions]
        rule = Rule(
            device,
            self.parent,
            self.pref,
            self.protocol,
            tuple(self.matches) or (_WORDLESS,),
            (*actions, *self.odd),
        )
        return Held(rule, self.handle)


def read(
    output: str, device: str, parent: Parent = Parent.CLSACT_INGRESS
) -> list[Held]:
    """Parse what `tc filter show dev DEVICE ingress` prints; `parent` is for lines without one.

    ValueError for a filter line that is none, and for one of another hook.
    """
    found: list[_Found] = []
    current: _Found | None = None
    # Not splitlines: a device may be called by what only Python takes for the end of a line.
    for raw in output.split("\n"):
        line = raw.strip()
        if line.startswith("filter "):
            current = _filter(line, parent)
            if current:
                found.append(current)
        elif line and current and not _NOISE.match(line):
            _part(current, line)
    held = [one.held(device) for one in found]
    return sorted(held, key=lambda one: (one.rule.pref, one.handle))


def _parent(text: str | None, default: Parent) -> Parent:
    if text is None:
        return default
    if text not in _PARENTS:
        raise ValueError(f"a filter of another hook: {text}")
    return _PARENTS[text]


def _handle(text: str) -> int:
    table, bucket, node = text.split("[", maxsplit=1)[0].split(":")
    return int(table, 16) << 20 | int(bucket or "0", 16) << 12 | int(node, 16)


def _filter(line: str, default: Parent) -> _Found | None:
    head = _HEAD.fullmatch(line)
    if head is None:
        raise ValueError(f"tc printed no filter as known here: {line}")
    node = _NODE.fullmatch(head["rest"])
    if head["kind"] != "u32" or node is None:
        # Another kind's, or the classifier itself, or a table of it.
        return None
    parent = _parent(head["parent"] or head["hook"], default)
    made = _Found(parent, int(head["pref"]), head["protocol"], _handle(node["handle"]))
    tail = node["tail"]
    if "terminal flowid" not in tail or not _PLAIN.fullmatch(tail):
        made.odd.append(Unknown(tail.strip()))
    if int(head["chain"] or "0"):
        made.odd.append(Unknown(f"chain {head['chain']}"))
    return made


def _part(found: _Found, line: str) -> None:
    if match := _MATCH.fullmatch(line):
        value, mask = int(match[1], 16), int(match[2], 16)
        found.matches.append(Match(WORD, value & mask, mask, int(match[3])))
    elif action := _ACTION.fullmatch(line):
        found.actions.append(_action(action["what"]))
    elif (key := _KEY.fullmatch(line)) and found.actions:
        _add_key(
            found.actions,
            key["header"] or "network",
            int(key["offset"]),
            int(key["value"], 16),
            int(key["keep"], 16),
        )
    else:
        found.odd.append(Unknown(line))


def _action(what: str) -> Action | list[Munge]:
    if mirred := _MIRRED.fullmatch(what):
        return _mirred(mirred[1].lower(), mirred[2], mirred[3], what)
    if gact := _GACT.fullmatch(what):
        return _gact(gact[1], what)
    return [] if _PEDIT.fullmatch(what) else Unknown(what)


def _mirred(direction: str, device: str, control: str, shown: str) -> Action:
    known = Direction(direction)
    return Mirred(known, device) if control == _CONTROLS[known] else Unknown(shown)


def _gact(control: str, shown: str) -> Action:
    known = {str(verdict): Gact(verdict) for verdict in Verdict}
    return known.get(control) or Unknown(shown)


def _add_key(
    actions: list[Action | list[Munge]], header: str, offset: int, value: int, keep: int
) -> None:
    """Add a key to the pedit that is the last action; a key unlike ours makes it Unknown."""
    last = actions[-1]
    shown = f"pedit key at {header}+{offset}: val {value:08x} mask {keep:08x}"
    if not isinstance(last, list):
        actions.append(Unknown(shown))
        return
    try:
        last.append(Munge(WORD, value, offset, keep, Header(header)))
    except ValueError:
        actions[-1] = Unknown(shown)


def _closed(action: Action | list[Munge]) -> Action:
    if not isinstance(action, list):
        return action
    try:
        return Pedit(tuple(action))
    except ValueError:
        return Unknown(f"pedit of {action}")
