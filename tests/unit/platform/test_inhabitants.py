"""Who lives in a namespace is known by processes and threads, and not finding out is no answer."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pyctl.errors import SegctlError
from pyctl.platform import inhabitants, netns
from pyctl.platform.process import process_alive, process_ref

LEADERLESS = """
import ctypes, sys, threading
threading.Thread(target=sys.stdin.read).start()
print("ready", flush=True)
ctypes.CDLL(None).syscall(60, 0)
"""
"""Its first thread ends; the other one lives until its input does."""


@pytest.fixture
def leaderless() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", LEADERLESS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout
        child.stdout.readline()
        with open(f"/proc/{child.pid}/stat", "rb") as file:  # noqa: PTH123
            while b") Z " not in file.read():
                file.seek(0)
        yield child.pid
        assert child.stdin
        child.stdin.close()


def test_a_process_lives_on_in_its_other_threads(leaderless: int) -> None:
    ref = process_ref(leaderless)
    assert ref.netns == process_ref(os.getpid()).netns
    assert process_alive(ref)


def test_the_oldest_one_is_found_and_this_process_is_not_counted(
    monkeypatch: pytest.MonkeyPatch, leaderless: int
) -> None:
    here = process_ref(os.getpid()).netns
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as younger:
        pids = [younger.pid, os.getpid(), leaderless]
        monkeypatch.setattr(os, "scandir", _only(pids))
        found = inhabitants.inhabitants({here, (0, 0)})
        assert found.oldest == {here: process_ref(leaderless)}
        assert found.whole
        fd = inhabitants.find(here, 0, 0)
        assert fd is None, "an inode number is not enough"


def _only(pids: list[int]):
    """/proc as if it had these processes alone; their threads as they are."""
    scandir = os.scandir

    class Entries(list):
        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None: ...

    class Entry:
        def __init__(self, pid: int) -> None:
            self.name = str(pid)

    return lambda path: Entries(map(Entry, pids)) if path == "/proc" else scandir(path)


def test_no_descriptor_left_does_not_mean_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ref = process_ref(os.getpid())

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(SegctlError, match="too many open files"):
        inhabitants.inhabitants({ref.netns})
    monkeypatch.setattr(os, "stat", refused)
    with pytest.raises(SegctlError, match="too many open files"):
        process_alive(ref)
    with pytest.raises(SegctlError) as caught:
        process_ref(os.getpid())
    assert caught.value.code == "failed"


@pytest.mark.parametrize(("alone", "whole"), [(False, True), (True, False)])
def test_one_who_may_not_be_looked_at_may_be_there_where_no_other_is(
    monkeypatch: pytest.MonkeyPatch, *, alone: bool, whole: bool
) -> None:
    """Process 1 of an outer container is in the namespace of others as a rule."""
    file_of, files = inhabitants.netns_file, inhabitants._net_files

    def refused(pid: int, *wanted: object) -> object:
        if pid == os.getppid():
            raise PermissionError(errno.EACCES, "not yours")
        return file_of(pid, *wanted)

    monkeypatch.setattr(inhabitants, "netns_file", refused)
    if alone:
        monkeypatch.setattr(
            inhabitants,
            "_net_files",
            lambda pid: 1 if pid == os.getppid() else files(pid),
        )
    found = inhabitants.Inhabitants()
    inhabitants._pass({(0, 0)}, found, every_thread=False)
    assert found.whole is whole


def test_a_namespace_is_searched_among_those_with_a_process_each_asked_once() -> None:
    here = process_ref(os.getpid()).netns
    asked = []

    def fits(fd: int) -> bool:
        asked.append(netns.identity(fd))
        return asked[-1] == here

    found = inhabitants.search(fits)
    assert found is not None
    assert netns.identity(found) == here
    os.close(found)
    assert len(asked) == len(set(asked))
    assert inhabitants.search(lambda _: False) is None
