"""policy apply, get: the text goes and comes as it is."""

from __future__ import annotations


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
