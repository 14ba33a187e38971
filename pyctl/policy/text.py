"""Text (YAML or JSON) → plain values, for everything that people write by hand.

In: a text. Out: dicts, lists, strings, numbers. I/O: none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import yaml

from pyctl.errors import UsageError

MAX_TEXT = 4 * 1024 * 1024
"""Characters; a guard for the agent's memory."""

if TYPE_CHECKING:
    _Base = yaml.SafeLoader
else:
    # libyaml's is ten times faster; PyYAML may have been built without it.
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):
    """SafeLoader that refuses a key given twice (YAML's own rule, PyYAML lets the last win)."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if (
                isinstance(key, yaml.ScalarNode)
                and key.tag != "tag:yaml.org,2002:merge"
            ):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key.value!r} is given twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def load(text: str, what: str) -> object:
    """The plain values; JSON needs no reader of its own, YAML contains it.

    UsageError with the place of what is wrong; `what` names the text.
    """
    with _told(text, what):
        return yaml.load(text, _Loader)  # noqa: S506  a SafeLoader


def load_all(text: str, what: str) -> list[object]:
    """Likewise, of a text that holds several documents (`---`)."""
    with _told(text, what):
        return list(yaml.load_all(text, _Loader))


@contextmanager
def _told(text: str, what: str) -> Iterator[None]:
    """What YAML has to say against a text, as a UsageError."""
    if len(text) > MAX_TEXT:
        raise UsageError(f"{what} is longer than {MAX_TEXT} characters")
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UsageError(f"{what} is no YAML: {where}{error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{what} is no YAML: {error}") from error
