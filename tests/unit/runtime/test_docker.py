"""Docker's API: a name is a process, or the reason why not."""

from __future__ import annotations

import pytest

from pyctl.errors import RefusedError, SegctlError
from pyctl.runtime.base import Unreachable
from pyctl.runtime.docker import DockerApi
from tests.unit.runtime.fake_docker import docker_at, inspected


@pytest.fixture
def path(tmp_path):
    return tmp_path / "docker.sock"


def test_a_name_gives_process_labels_and_image(path):
    with docker_at(path, {"shop": (200, inspected())}):
        found = DockerApi(path, "docker").find("shop")
    assert found is not None
    assert (found.pid, found.name, found.runtime) == (4242, "shop", "docker")
    assert (found.image, found.labels) == ("nginx:1", {"app": "shop"})
    assert found.short_id == "0123456789ab"


def test_an_unknown_name_is_none(path):
    with docker_at(path, {}):
        assert DockerApi(path, "docker").find("shop") is None


@pytest.mark.parametrize("status", ["exited", "created"])
def test_a_container_without_process_is_refused(path, status):
    stopped = inspected(State={"Pid": 0, "Running": False, "Status": status})
    with (
        docker_at(path, {"shop": (200, stopped)}),
        pytest.raises(RefusedError, match=status),
    ):
        DockerApi(path, "docker").find("shop")


def test_an_ambiguous_id_says_so(path):
    told = {"message": "Multiple IDs found with provided prefix: 01"}
    with (
        docker_at(path, {"01": (400, told)}),
        pytest.raises(SegctlError, match="Multiple"),
    ):
        DockerApi(path, "docker").find("01")


def test_no_socket_and_no_daemon_are_unreachable(path):
    with pytest.raises(Unreachable, match="does not exist"):
        DockerApi(path, "docker").find("shop")
    path.touch()
    with pytest.raises(Unreachable, match="does not answer"):
        DockerApi(path, "docker").find("shop")


def test_all_that_there_are_are_known_with_their_status(path):
    stopped = inspected(Id="ff" * 32, State={"Pid": 0, "Status": "exited"})
    listed = [{"Id": "a"}, {"Id": "b"}, {"Id": "gone"}]
    answers = {"json?limit=-1&all=1&size=0&trunc_cmd=0": (200, listed)}
    answers |= {"a": (200, inspected()), "b": (200, stopped)}
    with docker_at(path, answers):
        found = DockerApi(path, "docker").known()
    assert [(one.container.pid, one.status) for one in found] == [
        (4242, "running"),
        (0, "exited"),
    ]
