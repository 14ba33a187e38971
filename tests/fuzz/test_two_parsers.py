"""Two parsers, one reading: the programs' and the engine's judge every frame alike, but where that is wanted.

In: generated frames (frame_mix.py), read by both in one process (parsers_lab.c). A difference that none of WANTED
names is a fault of either.
"""

from __future__ import annotations

import struct
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from pyctl.abi import REASON
from pyctl.abi_build import HEADER
from pyctl.datapath.pins import MAPS
from tests.fuzz.frame_mix import GSO, TAGGED, UDP, Frame, Maker
from tests.unit.engine.core.extension import SOURCES

FRAMES, SEED = 100_000, 20
READING = struct.Struct("=BBBBBBHH16s16sH")
WHAT = (
    "",
    "malformed",
    "arp",
    "other",
    "neighbour",
    "group",
    "flow",
    "ask",
    "misaddressed",
)
ICMP_OTHER = 10 << 8
EXTENSIONS = (0, 43, 44, 60)


@dataclass(frozen=True)
class Reading:
    """What one parser took a frame for."""

    what: str
    """flow: an entry of the flow maps may decide; ask: only the engine may."""
    family: int
    proto: int
    hop_limit: int
    closes: int
    payload: int
    sport: int
    dport: int
    saddr: str
    daddr: str
    reason: int
    """The engine's reason, or its kind << 8: to read, not compared."""

    @classmethod
    def unpack(cls, raw: bytes) -> Reading:
        """One of the two that the program gives for each frame."""
        what, *numbers, saddr, daddr, reason = READING.unpack(raw)
        return cls(WHAT[what], *numbers, saddr.hex(), daddr.hex(), reason)

    def other_than(self, other: Reading) -> set[str]:
        """Names of the fields in which the two differ."""
        names = [field.name for field in fields(self) if field.name != "reason"]
        return {name for name in names if getattr(self, name) != getattr(other, name)}


def is_tagged(frame: Frame, kernel: Reading, engine: Reading) -> bool:
    return kernel.what == "other" and bool(frame.flags & TAGGED)


def is_misaddressed(frame: Frame, kernel: Reading, engine: Reading) -> bool:
    return kernel.what == "misaddressed"


def names_a_route(frame: Frame, kernel: Reading, engine: Reading) -> bool:
    return engine.reason == REASON["source_route"].number and kernel.what in (
        "ask",
        "malformed",
    )


def seems_to_name_a_route(frame: Frame, kernel: Reading, engine: Reading) -> bool:
    options = frame.data[34 : 14 + 4 * (frame.data[14] & 15)]
    return (
        (kernel.what, kernel.family) == ("ask", 4)
        and engine.what in ("flow", "group")
        and bool({131, 137} & set(options))
        and kernel.other_than(engine) <= {"what", "closes", "payload"}
    )


def is_behind_extensions(frame: Frame, kernel: Reading, engine: Reading) -> bool:
    if (kernel.what, kernel.family) != ("ask", 6) or kernel.proto not in EXTENSIONS:
        return False
    same = not kernel.other_than(engine) & {"saddr", "daddr", "hop_limit"}
    return engine.what == "malformed" or (engine.what != "neighbour" and same)


def has_a_wrong_length(frame: Frame, kernel: Reading, engine: Reading) -> bool:
    return (kernel.what, kernel.proto, engine.what) == ("ask", UDP, "malformed")


def says_no_length(frame: Frame, kernel: Reading, engine: Reading) -> bool:
    return (
        (kernel.what, kernel.family) == ("ask", 6)
        and frame.data[18:20] == b"\0\0"
        and not frame.flags & GSO
        and (engine.what == "malformed" or kernel.other_than(engine) == {"what"})
    )


WANTED: list[tuple[str, str, Callable[[Frame, Reading, Reading], bool]]] = [
    ("VLAN tag", "settled by the programs; the engine reads on, for a datapath that gives it such frames", is_tagged),
    ("group MAC, unicast address", "dropped by the programs, which know the broadcast addresses", is_misaddressed),
    ("source route", "the engine reads no further, the programs do and leave it to the engine", names_a_route),
    ("option with a route's number", "the programs take any byte with that value for one: never decided, the engine reads it exactly", seems_to_name_a_route),
    ("extension headers", "the programs walk over four headers of options; all others, and fragments, are the engine's", is_behind_extensions),
    ("UDP length", "the programs leave one that does not fit to the engine, which refuses it", has_a_wrong_length),
    ("IPv6 length of zero", "a jumbogram's length is the engine's to read, and so is a packet without anything", says_no_length),
]  # fmt: skip


@pytest.fixture(scope="module")
def parsers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Name: parsers. Scope: module. Depends: gcc. Both parsers as one program, with ASan and UBSan."""
    program = tmp_path_factory.mktemp("parsers") / "parsers"
    names = ("sg_decode.c", "sg_decode_l4.c", "sg_tcp.c")
    sources = [path for path in SOURCES.glob("*/sg_*.c") if path.name in names]
    subprocess.run(
        [
            *("gcc", "-std=gnu11", "-O1", "-g", "-fsanitize=address,undefined"),
            *("-fno-sanitize-recover=all", "-Wall", "-Wextra", "-Werror"),
            *("-Wno-unknown-pragmas", "-Wno-unused-function", "-Wno-unused-parameter"),
            *(f"-DSEG_FD_{name}=0" for name in MAPS),
            *(f"-I{HEADER.parent}", f"-I{SOURCES}", "-o", program),
            *(Path(__file__).with_name("parsers_lab.c"), *sources),
        ],
        check=True,
    )
    return program


def read(parsers: Path, frames: list[Frame]) -> bytes:
    """What the program says of them, two readings each."""
    fed = b"".join(frame.packed() for frame in frames)
    done = subprocess.run([parsers], input=fed, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    assert len(done.stdout) == len(frames) * 2 * READING.size
    return done.stdout


def test_both_read_generated_frames_alike(parsers: Path):
    frames = list(Maker(SEED).frames(FRAMES))
    said, size = read(parsers, frames), READING.size
    alike: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    faults = []
    for number, frame in enumerate(frames):
        one = said[2 * size * number : 2 * size * number + size]
        two = said[2 * size * number + size : 2 * size * (number + 1)]
        if one[:-2] == two[:-2]:
            alike[WHAT[one[0]]] += 1
            continue
        both = Reading.unpack(one), Reading.unpack(two)
        name = next((name for name, _, holds in WANTED if holds(frame, *both)), None)
        if name:
            wanted[name] += 1
        else:
            faults.append((frame, *both))
    assert not faults, (
        "\n".join(
            f"{frame.data.hex()} flags {frame.flags} tci {frame.tci}\n  programs {kernel}\n  engine   {engine}"
            for frame, kernel, engine in faults[:10]
        )
        + f"\n{len(faults)} of {FRAMES} frames"
    )
    # All that the two may say was said, and no difference is named that there is none of.
    assert set(alike) == set(WHAT[1:8])
    assert set(wanted) == {name for name, _, _ in WANTED}
