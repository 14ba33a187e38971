"""The tree keeps its shape: packages explain themselves, files stay small, tests mirror sources."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from pyctl import errors
from pyctl.errors import SegctlError

ROOT = Path(__file__).parents[2]
GENERATED = {"_abi.py", "_reasons.py"}
PACKAGES = sorted(
    file.parent
    for top in ("pyctl", "fallback_tc")
    for file in ROOT.glob(f"{top}/**/__init__.py")
)

ROOMS_BESIDE = sorted(
    file.parent
    for top in ("tests/lab", "scripts")
    for file in ROOT.glob(f"{top}/**/__init__.py")
)
"""Packages that are no part of what is installed: what tests, benchmarks and demo share."""

LINES = {
    ("pyctl", ".py"): 500,
    ("fallback_tc", ".py"): 500,
    ("tests", ".py"): 500,
    ("scripts", ".py"): 500,
    ("pyctl/engine/src", ".c"): 600,
    ("pyctl/engine/src", ".h"): 600,
    ("bpf", ".c"): 300,
    ("bpf", ".h"): 300,
}
MEDIAN_PYTHON = 170
ROOM = 12
"""Modules of a package, besides what describes it: as many as one takes in at a glance."""

FOLDERS = {"bpf": 15, "pyctl/engine/src": ROOM}
"""Folder → the most units of C in it and in each one below, a .c and its .h being one."""


def sources(top: str, suffix: str) -> list[Path]:
    return sorted(
        file
        for file in ROOT.glob(f"{top}/**/*{suffix}")
        if file.name not in GENERATED and "__pycache__" not in file.parts
    )


def short(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("package", PACKAGES, ids=short)
def test_a_package_opens_with_what_it_is_and_holds_no_logic(package):
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    text = ast.get_docstring(tree)
    assert text, "an __init__.py is its package's description"
    assert len(text.splitlines()) <= 25
    for node in tree.body[1:]:
        names = getattr(node, "targets", None)
        is_all = names and getattr(names[0], "id", "") == "__all__"
        assert isinstance(node, ast.Import | ast.ImportFrom) or is_all


def room(package: Path) -> tuple[str, set[str]]:
    """What a package says of itself, and the modules and packages in it."""
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    files = [*package.glob("*.py"), *package.glob("*.c")]
    modules = {file.stem for file in files if file.name not in GENERATED}
    modules |= {file.parent.name for file in package.glob("*/__init__.py")}
    return text, modules - {"__init__", "__main__"}


@pytest.mark.parametrize("package", [*PACKAGES, *ROOMS_BESIDE], ids=short)
def test_a_package_is_small_and_names_its_modules_and_what_goes_in_and_out(package):
    text, inside = room(package)
    rooms = {file.parent.name for file in package.glob("*/__init__.py")}
    assert len(inside - rooms) <= ROOM
    assert inside <= set(re.findall(r"\w+", text)), "it names what is in it"
    if package != ROOT / "pyctl":
        assert re.search(r"\bIn(?: and out)?: ", text)
    if package in PACKAGES and package != ROOT / "pyctl":
        assert "ay import" in text


@pytest.mark.parametrize(("folder", "most"), FOLDERS.items(), ids=str)
def test_a_folder_of_c_is_small(folder, most):
    for place in [ROOT / folder, *(ROOT / folder).glob("**/")]:
        units = {file.stem for file in place.iterdir() if file.suffix in (".c", ".h")}
        assert len(units) <= most, short(place)


@pytest.mark.parametrize("where", LINES, ids="".join)
def test_files_are_small(where):
    top, suffix = where
    big = {
        short(file): lines
        for file in sources(top, suffix)
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > LINES[where]
    }
    assert not big


def test_the_usual_python_file_is_one_idea():
    lengths = sorted(
        len(file.read_text(encoding="utf-8").splitlines())
        for file in sources("pyctl", ".py")
        if file.name != "__init__.py"
    )
    assert lengths[len(lengths) // 2] <= MEDIAN_PYTHON


@pytest.mark.parametrize(
    "file", [*sources("pyctl", ".py"), *sources("fallback_tc", ".py")], ids=short
)
def test_a_module_says_what_it_decides(file):
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))


NO_VERBS = {
    "A",
    "An",
    "The",
    "One",
    "It",
    "Its",
    "What",
    "Who",
    "Whether",
    "Which",
    "How",
    "When",
}
"""First words of a description; a function does something, and says what."""


@pytest.mark.parametrize(
    "file", [*sources("pyctl", ".py"), *sources("fallback_tc", ".py")], ids=short
)
def test_a_function_says_with_a_verb_what_it_does(file):
    """But for commands: theirs is their help."""
    nouns = {
        node.name: text
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (text := ast.get_docstring(node))
        and not any(
            "click" in ast.unparse(one) or ".command(" in ast.unparse(one)
            for one in node.decorator_list
        )
        and (text.split()[0].strip(".,:;") in NO_VERBS or not text[0].isupper())
    }
    assert not nouns


def test_errors_are_few_drawn_and_have_a_code_each():
    found = set()

    def visit(kind: type[SegctlError]) -> None:
        found.add(kind)
        for below in kind.__subclasses__():
            visit(below)

    visit(SegctlError)
    assert len(found) <= 8
    # A kind of one package is told to users as the one it refines.
    assert {kind for kind in found if "code" in vars(kind)} == set(errors.ALL)
    found = set(errors.ALL)
    assert len({kind.code for kind in found}) == len(found)
    drawn = {
        (name, int(code))
        for name, code in re.findall(r"(\w+Error)\s+(\d)\s", errors.__doc__ or "")
    }
    assert drawn == {(kind.__name__, kind.exit_code) for kind in found}


def needs_a_mirror(file: Path) -> bool:
    """Descriptions of packages and modules of values alone do not."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return any(isinstance(node, functions) for node in ast.walk(tree))


def mirror(file: Path) -> Path:
    """pyctl/PKG/MOD.py → tests/unit/PKG/test_MOD.py."""
    inside = file.relative_to(ROOT).parts
    folders = inside[1:-1] if inside[0] == "pyctl" else inside[:-1]
    return ROOT.joinpath("tests", "unit", *folders, f"test_{inside[-1]}")


def test_tests_mirror_sources():
    files = [*sources("pyctl", ".py"), *sources("fallback_tc", ".py")]
    missing = {
        short(file)
        for file in files
        if needs_a_mirror(file) and not mirror(file).exists()
    }
    assert missing == set()


def test_a_mirror_has_a_source():
    """What a unit test is named after exists: a renamed module takes its test along."""
    tests = sources("tests/unit", ".py")
    sources_of = {mirror(file) for file in sources("pyctl", ".py")}
    sources_of |= {mirror(file) for file in sources("fallback_tc", ".py")}
    core = ROOT / "tests/unit/engine/core"
    sources_of |= {core / f"test_{file.stem}.py" for file in sources("pyctl", ".c")}
    here = Path(__file__).parent
    orphans = {
        short(test)
        for test in tests
        if test.name.startswith("test_")
        and test.parent != here
        and test not in sources_of
    }
    assert orphans == set()


def test_scripts_holds_what_a_person_types_and_packages():
    here = ROOT / "scripts"
    files = [path for path in here.iterdir() if path.is_file()]
    heads = {file.name: file.read_bytes().split(b"\n")[0] for file in files}
    assert set(heads.values()) == {b"#!/bin/sh"}
    assert {path.name for path in here.iterdir() if path not in files} - {
        "__pycache__"
    } == {"bench", "tour"}


DRIVERS = r"fallback_tc|pyctl\.(abi|intercept|engine|datapath\.(ebpf|u32))\b"


def test_what_measures_knows_no_driver_from_inside():
    """tests/lab makes by hand what of it is wanted; two measure the engine itself."""
    found = {
        short(file)
        for file in sources("scripts", ".py")
        if re.search(rf"^(from|import) ({DRIVERS})", file.read_text(), re.MULTILINE)
    }
    assert found <= {"scripts/bench/policy.py", "scripts/bench/corpus/flows.py"}


BPF = [*sources("bpf", ".c"), *sources("bpf", ".h")]


@pytest.mark.parametrize(
    ("word", "home", "why"),
    [
        ("TC_ACT_SHOT", "seg_finish.h", "each drop has a reason and is counted there"),
        ("data_end", "seg_parse.h", "bounds are checked in one place"),
        ("#ifdef ENABLE", "", "options are data, so that one object is verified"),
        ("//", "", "comments are /* */, here and in the engine"),
    ],
)
def test_bpf_sources_keep_each_word_in_its_place(word, home, why):
    found = {
        file.name
        for file in BPF
        for line in file.read_text(encoding="utf-8").splitlines()
        if word in re.sub(r"/\*.*?\*/|https?://", "", line)
    }
    assert found <= {home}, why
