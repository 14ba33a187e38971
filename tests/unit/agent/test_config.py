"""The agent's configuration: what it means, and every error at once."""

from __future__ import annotations

import pytest

from pyctl.agent.config import DEFAULT, Config, parse, read, with_workers
from pyctl.errors import NotFoundError, UsageError
from pyctl.model.workload import DatapathKind, Fail, Mode
from pyctl.policy.document.types import Selector
from pyctl.state.requests import AutoAttach

WHOLE = """
apiVersion: segctl/v1
container-hosts: [unix:///run/podman/podman.sock, /run/docker.sock]
auto-attach:
  - {selector: {labels: {tier: web}}, mode: protect, datapath: u32, fail: closed}
  - selector: {name: "*"}
flow-map: {max-entries: 5000}
workers: 3
"""


def test_a_whole_configuration_is_read():
    assert parse(WHOLE) == Config(
        ("unix:///run/podman/podman.sock", "/run/docker.sock"),
        (
            AutoAttach(
                Selector(labels=(("tier", "web"),)),
                Mode.PROTECT,
                DatapathKind.U32,
                Fail.CLOSED,
            ),
            AutoAttach(Selector(name="*")),
        ),
        flow_map_entries=5000,
        workers=3,
    )


def test_every_error_is_told_with_its_path():
    with pytest.raises(UsageError) as caught:
        parse(
            "apiVersion: v1\ncontainer-hosts: [tcp://x]\nwho: me\nauto-attach:\n"
            "  - {mode: quarantine}\n  - {selector: {}, datapath: dpdk, fail: maybe}\n"
            "flow-map: {max-entries: -1}\nworkers: 17\n"
        )
    for path in (
        "apiVersion",
        "container-hosts[0]",
        "who",
        "auto-attach[0].selector",
        "auto-attach[0].mode",
        "auto-attach[1].selector",
        "auto-attach[1].datapath",
        "auto-attach[1].fail",
        "flow-map.max-entries",
        "workers",
    ):
        assert f"\n  {path}" in str(caught.value)


def test_only_a_file_that_was_named_must_exist(tmp_path):
    assert read(tmp_path / "none", must_exist=False) is DEFAULT
    with pytest.raises(NotFoundError):
        read(tmp_path / "none")
    (tmp_path / "some").write_text(WHOLE)
    assert read(tmp_path / "some") == parse(WHOLE)


def test_so_many_engines_as_are_asked_for_or_one_for_each_four_cpus(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(12))
    assert parse("apiVersion: segctl/v1\n").workers == 3
    assert with_workers(DEFAULT, 16).workers == 16
    for number in (0, 17):
        with pytest.raises(UsageError, match="from 1 to 16"):
            with_workers(DEFAULT, number)
