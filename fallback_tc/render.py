"""Rules as `tc` command lines, token for token as they are written by hand.

In: rules. Out: text, one line per command. I/O: none.
Spelling follows the classic ruleset: u8 fields as plain digits, u16 and u32 ones as padded hex,
no `at` for offset 0, and the controls that tc takes for granted (`pipe` after mirror, `stolen`
after redirect) left out.
"""

from __future__ import annotations

from collections.abc import Iterable

from fallback_tc.rules import (
    Action,
    Gact,
    Header,
    Match,
    Mirred,
    Munge,
    MungeMac,
    Parent,
    Pedit,
    Rule,
    Side,
    Unknown,
    folded,
)

_PARENTS = {Parent.INGRESS: "ffff:", Parent.CLSACT_INGRESS: "ffff:fff2"}
_SIDES = {Side.DST: "dst", Side.SRC: "src"}


def add(rule: Rule) -> str:
    """Return the `tc filter add …` line. ValueError for a rule that was read from a kernel and has unknown
    parts.
    """
    matches = " ".join(_match(match) for match in rule.matches)
    actions = " ".join(f"action {_action(action)}" for action in rule.actions)
    return f"tc filter add {_place(rule)} u32 {matches} {actions}".rstrip()


def delete(rule: Rule) -> str:
    """Return the `tc filter del …` line that deletes the place's u32 filters; another kind's filter stays."""
    return f"tc filter del {_place(rule)} u32"


def deletions(rules: Iterable[Rule]) -> list[str]:
    """Return one `tc filter del …` line for each place, last place first: rules that pass frames uninspected
    go before those that inspect.
    """
    places = {rule.place: rule for rule in rules}
    return [delete(rule) for rule in reversed(places.values())]


def _place(rule: Rule) -> str:
    parent = _PARENTS[rule.parent]
    return (
        f"dev {rule.device} pref {rule.pref} parent {parent} protocol {rule.protocol}"
    )


def _match(match: Match) -> str:
    at = f" at {match.offset}" if match.offset else ""
    value, mask = _number(match.value, match.width), _number(match.mask, match.width)
    return f"match u{8 * match.width} {value} {mask}{at}"


def _number(value: int, width: int) -> str:
    # tc always reads a mask as hexadecimal, so only values up to nine are plain digits.
    if width == 1 and value < 10:
        return str(value)
    if value == (1 << 8 * width) - 1:
        return "0x" + "ff" * width
    return f"0x{value:0{2 * width}x}"


def _action(action: Action) -> str:
    match action:
        case Pedit():
            kind = "pedit ex" if action.extended else "pedit"
            munges = " ".join(_munge(munge) for munge in folded(action.munges))
            return f"{kind} {munges} pipe"
        case Mirred():
            return f"mirred egress {action.direction} dev {action.device}"
        case Gact():
            return str(action.verdict)
        case Unknown():
            raise ValueError(f"no tc command is known for {action.text!r}")


def _munge(munge: Munge | MungeMac) -> str:
    if isinstance(munge, MungeMac):
        return f"munge eth {_SIDES[munge.side]} set {munge.mac}"
    if munge.header is not Header.NETWORK:
        raise ValueError(f"tc has no words for {munge}, a part of a MAC")
    value = f"0x{munge.value:0{2 * munge.width}x}"
    # tc calls "retain" the bits that are set.
    bits = (1 << 8 * munge.width) - 1 & ~munge.keep
    retain = f" retain 0x{bits:0{2 * munge.width}x}" if munge.keep else ""
    return f"munge offset {munge.offset} u{8 * munge.width} set {value}{retain}"
