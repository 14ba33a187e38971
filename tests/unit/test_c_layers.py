"""The C engine's folders are layers: src/README.md says who builds on whom, and the sources keep to it.

Read as text: includes, and uses of functions whose definition lies in another folder.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "pyctl" / "engine" / "src"
README = (SOURCES / "README.md").read_text(encoding="utf-8")
FILES_MAX = 14

ROW = re.compile(r"^\| `(\w+)` \|.*\|([^|]*)\|$", re.MULTILINE)
LAYERS = {room: set(re.findall(r"\w+", below)) for room, below in ROW.findall(README)}
"""Folder → those it builds on, as the README has it; the lowest first."""
FILES = sorted(file for file in SOURCES.rglob("*") if file.suffix in {".c", ".h"})

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
INCLUDE = re.compile(r'^#include "(.*)"$', re.MULTILINE)
PROTOTYPE = re.compile(r"^(?!\s|#)[^;{}]*\);$", re.MULTILINE)
DEFINITION = re.compile(r"^(?!\s|#)[^;{}()]*\b(sg_\w+)\([^;{}]*\)\n\{", re.MULTILINE)
OURS = {"segctl_abi.h", "segctl_seal.h", "segctl_worker.h"}


def code(file: Path) -> str:
    """The text without comments, prototypes and names of types, which functions may share."""
    text = PROTOTYPE.sub("", COMMENT.sub("", file.read_text(encoding="utf-8")))
    return re.sub(r"\b(?:struct|enum|union) \w+", "type", text)


def includes(file: Path) -> set[str]:
    """Headers of the engine, as they are named."""
    return set(INCLUDE.findall(file.read_text(encoding="utf-8"))) - OURS


def definitions() -> dict[str, str]:
    """Function → the folder that defines it."""
    found: dict[str, str] = {}
    for file in FILES:
        for name in DEFINITION.findall(code(file)):
            assert name not in found, f"{name} is defined twice"
            found[name] = file.parent.name
    return found


HOMES = definitions()


def uses(file: Path) -> dict[str, str]:
    """What the file names of other folders → that folder."""
    names = set(re.findall(r"\bsg_\w+", code(file))) & set(HOMES)
    found = {name: HOMES[name] for name in names}
    found |= {name: name.split("/")[0] for name in includes(file)}
    return {name: room for name, room in found.items() if room != file.parent.name}


def short(file: Path) -> str:
    return str(file.relative_to(SOURCES))


def test_the_table_names_the_folders_there_are():
    assert set(LAYERS) == {path.name for path in SOURCES.iterdir() if path.is_dir()}
    assert {file.parent.parent for file in FILES} == {SOURCES}


def test_a_folder_builds_on_those_above_it_in_the_table():
    above: set[str] = set()
    for room, below in LAYERS.items():
        assert below <= above, room
        above.add(room)


@pytest.mark.parametrize("room", LAYERS)
def test_a_folder_is_small(room):
    assert 0 < sum(file.parent.name == room for file in FILES) <= FILES_MAX


@pytest.mark.parametrize("file", FILES, ids=short)
def test_a_file_uses_what_its_folder_builds_on(file):
    below = LAYERS[file.parent.name]
    assert not {name for name, room in uses(file).items() if room not in below}


@pytest.mark.parametrize("room", LAYERS)
def test_the_table_names_no_folder_that_is_not_used(room):
    used = {
        towards
        for file in FILES
        if file.parent.name == room
        for towards in uses(file).values()
    }
    assert LAYERS[room] == used


@pytest.mark.parametrize("file", FILES, ids=short)
def test_an_include_names_its_folder(file):
    assert not {name for name in includes(file) if not (SOURCES / name).is_file()}


def test_no_unit_leads_back_to_itself():
    """A unit is a source with its header; it leads to those that it includes, and whose functions it calls."""
    units: dict[str, list[Path]] = {}
    for file in FILES:
        units.setdefault(short(file.with_suffix("")), []).append(file)
    homes = {
        name: unit
        for unit, files in units.items()
        for file in files
        for name in DEFINITION.findall(code(file))
    }

    def leads_to(unit: str) -> set[str]:
        found: set[str] = set()
        for file in units[unit]:
            found |= {name.rpartition(".")[0] for name in includes(file)}
            found |= {
                homes[name]
                for name in re.findall(r"\bsg_\w+", code(file))
                if name in homes
            }
        return found - {unit}

    done: set[str] = set()

    def visit(unit: str, above: tuple[str, ...]) -> None:
        assert unit not in above, " → ".join([*above, unit])
        if unit not in done:
            for towards in sorted(leads_to(unit)):
                visit(towards, (*above, unit))
        done.add(unit)

    for unit in units:
        visit(unit, ())


def test_no_header_includes_itself_by_others():
    done: set[str] = set()

    def visit(header: str, above: tuple[str, ...]) -> None:
        assert header not in above, " → ".join([*above, header])
        if header not in done:
            for towards in includes(SOURCES / header):
                visit(towards, (*above, header))
        done.add(header)

    for file in FILES:
        visit(short(file), ())


@pytest.mark.parametrize(
    ("word", "homes"),
    [
        (r"io\.send\(", {"core/sg_output.c"}),
        (r"io\.flow_\w+\(", {"flow/sg_cache.c"}),
        (r"\bsg_record\(", {"core/sg_pipeline.c", "flow/sg_flow.c"}),
        (r"\bsg_output_answers\(", {"core/sg_pipeline.c"}),
    ],
)
def test_an_act_has_one_place(word, homes):
    """A verdict sends nothing, writes no flow map and records no violation."""
    call = re.compile(rf"^\t.*{word}", re.MULTILINE)
    assert {short(file) for file in FILES if call.search(code(file))} == homes


def test_what_the_readme_points_at_is_there():
    for name in re.findall(r"`(\w+/sg_\w+\.[ch])`", README):
        assert (SOURCES / name).is_file(), name
    for function, name in re.findall(r"`(\w+)\(\)` in `([\w/.]+)`", README):
        assert re.search(
            rf"^[^\s/].*\b{function}\(", code(SOURCES / name), re.MULTILINE
        ), name


def test_what_is_called_is_found():
    """The reader of this file's regular expressions sees all of the API."""
    api = "".join(file.read_text() for file in (SOURCES / "api").glob("*.h"))
    declared = set(re.findall(r"\b(sg_\w+)\(", COMMENT.sub("", api)))
    assert len(declared) > 40
    assert declared <= set(HOMES)
