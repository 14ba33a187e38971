"""The loader without its compiler: source text, hashes, and how a child's failure comes back."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyctl.datapath.ebpf import loader
from pyctl.errors import NotCapableError, SegctlError
from pyctl.model.instance import Instance


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
