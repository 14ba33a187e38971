"""policy schema: JSON alone, without an agent."""

from __future__ import annotations

import json


def test_the_schema_needs_no_agent(segctl):
    done = segctl("policy", "schema")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["properties"]["rules"]
