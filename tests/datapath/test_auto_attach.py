"""Containers attached as they start: real runtimes, real traffic."""

from __future__ import annotations

import secrets

from tests.lab.pace import wait_for


def test_containers_are_attached_as_they_start_and_forgotten_as_they_end(
    runtime, agent_with, image_tar, tmp_path
):
    tag = f"segt-{secrets.token_hex(3)}"
    runtime.start(f"{tag}-web-early", image_tar)
    config = tmp_path / "agent.yaml"
    config.write_text(
        f"apiVersion: segctl/v1\ncontainer-hosts: ['{runtime.url}']\n"
        f"auto-attach:\n  - {{selector: {{name: '{tag}-web*'}}, mode: monitor}}\n"
    )
    agent = agent_with("--config", str(config))

    def attached() -> dict[str, str]:
        found = agent.client.workloads()["workloads"]
        return {one["name"]: one["mode"] for one in found}

    wait_for(lambda: attached() == {f"{tag}-web-early": "monitor"}, 10)
    runtime.start(f"{tag}-web-late", image_tar)
    runtime.start(f"{tag}-other", image_tar)
    wait_for(lambda: f"{tag}-web-late" in attached(), 10)
    assert f"{tag}-other" not in attached()
    assert agent.client.status()["auto_attach"] == [f"{runtime.url}: followed"]
    agent.client.detach(workload=f"{tag}-web-early")
    runtime.do("stop", "-t", "0", f"{tag}-web-late")
    wait_for(lambda: attached() == {}, 10)
    runtime.do("start", f"{tag}-web-late")
    wait_for(lambda: attached() == {f"{tag}-web-late": "monitor"}, 10)


def test_a_container_does_not_leave_its_mode_by_ending(
    runtime, agent_with, image_tar, tmp_path
):
    """Else one in quarantine would need but to exit, where its runtime starts it again."""
    name = f"segt-{secrets.token_hex(3)}-web"
    config = tmp_path / "agent.yaml"
    config.write_text(
        f"apiVersion: segctl/v1\ncontainer-hosts: ['{runtime.url}']\n"
        f"auto-attach:\n  - {{selector: {{name: '{name}'}}, mode: monitor}}\n"
    )
    agent = agent_with("--config", str(config))
    client = agent.client

    def started_anew(before: int) -> bool:
        found = client.workloads()["workloads"]
        return [one["name"] for one in found] == [name] and found[0]["pid"] != before

    def restarted() -> str:
        before = client.workload(name)["pid"]
        runtime.do("restart", "-t", "0", name)
        wait_for(lambda: started_anew(before), 10)
        return str(client.workload(name)["mode"])

    runtime.start(name, image_tar)
    wait_for(lambda: started_anew(0), 10)
    client.set_mode(name, "protect")
    client.set_mode(name, "quarantine")
    assert restarted() == "quarantine"
    agent.stop()
    runtime.do("restart", "-t", "0", name)
    agent.start("--config", str(config))
    wait_for(lambda: started_anew(0), 10)
    assert client.workload(name)["mode"] == "quarantine"
    client.set_mode(name, "auto")
    assert restarted() == "protect"
    client.detach(workload=name)
    runtime.do("restart", "-t", "0", name)
    wait_for(lambda: started_anew(0), 10)
    assert client.workload(name)["mode"] == "monitor"


def test_a_container_without_a_network_is_inspected_from_its_first_one_on(
    runtime, agent_with, image_tar, tmp_path
):
    name = f"segt-{secrets.token_hex(3)}-web"
    config = tmp_path / "agent.yaml"
    config.write_text(
        f"apiVersion: segctl/v1\ncontainer-hosts: ['{runtime.url}']\n"
        f"auto-attach:\n  - {{selector: {{name: '{name}'}}, mode: protect}}\n"
    )
    agent = agent_with("--config", str(config))

    def interfaces() -> list[int]:
        return [
            len(one["ports"])
            for one in agent.client.workloads()["workloads"]
            if one["name"] == name
        ]

    runtime.do("network", "create", "one")
    runtime.start(name, image_tar, network="one")
    wait_for(lambda: interfaces() == [1], 10)
    runtime.do("network", "disconnect", "one", name)
    wait_for(lambda: interfaces() == [0])
    runtime.do("restart", "-t", "0", name)
    wait_for(lambda: interfaces() == [0], 10)
    runtime.do("network", "connect", "one", name)
    wait_for(lambda: interfaces() == [1])


def test_a_container_may_take_the_name_of_another(
    runtime, agent_with, image_tar, tmp_path
):
    """The old one is renamed, as where a new version takes its place; then one of a name that a workload
    has which is no container.
    """
    tag = f"segt-{secrets.token_hex(3)}"
    config = tmp_path / "agent.yaml"
    config.write_text(
        f"apiVersion: segctl/v1\ncontainer-hosts: ['{runtime.url}']\n"
        f"auto-attach:\n  - {{selector: {{name: '{tag}*'}}}}\n"
    )
    agent = agent_with("--config", str(config))

    def names() -> set[str]:
        return {one["name"] for one in agent.client.workloads()["workloads"]}

    runtime.start(f"{tag}-web", image_tar)
    wait_for(lambda: names() == {f"{tag}-web"}, 10)
    runtime.do("rename", f"{tag}-web", f"{tag}-old")
    wait_for(lambda: names() == {f"{tag}-old"}, 10)
    runtime.start(f"{tag}-web", image_tar)
    wait_for(lambda: names() == {f"{tag}-old", f"{tag}-web"}, 10)
    pid = agent.client.workload(f"{tag}-old")["pid"]
    agent.client.attach(pid=pid, name=f"{tag}-db")
    new = runtime.start(f"{tag}-db", image_tar)
    wait_for(lambda: f"{tag}-db-{new['Id'][:12]}" in names(), 10)
