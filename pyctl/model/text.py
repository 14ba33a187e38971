"""Text of others in our answers: names made harmless, lines made few.

In, out: text. I/O: none.
An interface, a mount or a process may be called by any bytes. Inside, such a name is spelled with surrogates,
as PEP 383 has it, so that the kernel gets back the very bytes; but JSON, SQLite and Prometheus refuse them
with everything beside them.
"""

from __future__ import annotations

from collections.abc import Sequence


def harmless(text: str) -> str:
    r"""Return the text with each byte that is not valid UTF-8 written as `\xff`."""
    if text.isascii():
        return text
    try:
        raw = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        # Half a character, which JSON can spell, stands for no byte.
        raw = text.encode(errors="backslashreplace")
    return raw.decode(errors="backslashreplace")


def printable(text: str) -> str:
    """Return the text with a question mark for each character that a terminal might obey."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else "?" for one in text)


MOST_TOLD = 200
"""The most lines of one answer: a file of thousands of lines may have an error in each."""


def told(lines: Sequence[str]) -> list[str]:
    """Return the first of many lines, and a line that counts the rest."""
    if len(lines) <= MOST_TOLD:
        return list(lines)
    return [*lines[:MOST_TOLD], f"and {len(lines) - MOST_TOLD} more"]


def harmless_values(value: object) -> object:
    """Return the value with every text in its lists and mappings made harmless."""
    if isinstance(value, str):
        # An enum member is our own text and must stay that member.
        return harmless(value) if type(value) is str else value
    if isinstance(value, dict):
        return {
            harmless_values(key): harmless_values(each) for key, each in value.items()
        }
    if type(value) in (list, tuple):
        return [harmless_values(each) for each in value]  # type: ignore[attr-defined]  # one of the two
    return value
