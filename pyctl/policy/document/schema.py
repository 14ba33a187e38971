"""The policy document as JSON Schema (draft 2020-12), for editors and CI.

In: nothing. Out: a plain dict. I/O: none.
The fields are the parser's own. What holds between them (a group that is named exists, an id is given
once, a network has no host bits) only the parser says. So what the parser takes, the schema takes; a
test holds both directions.
"""

from __future__ import annotations

from pyctl.policy.document.parse import DOCUMENT
from pyctl.policy.document.table import Schema


def document() -> Schema:
    """Return the JSON Schema of a policy document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "segctl policy",
        **DOCUMENT.schema,
    }
