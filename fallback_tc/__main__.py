"""`python -m fallback_tc`: the rules of one pair, one `tc filter add …` per line.

In: arguments. Out: lines. I/O: standard output. Ends with 2 for a pair that cannot be, like for any
wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from fallback_tc.pair import CLASSIC, PREF_BASE, Options, Pair, Steering
from fallback_tc.plan import guard, ruleset
from fallback_tc.render import add, deletions

_HOLES = {
    "ipv6": "send IPv6 unicast to the engine too",
    "drop_spoofed": "drop what has another source MAC than the workload's",
    "drop_forged": "drop MACs that mean a detour, on both ports",
    "drop_stray": "drop unicast to others, and unicast addresses under a group MAC",
    "drop_other": "drop what is neither IP nor ARP, and VLAN tags",
    "loop_guard": "drop on the bridge what belongs to no pair",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the rules; return the exit status."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    options = CLASSIC if asked.classic else Options()
    chosen = {name: getattr(asked, name) for name in _HOLES}
    options = replace(
        options, **{name: on for name, on in chosen.items() if on is not None}
    )
    try:
        pair = Pair(
            vex=asked.ex,
            vin=getattr(asked, "in"),
            bridge=asked.bridge,
            mac=asked.mac,
            ucmac=asked.ucmac,
            pref_ex=asked.pref_ex,
            pref_in=asked.pref_in,
            broadcasts=tuple(asked.broadcast),
            pref_base=asked.pref_base,
        )
        lines = _lines(pair, Steering(asked.steering), options)
    except ValueError as error:
        parser.error(str(error))
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def _lines(pair: Pair, steering: Steering, options: Options) -> list[str]:
    if steering is Steering.QUARANTINE and not options.drop_quarantined:
        # The classic reset deletes the forwarding rules and adds none.
        return deletions(ruleset(pair, Steering.FORWARD, options))
    rules = (*guard(pair.bridge, options), *ruleset(pair, steering, options))
    return [add(rule) for rule in rules]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fallback_tc", description=__doc__, allow_abbrev=False
    )
    parser.add_argument(
        "--classic",
        action="store_true",
        help="NeuVector's rules, token for token; with --quarantine, the commands of its reset",
    )
    steering = parser.add_mutually_exclusive_group()
    steering.set_defaults(steering=Steering.FORWARD)
    for one in (Steering.TAP, Steering.QUARANTINE):
        steering.add_argument(
            f"--{one}", dest="steering", action="store_const", const=one
        )
    for name, what in (
        ("ex", "the port towards the world"),
        ("in", "the port towards the workload"),
        ("bridge", "the port towards the engine"),
        ("mac", "the workload's MAC"),
        ("ucmac", "the MAC of its detour, 4e:65:75:56:…"),
    ):
        parser.add_argument(f"--{name}", required=True, help=what)
    parser.add_argument(
        "--pref-ex",
        type=int,
        required=True,
        help="on the bridge, of the rule for the detour MAC as destination, towards --in",
    )
    parser.add_argument(
        "--pref-in",
        type=int,
        required=True,
        help="likewise as source, towards --ex",
    )
    parser.add_argument(
        "--pref-base",
        type=int,
        default=PREF_BASE,
        help="the ports' first rule comes after it (default: %(default)s)",
    )
    parser.add_argument(
        "--broadcast",
        action="append",
        default=[],
        help="broadcast address of a subnet of the workload; may be repeated",
    )
    for name, what in _HOLES.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            dest=name,
            action=argparse.BooleanOptionalAction,
            default=None,
            help=f"{what} (default: unless --classic)",
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
