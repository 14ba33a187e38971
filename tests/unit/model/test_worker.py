"""An engine's files: the first one's have the names that the only one has."""

from __future__ import annotations

from pyctl.model.instance import Instance
from pyctl.model.worker import ALONE, Worker, workers_for


def test_the_first_worker_has_the_names_of_one_that_is_alone():
    assert Worker(0, 3).file("sock") == ALONE.file("sock") == "engine.sock"
    assert Worker(2, 3).file("log") == "engine-2.log"


def test_no_two_workers_share_a_file():
    instance = Instance("segt-worker")
    found = {instance.engine_file(Worker(number, 16), "lock") for number in range(16)}
    assert len(found) == 16
    assert {path.parent for path in found} == {instance.run_dir}


def test_there_is_one_for_each_four_cpus_and_one_at_least():
    assert [workers_for(cpus) for cpus in (1, 2, 7, 8, 64)] == [1, 1, 1, 2, 16]
