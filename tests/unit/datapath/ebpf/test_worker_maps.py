"""Each worker's maps are found by the programs before they are pinned, and go with the worker."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import ClassVar, Self

import pytest

from pyctl.datapath.ebpf import worker_maps
from pyctl.datapath.pins import WORKER_MAPS, worker_pin
from pyctl.errors import NotFoundError, SegctlError
from pyctl.platform.bpf import commands as bpf

LAYOUT = bpf.MapLayout(2, 4, 8, 16)


class Played:
    """A map whose pin is a file; an array remembers what was put into it."""

    arrays: ClassVar[dict[str, dict[bytes, bytes]]] = {}
    refuses = False
    numbers = iter(range(10, 10000))

    def __init__(self, name: str, layout: bpf.MapLayout) -> None:
        self.name, self.layout = name, layout
        self.fd = next(self.numbers)
        self.closed = False

    @classmethod
    def create(cls, name, layout, inner=None) -> Played:
        return cls(name, layout)

    @classmethod
    def open(cls, path: Path) -> Played:
        if not path.exists():
            raise NotFoundError("no pin")
        return cls(path.name, LAYOUT)

    def pin(self, path: Path) -> None:
        if self.refuses:
            raise SegctlError("no room")
        path.touch()

    def update(self, key: bytes, value: bytes) -> None:
        self.arrays.setdefault(self.name, {})[key] = value

    def delete(self, key: bytes) -> None:
        del self.arrays[self.name][key]

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def pins(monkeypatch, tmp_path) -> Path:
    """Name: pins. Scope: function. A folder with the arrays' pins."""
    monkeypatch.setattr(Played, "arrays", {})
    monkeypatch.setattr(bpf, "Map", Played)
    for name in WORKER_MAPS:
        (tmp_path / name).touch()
    return tmp_path


def there(pins: Path) -> set[str]:
    return {path.name for path in pins.iterdir() if "-" in path.name}


def test_workers_that_come_get_maps_and_those_that_go_lose_them(pins):
    worker_maps.keep(pins, 3)
    more = {worker_pin(name, worker) for name in WORKER_MAPS for worker in (1, 2)}
    assert there(pins) == more
    assert {len(found) for found in Played.arrays.values()} == {2}
    before = {name: dict(found) for name, found in Played.arrays.items()}
    worker_maps.keep(pins, 3)
    assert Played.arrays == before, "what is there is left alone"
    worker_maps.keep(pins, 1)
    assert there(pins) == set()
    assert not any(Played.arrays.values())


def test_a_map_that_could_not_be_pinned_is_made_again(pins, monkeypatch):
    monkeypatch.setattr(Played, "refuses", True)
    with pytest.raises(SegctlError):
        worker_maps.keep(pins, 2)
    monkeypatch.setattr(Played, "refuses", False)
    worker_maps.keep(pins, 2)
    assert len(there(pins)) == len(WORKER_MAPS)


def test_a_map_is_opened_or_made_and_another_layout_is_refused(pins):
    made = worker_maps.ensure_map(pins / "one", "one", LAYOUT)
    assert (pins / "one").exists()
    assert made.fd != worker_maps.ensure_map(pins / "one", "one", LAYOUT).fd
    other = bpf.MapLayout(2, 4, 8, 17)
    with pytest.raises(SegctlError, match="needs"):
        worker_maps.ensure_map(pins / "one", "one", other)


def test_what_cannot_be_pinned_is_closed(pins, monkeypatch):
    made: list[Played] = []
    create = Played.create
    monkeypatch.setattr(
        Played,
        "create",
        lambda *args: made.append(create(*args)) or made[-1],
    )
    monkeypatch.setattr(Played, "refuses", True)
    with contextlib.suppress(SegctlError):
        worker_maps.ensure_map(pins / "one", "one", LAYOUT)
    assert made[0].closed


def test_the_first_workers_maps_are_those_that_the_arrays_are_made_for(
    pins, monkeypatch
):
    monkeypatch.setattr(worker_maps, "ensure_map", lambda path, name, layout: path.name)
    assert worker_maps.first_maps(pins) == {
        name: worker_pin(name, 0) for name in WORKER_MAPS
    }
