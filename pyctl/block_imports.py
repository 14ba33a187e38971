"""Keeps packages out of a process that never uses them.

In: the names of packages. Out: an environment in which they cannot be imported. I/O: none.
structlog imports rich where it is installed, for tracebacks in colour, and rich brings pygments: 4 MB in
the agent and again in the engine, which write JSON, or plain lines. Without rich it formats tracebacks by
the standard library. rich itself stays a dependency: `segctl top` draws with it. It imports asyncio, which
brings ssl where it can: 2 MB in the engine, which speaks to one local socket.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def block_imports(*packages: str) -> Iterator[None]:
    """Make these packages impossible to import in the block. One that is loaded already stays."""
    hidden = [name for name in packages if name not in sys.modules]
    for name in hidden:
        # Python's own mark for a module that does not exist.
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
