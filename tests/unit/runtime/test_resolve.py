"""Asking runtimes in turn: the first that knows answers, silence is told apart from no."""

from __future__ import annotations

import pytest

from pyctl.errors import NotCapableError, NotFoundError, RefusedError, UsageError
from pyctl.runtime.base import Container, Unreachable
from pyctl.runtime.docker import DockerApi
from pyctl.runtime.podman import PodmanProgram
from pyctl.runtime.resolve import first_that_knows, resolve, runtimes
from tests.unit.runtime.fake_docker import docker_at, inspected

SHOP = Container("ab" * 32, "shop", 4242, "docker")


class RuleResult:
    """A runtime that answers, or raises, this."""

    def __init__(self, answer):
        self.answer = answer

    def find(self, reference):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


SILENT = RuleResult(Unreachable("socket s does not exist"))


def test_the_first_that_knows_answers():
    assert (
        first_that_knows("shop", [SILENT, RuleResult(None), RuleResult(SHOP)]) is SHOP
    )


def test_a_refusal_is_not_asked_around():
    with pytest.raises(RefusedError):
        first_that_knows(
            "shop", [RuleResult(RefusedError("it is exited")), RuleResult(SHOP)]
        )


def test_an_unknown_name_tells_who_could_not_be_asked():
    with pytest.raises(NotFoundError, match="socket s does not exist"):
        first_that_knows("shop", [SILENT, RuleResult(None)])


def test_no_runtime_at_all_names_what_was_tried():
    with pytest.raises(NotCapableError, match=r"socket s.*; socket s"):
        first_that_knows("shop", [SILENT, SILENT])


def test_a_named_host_is_asked_and_no_other(tmp_path):
    path = tmp_path / "podman.sock"
    with docker_at(path, {"shop": (200, inspected())}):
        found = resolve("shop", None, {"DOCKER_HOST": f"unix://{path}"})
    assert found.runtime == "podman"


@pytest.mark.parametrize(
    ("host", "environment", "asked"),
    [
        ("/a", {"DOCKER_HOST": "/b", "CONTAINER_HOST": "/c"}, "/a"),
        (None, {"DOCKER_HOST": "/b", "CONTAINER_HOST": "/c"}, "/c"),
        (None, {"DOCKER_HOST": "/b", "CONTAINER_HOST": ""}, "/b"),
    ],
)
def test_the_argument_beats_the_environment(host, environment, asked):
    (only,) = runtimes(host, environment)
    assert str(only.socket) == asked


def test_without_a_host_the_usual_places_are_asked():
    kinds = [type(each) for each in runtimes(None, {})]
    assert kinds == [DockerApi, DockerApi, PodmanProgram]


def test_a_daemon_elsewhere_is_refused():
    """Its pids are another machine's: they would name a stranger here."""
    with pytest.raises(UsageError, match="DOCKER_HOST"):
        runtimes(None, {"DOCKER_HOST": "tcp://docker.example.org:2375"})
