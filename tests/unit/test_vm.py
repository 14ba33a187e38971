"""scripts/vm: the list of kernels, the cache, and how a guest's end is told. No guest is booted."""

from __future__ import annotations

import fcntl
import io
import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.lab.pace import UnavailableError
from tests.vm import boot as vm_boot
from tests.vm import kernels as vm_kernels
from tests.vm import run as vm_run
from tests.vm.kernels import Kernel, Unpacked

KERNEL = Kernel("9.9", "linux-image-none")


def image(folder, release="9.9.1-amd64"):
    (folder / "boot").mkdir(parents=True)
    path = folder / "boot" / f"vmlinuz-{release}"
    path.touch()
    return Unpacked(path, release)


def test_the_list_names_kernels_and_tests_that_exist():
    kernels, suite = vm_kernels.read()
    assert len({kernel.name for kernel in kernels}) == len(kernels) >= 2
    assert vm_kernels.find(kernels[-1].name, kernels) == kernels[-1]
    assert suite.tests
    for test in (*suite.tests, *(test for one in kernels for test in one.also)):
        place, _, name = test.removeprefix("--deselect=").partition("::")
        if not place.startswith("-"):
            assert (vm_kernels.ROOT / place).exists()
        if name:
            source = (vm_kernels.ROOT / place).read_text(encoding="utf-8")
            function, *_ = name.split("[")
            assert f"def {function}(" in source
    with pytest.raises(UnavailableError, match="it has 6"):
        vm_kernels.find("9.9", kernels)


def test_a_kernel_in_the_cache_needs_no_network(tmp_path, monkeypatch):
    monkeypatch.setattr(vm_kernels, "CACHE", tmp_path)
    monkeypatch.setattr(vm_kernels, "run", lambda *_, **__: pytest.fail("not here"))
    cached = image(tmp_path / "9.9")
    assert vm_kernels.ready(KERNEL) == cached
    monkeypatch.setattr(
        vm_kernels, "image_package", lambda _: f"linux-image-{cached.release}"
    )
    assert vm_kernels.ready(KERNEL, refresh=True) == cached


def test_a_broken_download_leaves_nothing_that_counts_as_a_kernel(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(vm_kernels, "CACHE", tmp_path)
    monkeypatch.setattr(vm_kernels, "image_package", lambda _: "linux-image-9.9.1")

    def refused(*_, **__):
        raise UnavailableError("no network")

    monkeypatch.setattr(vm_kernels, "run", refused)
    with pytest.raises(UnavailableError, match="no network"):
        vm_kernels.ready(KERNEL)
    assert vm_kernels.unpacked(tmp_path / "9.9") is None
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_who_waited_for_a_kernel_takes_the_one_that_another_got(tmp_path, monkeypatch):
    monkeypatch.setattr(vm_kernels, "CACHE", tmp_path)
    monkeypatch.setattr(vm_kernels, "run", lambda *_, **__: pytest.fail("not twice"))
    found = []
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        other = threading.Thread(target=lambda: found.append(vm_kernels.ready(KERNEL)))
        other.start()
        cached = image(tmp_path / "9.9")
    other.join(10)
    assert found == [cached]


def test_a_host_without_apt_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="no apt-cache here"):
        vm_kernels.image_package("linux-image-none")


def test_a_failed_program_is_told_with_what_it_said():
    with pytest.raises(UnavailableError, match="no such mirror"):
        vm_kernels.run("sh", "-c", "echo no such mirror >&2; exit 100")
    with pytest.raises(UnavailableError, match="no segctl-none here"):
        vm_kernels.run("segctl-none")


@pytest.mark.parametrize(
    ("console", "started", "deadline_s", "told"),
    [
        ("Kernel panic - not syncing", 9.0, None, "panicked while the command ran"),
        ("Kernel panic - not syncing", None, 60.0, "panicked before the command"),
        (
            "",
            9.0,
            60.0,
            "hung, or was too slow: ended at its deadline of 60 s, while the command ran",
        ),
        ("", None, None, "ended before the command started"),
    ],
)
def test_a_bad_end_is_told_by_its_kind(console, started, deadline_s, told):
    assert told in vm_boot.fault(console, started, deadline_s)


def test_the_guests_command_keeps_words_variables_and_exit_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = [sys.executable, "-c", "import os, sys; print(sys.argv[1], os.environ['A'])"]
    text = vm_boot.command([*argv, "a 'b\" $c"], {"A": "x y"})
    told = subprocess.run(
        ["sh", "-c", text], capture_output=True, text=True, check=True
    )
    assert told.stdout == "a 'b\" $c x y\n"
    code = vm_boot.command(["sh", "-c", "exit 255"], {})
    assert subprocess.run(["sh", "-c", code], check=False).returncode == 255


def test_lines_of_guests_at_a_time_are_told_apart():
    out = io.BytesIO()
    named = vm_boot.Named("6.1", out)
    for part in (b"one\ntw", b"o", b"\n\nthree"):
        named.write(part)
    assert out.getvalue() == b"[6.1] one\n[6.1] two\n[6.1] \n"
    named.close()
    assert out.getvalue().endswith(b"[6.1] three\n")


def test_the_suite_fails_where_a_kernel_cannot_be_run(monkeypatch, tmp_path, capsys):
    codes = {"a": 0, "b": vm_run.NO_GUEST}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(vm_run, "compile_here", lambda _: None)
    monkeypatch.setattr(
        vm_run, "run_one", lambda kernel, *_: (codes[kernel.name], "why")
    )
    kernels = tuple(Kernel(name, "") for name in codes)
    chosen = vm_kernels.Suite(("tests/kernel",), 1)
    assert vm_run.suite(kernels[:1], chosen, []) == 0
    assert vm_run.suite(kernels, chosen, []) == vm_run.NO_GUEST
    said = capsys.readouterr().err
    assert "kernel b: FAILED, why" in said
    assert "--native leaves the other kernels out" in said


def shell(script):
    """In place of virtme: what a guest leaves in the folder of its run."""
    return lambda _kernel, folder, _cpus: ["sh", "-c", f"cd {folder}; {script}"]


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """Name: runs. Scope: function. Guests are shells, and the folders of their runs are here."""
    monkeypatch.setattr(vm_boot, "RUNS", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("script", "code", "fault"),
    [
        ("touch started; echo 3 > status", 3, ""),
        ("touch started", None, "the guest ended while the command ran"),
        ("exit 1", None, "the guest ended before the command started"),
        ("touch started; exec sleep 600", None, "hung, or was too slow"),
    ],
)
def test_a_run_is_told_by_what_it_left_and_leaves_nothing(
    runs, monkeypatch, script, code, fault
):
    monkeypatch.setattr(vm_boot, "virtme", shell(script))
    ended = vm_boot.boot(Unpacked(runs, "9.9"), ["true"], 1)
    assert ended.code == code
    assert fault in ended.fault
    assert list(runs.iterdir()) == []
    assert not vm_boot.RUNNING


def test_a_guest_that_hangs_as_it_goes_down_is_not_waited_for(runs, monkeypatch):
    monkeypatch.setattr(vm_boot, "ENDS_WITHIN_S", 0.1)
    script = "touch started; echo 0 > status; exec sleep 600"
    monkeypatch.setattr(vm_boot, "virtme", shell(script))
    ended = vm_boot.boot(Unpacked(runs, "9.9"), ["true"], 600)
    assert (ended.code, ended.fault) == (0, "")
    assert ended.seconds < 60


def test_the_folder_of_a_run_that_was_killed_goes_with_a_later_one(runs):
    stale, fresh = runs / "run-stale", runs / "run-fresh"
    for folder in (stale, fresh):
        folder.mkdir()
    os.utime(stale, (0, 0))
    with vm_boot.run_folder():
        assert not stale.exists()
    assert fresh.exists()


def test_no_guest_is_started_when_all_are_being_ended(runs, monkeypatch):
    """As by the thread that was still getting its kernel."""
    monkeypatch.setattr(vm_boot, "virtme", shell("touch started; exec sleep 600"))
    monkeypatch.setattr(vm_boot, "ENDING", threading.Event())
    vm_boot.end_all()
    ended = vm_boot.boot(Unpacked(runs, "9.9"), ["true"], 600)
    assert ended.code is None
    assert ended.seconds < 60


def test_who_is_ended_leaves_no_guest(monkeypatch):
    monkeypatch.setattr(vm_boot, "ENDING", threading.Event())
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as guest:
        monkeypatch.setattr(vm_boot, "RUNNING", {guest})
        with pytest.raises(SystemExit, match="143"):
            vm_run.stop(signal.SIGTERM, None)
        assert guest.wait(timeout=10) == -signal.SIGKILL
