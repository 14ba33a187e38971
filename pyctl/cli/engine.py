"""segctl engine.

In: options. Out: nothing, until it is ended. I/O: becomes the engine.
"""

from __future__ import annotations

from pathlib import Path

import click

from pyctl.cli.shared import options
from pyctl.cli.shared.once import Command


@click.command(cls=Command)
@options.log_level
@options.flow_cache
@click.option(
    "--dp-socket",
    type=click.Path(path_type=Path),
    default="/tmp/dp_listen.sock",  # noqa: S108  the protocol's path
    show_default=True,
    help="Where NeuVector's dp control protocol is served.",
)
def engine(log_level: str, flow_cache: bool, dp_socket: Path) -> None:
    """The engine alone, in an enforcer namespace made by hand.

    If there is a namespace named like the instance, it must hold the pair vbr-neuv/vth-neuv, and
    the engine reads vth-neuv. Else (`ip netns exec NAME segctl engine`) it reads what
    ctrl_add_srvc_port names, in the namespace that it was started in. An agent starts its own
    engine: this command is for trying things out, and refuses to be a second one.
    """
    options.require_root("engine")
    from pyctl.engine.main import run

    code = run(
        options.instance(),
        log_level=log_level,
        cache=flow_cache,
        with_rings=True,
        dp_socket=dp_socket,
    )
    click.get_current_context().exit(code)
