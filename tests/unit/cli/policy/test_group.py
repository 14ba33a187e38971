"""policy apply, get: the text goes and comes as it is."""

from __future__ import annotations

from tests import packets


def test_a_file_or_stdin_is_applied_whole(agent, segctl, tmp_path, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "ann")
    file = tmp_path / "policy"
    file.write_text("# ä\nrules: []\n", encoding="utf-8")
    assert (
        segctl("policy", "apply", "-f", str(file), "-m", "for the shop").exit_code == 0
    )
    done = segctl("policy", "apply", "-f", "-", "--dry-run", input="from stdin")
    assert "would change" in done.stdout
    assert [body for _, _, body in agent.asked] == [
        {
            "text": "# ä\nrules: []\n",
            "dry_run": False,
            "author": "ann",
            "comment": "for the shop",
        },
        {"text": "from stdin", "dry_run": True, "author": "ann", "comment": ""},
    ]


def test_a_file_that_is_no_text_is_wrong_usage(agent, segctl, tmp_path):
    file = tmp_path / "policy"
    file.write_bytes(b"\xff\xfe")
    assert segctl("policy", "apply", "-f", str(file)).exit_code == 2


def test_get_gives_the_text_back_alone(agent, segctl):
    assert segctl("policy", "get").stdout == "# mine\n"


def test_open_flows_that_change_their_verdict_are_told(agent, segctl):
    done = segctl("policy", "apply", "-f", "-", "--dry-run", input="x")
    assert done.stdout.splitlines()[-3:] == [
        (
            "of the 20000 open flows looked at, 3 would be denied that passed, "
            "1 would be allowed that did not"
        ),
        "  - web → db tcp/5432: 3 flows, rule 7",
        f"  + {packets.world_ip4} → web icmp: 1 flow, no rule",
    ]
