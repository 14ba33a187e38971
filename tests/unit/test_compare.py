"""scripts/compare-datapaths: rounds, ratios, verdicts, the table. Nothing is measured here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from scripts.bench import datapaths
from scripts.bench.figures import datapaths as figures
from scripts.bench.figures.report import aligned
from scripts.bench.rounds import Rounds
from tests.lab.datapath import pairs
from tests.lab.pace import LabError


def runs(key, **by_path):
    return [
        {"round": number, "path": path, key: value}
        for path, values in by_path.items()
        for number, value in enumerate(values)
    ]


def streams(decided, classic):
    told = runs("gbit_s", base=[2.0] * 3, decided=decided, classic=classic)
    return [one | {"cpu_ms_per_gbit": 1000 / one["gbit_s"]} for one in told]


def named(rows):
    return {row.name: row for row in rows}


def world(name):
    return SimpleNamespace(name=name, agent=None)


def rounds_of(*names):
    made = Rounds(lab=None)
    made.worlds = [world(name) for name in names]
    return made


def test_a_ratio_is_taken_between_runs_of_one_round():
    raw = {"stream_up_1": streams([8.0, 4.0, 8.0], [1.0, 1.0, 2.0])}
    row = named(figures.rows_of(raw))["stream_up_1_decided_classic"]
    assert row.values == [8.0, 4.0, 4.0]
    assert row.held


@pytest.mark.parametrize(("decided", "held"), [([4.0] * 3, True), ([3.9] * 3, False)])
def test_the_factor_over_the_classic_path_is_judged(decided, held):
    rows = figures.rows_of({"stream_up_1": streams(decided, [1.0] * 3)})
    (line,) = figures.verdicts(rows)
    assert line.startswith("held " if held else "NOT HELD")
    assert "(≥ 4)" in line


@pytest.mark.parametrize(("cost", "held"), [(1150.0, True), (1160.0, False)])
def test_growth_is_judged_for_ebpf_and_told_for_u32(cost, held):
    raw = {
        "growth_back": runs(
            *("ns",), ebpf_1=[1000.0], ebpf_1000=[cost], u32_1=[1e3], u32_1000=[2e4]
        )
    }
    rows = figures.rows_of(raw)
    ebpf, u32 = figures.verdicts(rows)
    assert ebpf.startswith("held " if held else "NOT HELD")
    assert u32.startswith("beside")
    assert "20" in u32


def test_a_target_that_could_not_be_measured_is_named():
    rows = figures.rows_of({"stream_up_1": streams([4.0] * 3, [1.0] * 3)})
    missing = figures.targets(rows, {"decided", "classic"}, {"stream"})
    assert missing == ["TCP stream server → client, 1 flow"]
    assert not figures.targets([], {"base", "engine"}, {"stream"})
    assert len(figures.targets([], {"engine"}, {"growth"})) == 2


def test_the_table_has_medians_spread_and_ratios_by_path():
    raw = {"stream_up_1": streams([8.0, 4.0, 8.0], [1.0, 1.0, 2.0])}
    lines = figures.table(figures.rows_of(raw)).splitlines()
    assert lines[0].split()[-1] == "off"
    assert lines[2].split()[-5:] == ["2.00", "8.00", "-", "-", "1.00"]
    assert lines[3].split() == ["spread", "2.00…2.00", "4.00…8.00", "1.00…2.00"]
    assert lines[4].split()[-2:] == ["4.00", "0.50"]
    assert figures.table([]) == ""


def test_growth_has_a_column_for_each_size():
    raw = {"growth_back": runs("ns", u32_1=[100.0], u32_100=[300.0])}
    text = figures.table(figures.rows_of(raw)).splitlines()
    assert text[2].split()[-4:] == ["100", "-", "300", "-"]
    assert text[-1].split()[-1] == "3.00"
    curves = figures.growth_curves(raw)
    assert curves == {("growth_back", "u32"): {1: [100.0], 100: [300.0]}}


def test_columns_are_as_wide_as_what_is_in_them():
    assert aligned([("a", "b"), ("long", "1")], left={0}) == [
        "a     b",
        "────  ─",
        "long  1",
    ]


def test_the_order_rotates_and_each_round_has_every_path():
    made = rounds_of("base", "decided", "u32")
    seen = []
    made.interleave("rr", 3, lambda one: seen.append(one.name) or {"per_s": 1.0})
    assert seen == [
        *("base", "decided", "u32"),
        *("decided", "u32", "base"),
        *("u32", "base", "decided"),
    ]
    assert [one["round"] for one in made.raw["rr"]] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_one_hiccup_is_forgiven_and_a_broken_path_spares_the_others():
    made = rounds_of("base", "u32")
    tries = {"base": 0, "u32": 0}

    def measure(one):
        tries[one.name] += 1
        if one.name == "u32" or tries["base"] == 1:
            raise LabError("no answer")
        return {"per_s": 1.0}

    made.interleave("rr", 3, measure)
    assert [one["path"] for one in made.raw["rr"]] == ["base"] * 3
    assert tries == {"base": 4, "u32": 2}
    assert made.problems == ["rr, u32: LabError: no answer"]


def test_the_measured_pair_has_links_of_its_own():
    size = figures.SIZES[-1]
    made = [pairs.pair_of(number) for number in range(1, size + 1)]
    ends = [index for one in made for index in (one.vex_ifindex, one.vin_ifindex)]
    assert len(set(ends)) == len(ends) == 2 * size


@pytest.mark.parametrize(
    ("vm", "ended", "told"),
    [
        (None, ["interrupted"], "tried rr on this kernel; interrupted"),
        ("6.1", [], "tried rr in a guest with kernel 6.1; the run ended without"),
    ],
)
def test_a_run_without_results_says_what_was_tried(vm, ended, told):
    asked = SimpleNamespace(vm=vm, figure=["rr"])
    assert told in datapaths.nothing_measured(asked, ended)
