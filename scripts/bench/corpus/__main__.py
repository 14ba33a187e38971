"""Compares what the engine says of captures with what nDPI says, and prints a table.

In: a directory. Out: lines. I/O: reads captures and results.
A flow counts if nDPI knew it by its bytes, and the capture has them all: of others the engine may say what it will.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from pyctl.abi_build import ROOT
from pyctl.model.apps import CONTAINS, NUMBERS
from scripts.bench.corpus import evasions
from scripts.bench.corpus.captures import TCP, packets
from scripts.bench.corpus.expectations import MIDDLE, captures, expected
from scripts.bench.corpus.flows import CERTAIN, GUESS, Flow, flows
from scripts.bench.corpus.timing import timing

COMPILED = ROOT / ".cache" / "replay"
KINDS = ("right", "unknown", "guess", "wrong", "partial")


@dataclass(frozen=True)
class Judged:
    """A flow that both have seen."""

    capture: str
    protocol: str
    flow: Flow

    @property
    def kind(self) -> str:
        """How the engine did; partial: the capture lacks bytes, so nothing is expected."""
        app, proof = self.flow.app, self.flow.proof
        same = app == self.protocol or app in CONTAINS.get(self.protocol, ())
        if proof == CERTAIN:
            return "right" if same else "wrong"
        if self.flow.is_partial or self.capture in MIDDLE:
            return "partial"
        return "guess" if proof == GUESS else "unknown"

    def line(self) -> str:
        """Say of which flow what was said, and what it begins with."""
        flow = self.flow
        (ip, port), (peer, peer_port) = flow.ends
        heads = " | ".join(repr(bytes(side.data[:24])) for side in flow.sides)
        return (
            f"{self.kind:8}{self.protocol:12}{flow.app or '-'!s:12}{self.capture} {ip}:{port} > {peer}:{peer_port}"
            f" {[len(side.data) for side in flow.sides]} {heads}"
        )


def judge(directory: Path) -> list[Judged]:
    """Return every flow of the captures that nDPI's results name."""
    found = []
    for capture, result in captures(directory):
        try:
            seen = flows(packets(capture))
        except ValueError:
            continue
        for pair, protocol, how in expected(result):
            flow = seen.get(pair)
            if flow is not None and flow.spoke() and how.startswith("DPI"):
                found.append(Judged(capture.name, protocol, flow))
    return found


def table(judged: list[Judged]) -> str:
    """Return the counts by protocol, those that the engine knows first."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for one in judged:
        counts[one.protocol][one.kind] += 1
    lines = [f"{'protocol':16}{'flows':>7}" + "".join(f"{k:>9}" for k in KINDS) + "   right/%"]  # fmt: skip
    others: Counter[str] = Counter()
    for protocol, kinds in sorted(counts.items(), key=lambda c: -c[1].total()):
        if protocol not in NUMBERS:
            others += kinds
            continue
        flows_of = kinds.total() - kinds["partial"]
        share = f"{100 * kinds['right'] / flows_of:9.1f}" if flows_of else ""
        lines.append(f"{protocol:16}{flows_of:>7}" + "".join(f"{kinds[k]:>9}" for k in KINDS) + f" {share}")  # fmt: skip
    lines.append(f"{'(other)':16}{others.total():>7}" + "".join(f"{others[k]:>9}" for k in KINDS))  # fmt: skip
    return "\n".join(lines)


def recut(judged: list[Judged]) -> str:
    """Return how many connections are called alike however they are cut, and those that are not."""
    certain = [one for one in judged if one.flow.proto == TCP and one.flow.proof == CERTAIN]  # fmt: skip
    others = [(other, one) for one in certain if (other := one.flow.cut_otherwise())]
    lines = [f"cut at every byte    {len(certain) - len(others)} of {len(certain)} alike"]  # fmt: skip
    return "\n".join([*lines, *(f"{other}: {one.line()}" for other, one in others)])


def main() -> None:
    """Read the options, judge, print."""
    options = argparse.ArgumentParser(prog="bench-corpus", description=__doc__)
    options.add_argument("directory", type=Path, help="where the captures are unpacked")
    options.add_argument("--list", nargs="*", metavar="KIND", help="name each flow that is unknown, guess, wrong, partial")  # fmt: skip
    options.add_argument("--protocol", help="of this one alone")
    options.add_argument("--cut", action="store_true", help="cut each connection that is certain at every byte, too")  # fmt: skip
    options.add_argument("--time", action="store_true", help="measure a call, too")
    options.add_argument("--evasions", action="store_true", help="replay suricata-verify's cases about evasion instead")  # fmt: skip
    asked = options.parse_args()
    if asked.evasions:
        COMPILED.mkdir(parents=True, exist_ok=True)
        print(evasions.table(evasions.judge(asked.directory, COMPILED)))
        return
    judged = [one for one in judge(asked.directory) if asked.protocol in (None, one.protocol)]  # fmt: skip
    print(table(judged))
    if asked.cut:
        print(recut(judged))
    if asked.time:
        print(timing())
    for one in judged:
        if one.kind in (asked.list or ()):
            print(one.line())


if __name__ == "__main__":
    main()
