"""The loader without its compiler: source text, hashes, and how a child's failure comes back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import pytest

from pyctl.datapath.ebpf import loader
from pyctl.datapath.ebpf.skb_layout import SkbLayout
from pyctl.datapath.pins import MAPS, PROGRAMS, WORKER_MAPS, pin_dir, worker_pin
from pyctl.errors import (
    NotCapableError,
    NotFoundError,
    NotPermittedError,
    SegctlError,
)
from pyctl.model.instance import Instance
from pyctl.platform.bpf.commands import MapLayout


@pytest.fixture
def child(monkeypatch) -> Callable[..., None]:
    """Name: child. Scope: function. What takes the loader's place from the call on: a program and its words."""

    def be(program: str, *words: str) -> None:
        command = [sys.executable, "-c", f"import os, sys, time; {program}", *words]
        monkeypatch.setattr(loader, "_command", lambda _: command)

    monkeypatch.setattr(loader, "is_loaded", lambda _: False)
    return be


def test_messages_of_the_compiler_name_the_right_file():
    text = loader.source_text()
    for name in ("vex", "vin", "vbr"):
        assert f'#line 1 "bpf/seg_from_{name}.bpf.c"' in text


def test_a_changed_header_is_another_program(tmp_path, monkeypatch):
    before = loader.source_hash()
    shutil.copytree(loader.SOURCES, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(loader, "SOURCES", tmp_path)
    assert loader.source_hash() == before
    with (tmp_path / "lib/seg_check.h").open("a") as header:
        header.write("/* changed */\n")
    assert loader.source_hash() != before


def test_a_told_failure_comes_back_as_itself(child):
    told = {
        "code": "not-capable",
        "tried": "importing bcc",
        "state": "",
        "advice": "install it",
        "errno": None,
    }
    says = "print(sys.argv[1]); sys.stderr.write('clang says no'); sys.exit(4)"
    child(says, json.dumps(told))
    with pytest.raises(NotCapableError) as caught:
        loader.ensure_loaded(Instance("one"))
    assert caught.value.advice == "install it"
    assert "clang says no" in caught.value.state


@pytest.mark.parametrize("out", ["", "not json", '{"code": "unheard-of"}'])
def test_a_child_that_dies_is_told_with_its_last_words(child, out):
    child(
        "print(sys.argv[1], flush=True); sys.stderr.write('killed'); sys.stderr.flush();"
        "os.kill(os.getpid(), 9)",
        out,
    )
    with pytest.raises(SegctlError, match="-9") as caught:
        loader.ensure_loaded(Instance("one"))
    assert caught.value.state == "killed"


_SITS = "open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"


def test_a_child_that_hangs_is_ended(child, monkeypatch, tmp_path):
    ended = []

    def end(process):
        was_ended(process)
        ended.append(process.returncode)

    was_ended = loader._end
    child(_SITS, str(tmp_path / "pid"))
    monkeypatch.setattr(loader, "SECONDS", 0.2)
    monkeypatch.setattr(loader, "_end", end)
    with pytest.raises(SegctlError, match=r"more than 0\.2 s"):
        loader.ensure_loaded(Instance("one"))
    assert ended == [-signal.SIGKILL]


def test_a_signal_ends_the_child_too(child, interrupt, tmp_path):
    """It would go on to pin what the ending agent takes away."""
    child(_SITS, str(tmp_path / "pid"))

    def when_it_runs():
        deadline = time.monotonic() + 20
        pid = tmp_path / "pid"
        while time.monotonic() < deadline and not (pid.exists() and pid.read_text()):
            time.sleep(0.01)
        interrupt()

    watcher = threading.Thread(target=when_it_runs)
    watcher.start()
    with pytest.raises(KeyboardInterrupt):
        loader.ensure_loaded(Instance("one"))
    watcher.join()
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()


def test_nothing_is_started_where_all_is_there(monkeypatch):
    monkeypatch.setattr(loader, "is_loaded", lambda _: True)
    monkeypatch.setattr(loader, "_command", lambda _: pytest.fail("started"))
    loader.ensure_loaded(Instance("one"))


def test_another_package_named_bcc_is_recognised(monkeypatch, tmp_path):
    """PyPI's `bcc` is not the compiler."""
    (tmp_path / "bcc.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(loader.sys.modules, "bcc", raising=False)
    with pytest.raises(NotCapableError, match=r"bcc\.py"):
        loader._import_bcc()
    monkeypatch.delitem(loader.sys.modules, "bcc", raising=False)


class Bpf:
    """bcc and bpf(2), played: a pin is a file with what it holds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
        self.compiled: list[list[str]] = []
        self.kconfig = ""
        self.fails: Exception | None = None
        self.no_pin = ""
        self.closed: list[str] = []
        monkeypatch.setattr(Instance, "pin_root", property(lambda _: place / "pins"))
        monkeypatch.setattr(loader.bpf_fs, "ensure_mounted", lambda: None)
        monkeypatch.setattr(loader.bpf, "Map", self)
        monkeypatch.setattr(loader.bpf, "Descriptor", lambda fd: Pinned(self, "", fd))
        monkeypatch.setitem(sys.modules, "bcc", SimpleNamespace(BPF=self.compile))
        self.compile.__func__.SCHED_CLS = 3  # type: ignore[attr-defined]
        # The loader sets it for bcc, in a process of its own.
        monkeypatch.setenv("BCC_KERNEL_SOURCE", "")

    def open(self, path: Path) -> Pinned:
        if not path.exists():
            raise NotFoundError(f"no pin {path}")
        found = Pinned(self, path.name, 1)
        if path.read_text() == "another layout":
            found.layout = replace(found.layout, value_size=1)
        return found

    def create(
        self, name: str, layout: MapLayout, inner: Pinned | None = None
    ) -> Pinned:
        assert (name in WORKER_MAPS and layout == MAPS[name]) == (inner is not None)
        return Pinned(self, name, 2)

    def compile(self, *, text: str, cflags: list[str]) -> SimpleNamespace:
        assert text == loader.source_text()
        self.kconfig = Path(
            os.environ["BCC_KERNEL_SOURCE"], "include/linux/kconfig.h"
        ).read_text()
        self.compiled.append(cflags)
        if self.fails:
            raise self.fails
        number = len(self.compiled)
        return SimpleNamespace(load_func=lambda *_: SimpleNamespace(fd=100 + number))


class Pinned:
    """A map or a program."""

    def __init__(self, bpf: Bpf, name: str, fd: int) -> None:
        self.bpf, self.name, self.fd = bpf, name, fd
        maps = {**MAPS, **{worker_pin(one, 0): WORKER_MAPS[one] for one in WORKER_MAPS}}
        self.layout = maps[name] if name else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.bpf.closed.append(self.name)

    def update(self, key: bytes, value: bytes) -> None:
        assert (self.name in WORKER_MAPS, key) == (True, bytes(4))

    def pin(self, path: Path) -> None:
        if path.name == self.bpf.no_pin:
            raise SegctlError(f"pinning {path}: no room")
        path.write_text(str(self.fd))


ONE = Instance("segt-loader")
ALL = {*MAPS, *(worker_pin(name, 0) for name in WORKER_MAPS)}


@pytest.fixture
def played(monkeypatch, tmp_path) -> Bpf:
    return Bpf(monkeypatch, tmp_path)


def pins() -> dict[str, str]:
    """What each pin holds."""
    place = pin_dir(ONE)
    return {one.name: one.read_text() for one in place.iterdir() if one.is_file()}


def test_all_maps_and_programs_are_pinned_for_their_sources(played):
    assert not loader.is_loaded(ONE)
    loader.load(ONE)
    assert loader.is_loaded(ONE)
    assert pins() == dict.fromkeys(ALL, "2") | dict.fromkeys(PROGRAMS, "101")
    assert pin_dir(ONE).stat().st_mode & 0o077 == 0
    assert set(played.closed) == set(MAPS)
    (pin_dir(ONE) / "seg_gens").unlink()
    assert not loader.is_loaded(ONE), "each of them is looked at"


def test_maps_that_fit_keep_what_they_hold_and_programs_are_new(played):
    loader.load(ONE)
    for name in ALL:
        (pin_dir(ONE) / name).write_text("flows")
    stale = pin_dir(ONE) / "source-0123456789ab"
    stale.mkdir()
    loader.load(ONE)
    assert pins() == dict.fromkeys(ALL, "flows") | dict.fromkeys(PROGRAMS, "102")
    assert not stale.exists()
    (first, second) = (
        {one for one in flags if "SEG_MARK" in one} for flags in played.compiled
    )
    assert first == second, "frames that were marked before are known after"
    (mark,) = (int(one.partition("=")[2], 16) for one in first)
    assert mark & 1
    assert mark < 1 << 32


def test_programs_are_told_their_maps_and_every_warning_is_an_error(played):
    loader.load(ONE)
    (flags,) = played.compiled
    assert {f"-DSEG_FD_{name}=2" for name in MAPS} < set(flags)
    assert "-Werror" in flags
    assert f"-I{loader.SOURCES}" in flags
    assert "LINUX_VERSION_CODE" in played.kconfig


def test_a_map_of_another_layout_is_left_as_it_is(played):
    loader.load(ONE)
    (pin_dir(ONE) / "seg_gens").write_text("another layout")
    before = pins()
    with pytest.raises(SegctlError, match="but this version needs"):
        loader.load(ONE)
    assert pins() == before
    assert len(played.compiled) == 1
    assert played.closed[-1] != "", "what was opened is closed"


def test_a_pin_that_is_refused_closes_its_map(played):
    played.no_pin = "seg_gens"
    with pytest.raises(SegctlError, match="no room"):
        loader.load(ONE)
    assert "seg_gens" in played.closed
    assert not loader.is_loaded(ONE)


def test_programs_that_do_not_compile_leave_those_that_run(played):
    loader.load(ONE)
    before = pins()
    played.fails = RuntimeError("clang says no")
    with pytest.raises(SegctlError, match="clang says no") as raised:
        loader.load(ONE)
    assert "loaded before, if any, go on" in raised.value.state
    assert pins() == before
    played.fails, played.no_pin = None, "seg_to_port-new"
    with pytest.raises(SegctlError, match="no room"):
        loader.load(ONE)
    assert pins()["seg_to_port"] == "101"


def test_without_rights_it_says_so(played, monkeypatch):
    def mkdir(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(NotPermittedError, match="Permission denied") as raised:
        loader.load(ONE)
    assert (raised.value.errno, raised.value.advice) == (13, "run as root")


@pytest.mark.parametrize(
    ("layout", "known"),
    [
        (SkbLayout(200, 208, 140, 128, 5), True),
        (SkbLayout(200, 216, 140, 128, 5), False),
        (SkbLayout(), False),
    ],
)
def test_a_layout_that_one_read_does_not_cover_is_not_used(
    played, monkeypatch, layout, known
):
    monkeypatch.setattr(loader.skb_layout, "read", lambda: layout)
    loader.load(ONE)
    (flags,) = played.compiled
    assert f"-DSEG_SKB_HEAD={200 if known else 0}" in flags
    assert f"-DSEG_SKB_IP_SUMMED_SHIFT={5 if known else 0}" in flags


def test_the_child_prints_its_error_as_its_parent_reads_it(monkeypatch, capsys):
    error = NotCapableError("no bcc", state="none", advice="install it", errno=2)

    def load(instance: Instance) -> None:
        assert instance == ONE
        raise error

    monkeypatch.setattr(loader, "load", load)
    status = loader.main([ONE.name])
    assert status == error.exit_code
    again = loader._from_child(status, capsys.readouterr().out, "clang says no")
    assert type(again) is NotCapableError
    assert (again.tried, again.advice, again.errno) == ("no bcc", "install it", 2)
    assert again.state == "none\nclang says no"
    monkeypatch.setattr(loader, "load", lambda _: None)
    assert loader.main([ONE.name]) == 0
    assert capsys.readouterr().out == ""
