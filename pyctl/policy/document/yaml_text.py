"""Text (YAML or JSON) → plain values, for everything that people write by hand.

In: a text. Out: dicts, lists, strings, numbers. I/O: none.
libyaml parses; the tree is composed here, because libyaml's binding does that by recursion in C: a text
of brackets alone ends the process. What aliases (`*name`) stand for is counted, so that a short text
cannot mean a long one; so are values and directives, so that no text takes minutes.

Numbers are decimal. `1:30` is text, as in YAML 1.2, not 90; `0x50`, `010`, `0b1`, `1_000`, which readers
take for different things, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
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

NOTHING = "nothing was changed"
MAX_TEXT = 4 * 1024 * 1024
"""Characters; a guard for the agent's memory."""
MAX_DEPTH = 100
"""The deepest nesting of values."""
MAX_ALIASED = 500_000
"""Values that all aliases together stand for; a guard for the agent's time."""
MAX_VALUES = 1_000_000
"""The most values of one text, without those of aliases: 65536 rules have some 800,000."""
MAX_KEY = 512
"""Characters; a key stands in the path of every error below it. Kubernetes' longest label has 317."""
MAX_DIRECTIVES = 16
"""Lines of %TAG and %YAML: libyaml compares each with all before it."""
_DIRECTIVE = re.compile("(?:^|[\n\r\x85\u2028\u2029])%")
_TAG = "tag:yaml.org,2002:"
_UNCLEAR = "tag:segctl,2026:unclear"
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(
    r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_OTHER_BASE = re.compile(
    r"[-+]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[0-7_]+|[1-9][0-9]*_[0-9_]*)"
)

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
    """SafeLoader that refuses a key given twice (YAML's own rule; PyYAML lets the last win)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sizes: dict[int, int] = {}
        """The number of values under each anchored node; missing while the node is open."""
        self._values = 0
        self._aliased = 0
        self._written = 0

    def compose_node(self, _parent: object, _index: object) -> yaml.Node:
        """Return one node with all its content, without recursion."""
        opened: list[tuple[Any, list[Any], int, bool]] = []
        """The open nodes: node, its content, values counted before it, whether it has an anchor."""
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
        self._written += 1
        if self._written > MAX_VALUES:
            raise _refused(f"it has more than {MAX_VALUES} values", event)
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
            # A node of another document may have had the same id.
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
                if len(key.value) > MAX_KEY:
                    raise yaml.constructor.ConstructorError(
                        None,
                        None,
                        f"a key is longer than {MAX_KEY} characters",
                        key.start_mark,
                    )
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key.value!r} is given twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)

    def _number(self, node: yaml.ScalarNode) -> int | float:
        """Return a decimal number, also where a tag (`!!int`) asks for one."""
        for form, number in ((_INT, int), (_FLOAT, float)):
            if form.fullmatch(node.value):
                return number(
                    node.value.lower().replace(".inf", "inf").replace(".nan", "nan")
                )
        raise _no_number(node)


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, form) for tag, form in known if tag not in (f"{_TAG}int", f"{_TAG}float")
    ]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _form in (
    (f"{_TAG}int", _INT),
    (f"{_TAG}float", _FLOAT),
    (_UNCLEAR, _OTHER_BASE),
):
    _whole = re.compile(f"(?:{_form.pattern})\\Z")
    _Loader.add_implicit_resolver(_tag, _whole, list("-+.0123456789"))
for _tag in ("int", "float"):
    _Loader.add_constructor(f"{_TAG}{_tag}", _Loader._number)  # noqa: SLF001


def _no_number(node: yaml.ScalarNode) -> yaml.constructor.ConstructorError:
    shown = node.value[:40]
    return yaml.constructor.ConstructorError(
        None,
        None,
        f"{shown} is a number to some readers and another to others: write it in decimal, or in quotes",
        node.start_mark,
    )


def _refuse_unclear(_loader: _Loader, node: yaml.ScalarNode) -> object:
    raise _no_number(node)


_Loader.add_constructor(_UNCLEAR, _refuse_unclear)


def load(text: str, what: str) -> object:
    """Return the plain values of a YAML text, which includes JSON.

    Raise UsageError with the place of the error; `what` names the text.
    """
    with _told(text, what):
        return yaml.load(text, _Loader)  # noqa: S506  a SafeLoader


def load_all(text: str, what: str) -> list[object]:
    """Return the plain values of each document (`---`) in a text; raise UsageError as `load` does."""
    with _told(text, what):
        return list(yaml.load_all(text, _Loader))


def _refused(why: str, event: Any) -> ComposerError:
    return ComposerError(None, None, why, event.start_mark)


@contextmanager
def _told(text: str, what: str) -> Iterator[None]:
    """Raise UsageError for what YAML finds wrong in a text."""
    if len(text) > MAX_TEXT:
        raise UsageError(f"{what} is longer than {MAX_TEXT} characters", state=NOTHING)
    if (
        sum(1 for _ in islice(_DIRECTIVE.finditer(text), MAX_DIRECTIVES + 1))
        > MAX_DIRECTIVES
    ):
        raise UsageError(
            f"{what} has more than {MAX_DIRECTIVES} directives (%)", state=NOTHING
        )
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UsageError(
            f"{what} is no YAML: {where}{error.problem}", state=NOTHING
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{what} is no YAML: {error}", state=NOTHING) from error
