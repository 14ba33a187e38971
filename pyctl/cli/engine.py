"""segctl engine.

In: options. Out: nothing, until it is ended. I/O: becomes the engine.
"""

from __future__ import annotations

import click

from pyctl.cli import options


@click.command()
@options.log_level
@options.flow_cache
def engine(log_level: str, flow_cache: bool) -> None:
    """The engine alone, in an enforcer namespace made by hand.

    The namespace named like the instance must hold the pair vbr-neuv/vth-neuv. An agent starts
    its own engine: this command is for trying things out, and refuses to be a second one.
    """
    options.require_root("engine")
    from pyctl.engine.main import run

    code = run(
        options.instance(), log_level=log_level, cache=flow_cache, with_rings=True
    )
    click.get_current_context().exit(code)
