"""The loader without its compiler: source text, hashes, and how a child's failure comes back."""

from __future__ import annotations

import json
import subprocess

import pytest

from pyctl.datapath import loader
from pyctl.errors import NotCapableError, SegctlError
from pyctl.model.instance import Instance


def child(code, out="", err=""):
    return subprocess.CompletedProcess(["loader"], code, out, err)


def test_messages_of_the_compiler_name_the_right_file():
    text = loader.source_text()
    for name in ("vex", "vin", "vbr"):
        assert f'#line 1 "bpf/seg_from_{name}.bpf.c"' in text


def test_a_changed_header_is_another_program(tmp_path, monkeypatch):
    before = loader.source_hash()
    for file in loader.SOURCES.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(loader, "SOURCES", tmp_path)
    assert loader.source_hash() == before
    with (tmp_path / "seg_check.h").open("a") as header:
        header.write("/* changed */\n")
    assert loader.source_hash() != before


def test_a_told_failure_comes_back_as_itself(monkeypatch):
    told = {
        "code": "not-capable",
        "tried": "importing bcc",
        "state": "",
        "advice": "install it",
        "errno": None,
    }
    monkeypatch.setattr(loader, "is_loaded", lambda _: False)
    monkeypatch.setattr(
        loader.subprocess,
        "run",
        lambda *_, **__: child(4, json.dumps(told), "clang says no"),
    )
    with pytest.raises(NotCapableError) as caught:
        loader.ensure_loaded(Instance("one"))
    assert caught.value.advice == "install it"
    assert "clang says no" in caught.value.state


@pytest.mark.parametrize("out", ["", "not json", '{"code": "unheard-of"}'])
def test_a_child_that_dies_is_told_with_its_last_words(monkeypatch, out):
    monkeypatch.setattr(loader, "is_loaded", lambda _: False)
    monkeypatch.setattr(
        loader.subprocess, "run", lambda *_, **__: child(-9, out, "killed")
    )
    with pytest.raises(SegctlError) as caught:
        loader.ensure_loaded(Instance("one"))
    assert caught.value.state == "killed"


def test_a_child_that_hangs_is_ended(monkeypatch):
    def hang(*_, **options):
        raise subprocess.TimeoutExpired("loader", options["timeout"])

    monkeypatch.setattr(loader, "is_loaded", lambda _: False)
    monkeypatch.setattr(loader.subprocess, "run", hang)
    with pytest.raises(SegctlError, match=str(loader.SECONDS)):
        loader.ensure_loaded(Instance("one"))


def test_nothing_is_started_where_all_is_there(monkeypatch):
    monkeypatch.setattr(loader, "is_loaded", lambda _: True)
    monkeypatch.setattr(
        loader.subprocess, "run", lambda *_, **__: pytest.fail("started")
    )
    loader.ensure_loaded(Instance("one"))


def test_another_package_named_bcc_is_recognised(monkeypatch, tmp_path):
    """PyPI's `bcc` is not the compiler."""
    (tmp_path / "bcc.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(loader.sys.modules, "bcc", raising=False)
    with pytest.raises(NotCapableError, match=r"bcc\.py"):
        loader._import_bcc()
    monkeypatch.delitem(loader.sys.modules, "bcc", raising=False)
