"""The C library's heap: what is asked of it is answered, and harms nobody."""

from __future__ import annotations

import threading

from pyctl.platform import heap


def test_threads_are_made_and_memory_is_given_back_as_before():
    heap.limit_malloc_arenas()
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(len(bytearray(1 << 20))))
        for _ in range(8)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    heap.trim()
    assert found == [1 << 20] * 8
