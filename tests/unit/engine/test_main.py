"""The engine's process: one for each instance, with rings or without, and what it serves."""

from __future__ import annotations

import fcntl
import json
import os
from types import SimpleNamespace
from typing import Self

import pytest

from pyctl.engine import main as module
from pyctl.engine.main import run
from pyctl.errors import RefusedError, SegctlError
from pyctl.model.instance import Instance


class World:
    """Engine, servers and rings that only write down what they are told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.refuses: dict[str, Exception] = {}
        self.while_serving = lambda: None

    def step(self, name: object) -> None:
        self.told.append(name)
        if name in self.refuses:
            raise self.refuses[name]

    def engine(self, *, cache: bool, worker: object) -> Part:
        self.cache = cache
        return Part(self, "engine")

    def requests(self, _engine, instance) -> SimpleNamespace:
        assert instance.name == "segt-main"
        return SimpleNamespace(open_maps=lambda: self.step("open maps"))

    def server(self, path, _requests) -> SimpleNamespace:
        self.step(f"listen on {path.name}")
        return SimpleNamespace(serve=self._serve)

    def _serve(self) -> None:
        self.step("serve")
        self.while_serving()

    def open_rings(self, netns) -> SimpleNamespace:
        self.step(f"open rings in {netns.name}")
        return SimpleNamespace(fds=(1, 2))

    def dp(self, path, _dispatcher) -> Part:
        self.step(f"dp on {path.name}")
        return Part(self, "dp")


class Part:
    """Something that is opened and closed."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.world.told.append(f"close {self.name}")

    def set_rings(self, fds) -> None:
        self.world.step(("rings", fds))

    def stats(self) -> dict[str, int]:
        return {"sessions": 3}


@pytest.fixture
def world(monkeypatch, tmp_path):
    made = World()
    monkeypatch.setattr(Instance, "run_dir", property(lambda _: tmp_path / "run"))
    monkeypatch.setattr(Instance, "netns", property(lambda _: tmp_path / "netns"))
    monkeypatch.setattr(module, "Engine", made.engine)
    monkeypatch.setattr(module, "Requests", made.requests)
    monkeypatch.setattr(module, "Server", made.server)
    monkeypatch.setattr(module, "open_rings", made.open_rings)
    monkeypatch.setattr(module, "DpServer", made.dp)
    monkeypatch.setattr(module, "Dispatcher", lambda _, *, log_level: log_level)
    return made


ONE = Instance("segt-main")


def test_an_engine_serves_and_ends_cleanly(world, capsys):
    assert run(ONE) == 0
    assert world.told == ["open maps", "listen on engine.sock", "serve", "close engine"]
    assert world.cache
    ready, ends = map(json.loads, capsys.readouterr().err.splitlines())
    assert (ready["event"], ready["pid"]) == ("engine ready", os.getpid())
    assert (ends["event"], ends["sessions"]) == ("engine ends", 3)
    assert ONE.run_dir.stat().st_mode & 0o077 == 0


def test_of_two_engines_the_second_is_refused_and_the_first_goes_on(world):
    def second() -> None:
        world.while_serving = lambda: None
        with pytest.raises(RefusedError, match="second engine of instance segt-main"):
            run(ONE)

    world.while_serving = second
    assert run(ONE) == 0
    assert world.told.count("serve") == 1
    assert run(ONE) == 0, "the lock ends with its engine"


def test_the_lock_ends_with_an_engine_that_fails(world):
    world.refuses["serve"] = SegctlError("no socket")
    with pytest.raises(SegctlError, match="no socket"):
        run(ONE)
    assert world.told[-1] == "close engine"
    with (ONE.run_dir / "engine.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_pins_that_are_refused_are_a_warning(world, capsys):
    world.refuses["open maps"] = SegctlError("another layout")
    assert run(ONE, log_level="warning", cache=False) == 0
    assert "serve" in world.told
    assert not world.cache
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "maps refused"


@pytest.mark.parametrize(
    ("with_rings", "dp", "there", "opens"),
    [
        (False, False, True, False),
        (True, False, False, True),
        (True, False, True, True),
        (True, True, False, False),
        (True, True, True, True),
        (False, True, True, False),
    ],
)
def test_rings_are_opened_at_once_only_where_asked_for(
    world, tmp_path, with_rings, dp, there, opens
):
    """With dp, the namespace may be another's, which ctrl_add_srvc_port names later."""
    if there:
        (tmp_path / "netns").touch()
    socket = tmp_path / "dp.sock" if dp else None
    assert run(ONE, with_rings=with_rings, dp_socket=socket) == 0
    opened = [one for one in ("open rings in netns", ("rings", (1, 2))) if opens]
    assert [one for one in world.told if "rings" in str(one)] == opened
    assert ("dp on dp.sock" in world.told) is dp
    assert world.told[-1] == "close engine"
    if dp:
        assert world.told[-3:-1] == ["serve", "close dp"]


def test_rings_that_cannot_be_opened_end_it(world):
    world.refuses["open rings in netns"] = SegctlError("no such namespace")
    with pytest.raises(SegctlError, match="no such namespace"):
        run(ONE, with_rings=True)
    assert "serve" not in world.told
    assert world.told[-1] == "close engine"
