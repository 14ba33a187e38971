"""Compiles sensors with Vectorscan (libhs.so.5), in stream mode, one database for each part.

In: sensors. Out: serialised databases. I/O: the dynamic loader.
A thousand patterns take half a second: the engine loads the result in a tenth of a millisecond.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache, lru_cache

from pyctl.errors import NotCapableError, SegctlError, UsageError
from pyctl.model.sensors.sensor import (
    PARTS,
    Confirm,
    Databases,
    Pattern,
    Sensor,
)

LIBRARY = "libhs.so.5"
_STREAM, _SOM_HORIZON_SMALL = 2, 1 << 26
_SINGLEMATCH, _PREFILTER, _SOM_LEFTMOST = 8, 128, 256
_COMPILER_ERROR = -4


class _CompileError(ctypes.Structure):
    _fields_ = (("message", ctypes.c_char_p), ("expression", ctypes.c_int))


@cache
def _library() -> ctypes.CDLL:
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise NotCapableError(
            f"sensors need Vectorscan, and {LIBRARY} is not there ({error})",
            state="nothing was applied",
            advice="on Debian: apt install libvectorscan5",
        ) from error


def flags_of(pattern: Pattern, *, show: bool) -> int:
    """Return the flags that a pattern is compiled with. What is neither confirmed nor shown is told once for each stream; what
    is shown needs to know where its match begins, which a prefilter does not. A number is confirmed from its end on.
    """
    if pattern.confirm is Confirm.PCRE2:
        return _PREFILTER
    if show:
        return _SOM_LEFTMOST
    return 0 if pattern.confirm else _SINGLEMATCH


@lru_cache(maxsize=2)
def compile_sensors(sensors: tuple[Sensor, ...]) -> Databases:
    """Return the sensors' databases. UsageError names the pattern that the library does not take; NotCapableError: it is not
    there. The last results are kept, for engines that start anew.
    """
    if not sensors:
        return Databases()
    rows = [
        (number, sensor, pattern)
        for number, (sensor, pattern) in enumerate(
            (sensor, pattern) for sensor in sensors for pattern in sensor.patterns
        )
    ]
    return Databases(
        tuple(_database([row for row in rows if row[2].part is part]) for part in PARTS)
    )


def _place(sensor: Sensor, pattern: Pattern) -> str:
    return f"sensor {sensor.name}, pattern {pattern.id}"


def _refused(
    sensor: Sensor, pattern: Pattern, said: ctypes._Pointer[_CompileError]
) -> UsageError:
    told = (said.contents.message or b"").decode("ascii", "replace").rstrip(".")
    _library().hs_free_compile_error(said)
    if pattern.confirm is Confirm.PCRE2:
        advice = "part of it may be more than even a prefilter can leave out"
    else:
        advice = "lookaround and back-references need `confirm: pcre2`"
    return UsageError(
        f"{_place(sensor, pattern)}: {told}: {pattern.regex}",
        state="nothing was applied",
        advice=advice,
    )


_Row = tuple[int, Sensor, Pattern]


def _compile(
    rows: Sequence[_Row], flags: Sequence[int]
) -> tuple[int, ctypes.c_void_p, ctypes._Pointer[_CompileError]]:
    """Return the library's result, the database, and what it said if there is none."""
    count = len(rows)
    database, said = ctypes.c_void_p(), ctypes.POINTER(_CompileError)()
    error = _library().hs_compile_multi(
        (ctypes.c_char_p * count)(*(row[2].regex.encode() for row in rows)),
        (ctypes.c_uint * count)(*flags),
        (ctypes.c_uint * count)(*(row[0] for row in rows)),
        count,
        _STREAM | _SOM_HORIZON_SMALL,
        None,
        ctypes.byref(database),
        ctypes.byref(said),
    )
    return error, database, said


def _flags(row: _Row) -> int:
    """Return the flags of a row. Where a match begins takes too much state for some patterns: of these, what is shown are the
    bytes before the match's end.
    """
    _, sensor, pattern = row
    flags = flags_of(pattern, show=sensor.show)
    if flags != _SOM_LEFTMOST:
        return flags
    error, database, said = _compile([row], [flags])
    if not error:
        _library().hs_free_database(database)
        return flags
    if error == _COMPILER_ERROR:
        _library().hs_free_compile_error(said)
    return flags_of(pattern, show=False)


def _database(rows: Sequence[_Row]) -> bytes:
    """Return the serialised database of these patterns, by their numbers; empty without any."""
    if not rows:
        return b""
    library, count = _library(), len(rows)
    error, database, said = _compile(rows, [_flags(row) for row in rows])
    if error == _COMPILER_ERROR:
        index = said.contents.expression
        _, sensor, pattern = rows[max(0, index)]
        raise _refused(sensor, pattern, said)
    if error:
        raise SegctlError(
            f"compiling {count} patterns: Vectorscan returned {error}",
            state="nothing was applied",
        )
    try:
        return _serialised(database)
    finally:
        library.hs_free_database(database)


def _serialised(database: ctypes.c_void_p) -> bytes:
    data, length = ctypes.c_void_p(), ctypes.c_size_t()
    error = _library().hs_serialize_database(
        database, ctypes.byref(data), ctypes.byref(length)
    )
    if error:
        raise SegctlError(f"serialising patterns: Vectorscan returned {error}")
    try:
        return ctypes.string_at(data, length.value)
    finally:
        ctypes.CDLL(None).free(data)
