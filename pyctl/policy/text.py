"""Text (YAML or JSON) → plain values, for everything that people write by hand.

In: a text. Out: dicts, lists, strings, numbers. I/O: none.
libyaml parses; the tree is composed here, because libyaml's binding does that by recursion in C: a text
of brackets alone ends the process. What aliases (`*name`) stand for is counted, so that a short text
cannot mean a long one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import yaml
from yaml.composer import Composer, ComposerError
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from pyctl.errors import UsageError

MAX_TEXT = 4 * 1024 * 1024
"""Characters; a guard for the agent's memory."""
MAX_DEPTH = 100
"""Of values in one another."""
MAX_ALIASED = 500_000
"""Values that all aliases together stand for; a guard for the agent's time."""

if TYPE_CHECKING:
    _Base = yaml.SafeLoader
else:
    # libyaml's is ten times faster; PyYAML may have been built without it.
    _Fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class _Base(Composer, _Fast):
        """SafeLoader whose nodes are composed in Python."""

        def __init__(self, text: str) -> None:
            _Fast.__init__(self, text)
            Composer.__init__(self)


class _Loader(_Base):
    """SafeLoader that refuses a key given twice (YAML's own rule, PyYAML lets the last win)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sizes: dict[int, int] = {}
        """Of the values that have an anchor; none while one is open."""
        self._values = 0
        self._aliased = 0

    def compose_node(self, _parent: object, _index: object) -> yaml.Node:
        """One value with all that is in it, without recursion."""
        opened: list[tuple[Any, list[Any], int, bool]] = []
        """Node, what was found in it, values before it, whether it has an anchor."""
        while True:
            event: Any = self.get_event()  # type: ignore[no-untyped-call]
            if isinstance(event, CollectionEndEvent):
                node, inside, before, anchored = opened.pop()
                node.end_mark = event.end_mark
                node.value = inside
                if isinstance(node, yaml.MappingNode):
                    node.value = list(zip(inside[::2], inside[1::2], strict=True))
                if anchored:
                    self._sizes[id(node)] = self._values - before
            elif isinstance(event, AliasEvent):
                node = self._aliased_by(event)
            else:
                node = self._begun(event)
                if isinstance(event, CollectionStartEvent):
                    if len(opened) == MAX_DEPTH:
                        raise _refused(f"values lie deeper than {MAX_DEPTH}", event)
                    opened.append((node, [], self._values, event.anchor is not None))
                    continue
            self._values += 1
            if not opened:
                return cast("yaml.Node", node)
            opened[-1][1].append(node)

    def _begun(self, event: Any) -> Any:
        kind: Any = yaml.MappingNode
        value = None
        if isinstance(event, ScalarEvent):
            kind, value = yaml.ScalarNode, event.value
        elif isinstance(event, SequenceStartEvent):
            kind = yaml.SequenceNode
        tag = event.tag
        if tag is None or tag == "!":
            tag = self.resolve(kind, value, event.implicit)  # type: ignore[no-untyped-call]
        node = kind(tag, value, event.start_mark, event.end_mark)
        if event.anchor is not None:
            if event.anchor in self.anchors:
                raise _refused(f"anchor {event.anchor!r} is given twice", event)
            self.anchors[event.anchor] = node
            # Another document's may have had the same id.
            self._sizes.pop(id(node), None)
            if kind is yaml.ScalarNode:
                self._sizes[id(node)] = 1
        return node

    def _aliased_by(self, event: Any) -> Any:
        node = self.anchors.get(event.anchor)
        if node is None:
            raise _refused(f"alias {event.anchor!r} stands for nothing", event)
        size = self._sizes.get(id(node))
        if size is None:
            raise _refused(f"alias {event.anchor!r} is in what it stands for", event)
        self._values += size
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            raise _refused(f"aliases stand for more than {MAX_ALIASED} values", event)
        return node

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


def _refused(why: str, event: Any) -> ComposerError:
    return ComposerError(None, None, why, event.start_mark)


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
