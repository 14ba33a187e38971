from __future__ import annotations

import subprocess
import sys

import pytest

from fallback_tc.__main__ import main
from fallback_tc.pair import CLASSIC, Options, Steering
from fallback_tc.plan import guard, ruleset
from fallback_tc.render import add, deletions
from tests.unit.fallback_tc.makers import PAIR
from tests.unit.fallback_tc.seeds import EXPLAINED

ASKED = [
    *("--ex", PAIR.vex, "--in", PAIR.vin, "--bridge", PAIR.bridge),
    *("--mac", PAIR.mac, "--ucmac", PAIR.ucmac),
    *("--pref-ex", str(PAIR.pref_ex), "--pref-in", str(PAIR.pref_in)),
    *("--broadcast", PAIR.broadcasts[0]),
]


def printed(capsys, *arguments):
    assert main([*arguments, *ASKED]) == 0
    return capsys.readouterr().out.splitlines()


def test_classic_prints_the_explained_rules_as_they_are_written():
    done = subprocess.run(
        [sys.executable, "-m", "fallback_tc", "--classic", *ASKED[:-2]],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == EXPLAINED
    assert not done.stderr


@pytest.mark.parametrize("steering", list(Steering))
def test_without_classic_the_bridges_guard_and_the_closed_set_are_printed(
    steering, capsys
):
    options = [] if steering is Steering.FORWARD else [f"--{steering}"]
    rules = (*guard(PAIR.bridge), *ruleset(PAIR, steering))
    lines = printed(capsys, *options)
    assert lines == [add(rule) for rule in rules]
    assert all(" parent ffff:fff2 " in line for line in lines)


def test_the_classic_quarantine_takes_all_away(capsys):
    lines = printed(capsys, "--classic", "--quarantine")
    assert lines == deletions(ruleset(PAIR, options=CLASSIC))


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("ipv6", "ipv6"),
        ("drop-spoofed", "drop_spoofed"),
        ("drop-forged", "drop_forged"),
        ("drop-stray", "drop_stray"),
        ("drop-other", "drop_other"),
        ("loop-guard", "loop_guard"),
    ],
)
def test_each_hole_can_be_closed_or_left_open_alone(option, name, capsys):
    open_one = Options(**{name: False})
    expected = [*guard(PAIR.bridge, open_one), *ruleset(PAIR, options=open_one)]
    assert printed(capsys, f"--no-{option}") == [add(rule) for rule in expected]
    closed = printed(capsys, "--classic", f"--{option}")
    assert len(closed) >= len(EXPLAINED.splitlines())
    assert closed != EXPLAINED.splitlines()


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [*ASKED, "--tap", "--quarantine"],
        [*ASKED, "--mac", PAIR.ucmac],
        [*ASKED, "--pref-in", str(PAIR.pref_ex)],
        [*ASKED, "--pref-in", "10001"],
        [*ASKED, "--ex", "a name"],
    ],
    ids=["nothing", "two steerings", "mac", "prefs", "taken", "device"],
)
def test_wrong_usage_ends_with_2_and_prints_no_rule(wrong, capsys):
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2
    assert not capsys.readouterr().out
