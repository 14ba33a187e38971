"""`python -m pyctl.engine --instance NAME`: how the agent starts the engine."""

from __future__ import annotations

import argparse
import os
import sys

from pyctl.block_imports import block_imports
from pyctl.errors import SegctlError
from pyctl.model.instance import Instance
from pyctl.model.log_level import LogLevel
from pyctl.model.worker import Worker


def main() -> int:
    """Parse the command line and run the engine; return the exit code."""
    parser = argparse.ArgumentParser(prog="pyctl.engine", description=__doc__)
    parser.add_argument("--instance", required=True)
    parser.add_argument("--log-level", choices=list(LogLevel), default="info")
    parser.add_argument(
        "--no-cache", action="store_true", help="no verdict goes to the flow maps"
    )
    parser.add_argument(
        "--rings", action="store_true", help="open the rings, wait for no agent"
    )
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    with block_imports("rich", "ssl"):
        from pyctl.engine.main import run  # noqa: PLC0415  see pyctl.block_imports
    os.chdir("/")
    try:
        return run(
            Instance(given.instance),
            log_level=given.log_level,
            cache=not given.no_cache,
            with_rings=given.rings,
            worker=Worker(given.worker, given.workers),
        )
    except SegctlError as error:
        print(error, file=sys.stderr)  # noqa: T201 the process's last word
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
