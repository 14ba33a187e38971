"""The podman program: the same answers as from a socket."""

from __future__ import annotations

import json

import pytest

from pyctl.errors import RefusedError, SegctlError
from pyctl.runtime.base import Unreachable
from pyctl.runtime.podman import PodmanProgram
from tests.unit.runtime.fake_docker import inspected


@pytest.fixture
def podman(tmp_path, monkeypatch):
    """Puts a podman into PATH that says this, and ends like that."""

    def install(out: str = "", err: str = "", code: int = 0) -> PodmanProgram:
        (tmp_path / "out").write_text(out)
        (tmp_path / "err").write_text(err)
        program = tmp_path / "podman"
        program.write_text(
            f"#!/bin/sh\n/bin/cat {tmp_path}/out; /bin/cat {tmp_path}/err >&2; exit {code}\n"
        )
        program.chmod(0o755)
        return PodmanProgram()

    monkeypatch.setenv("PATH", str(tmp_path))
    return install


def test_inspect_gives_process_labels_and_image(podman):
    told = inspected(Name="shop", ImageName="localhost/nginx:1")
    found = podman(json.dumps([told])).find("shop")
    assert (found.pid, found.name, found.runtime) == (4242, "shop", "podman")
    assert found.image == "localhost/nginx:1"


def test_an_unknown_name_is_none(podman):
    text = 'Error: inspecting object: no such container "shop"\n'
    assert podman("[]", text, 125).find("shop") is None


def test_a_stopped_container_is_refused(podman):
    told = inspected(State={"Pid": 0, "Status": "exited"})
    with pytest.raises(RefusedError):
        podman(json.dumps([told])).find("shop")


def test_an_ambiguous_id_says_so(podman):
    with pytest.raises(SegctlError, match="more than one"):
        podman("[]", "Error: more than one result for container ID 01\n", 125).find(
            "01"
        )


def test_a_podman_that_cannot_run_is_unreachable(podman, monkeypatch):
    with pytest.raises(Unreachable, match="storage is broken"):
        podman("", "Error: storage is broken\n", 125).find("shop")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Unreachable, match="no podman program"):
        PodmanProgram().find("shop")


def test_what_runs_and_what_starts_is_told_by_id(podman):
    """The fake says the same to `ps` and to `events`, and then ends."""
    found = podman("0123\n4567\n")
    assert found.running() == ["0123", "4567"]
    with found.starts() as starts:
        assert list(starts) == ["0123", "4567"]
        starts.cancel()
    with pytest.raises(Unreachable, match="podman ps failed"):
        podman("", "storage is broken\n", 125).running()
