"""segctl policy schema.

In: nothing. Out: JSON Schema on stdout. I/O: none: neither agent nor root is needed.
"""

from __future__ import annotations

import click

from pyctl.cli.shared import render
from pyctl.cli.shared.once import Command


@click.command("schema", cls=Command)
def schema() -> None:
    """The JSON Schema of a policy, for editors and CI."""
    from pyctl.policy.document.schema import document

    render.as_json(document())
