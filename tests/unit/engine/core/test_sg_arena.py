"""Memory of a fixed size: pieces do not overlap, come back, and are refused where there is no room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

SIZE = 4096


@given(st.lists(st.integers(-1, 1500), max_size=60))
def test_pieces_never_overlap_and_all_that_is_given_back_can_be_taken(
    core_module, steps
):
    ffi, lib = core_module.ffi, core_module.lib
    memory = ffi.new("uint8_t[]", SIZE)
    arena = ffi.new("struct sg_arena *")
    lib.sg_arena_init(arena, memory, SIZE)
    begin = int(ffi.cast("uintptr_t", memory))
    taken: list[tuple[int, int]] = []
    for step in steps:
        if step < 0 and taken:
            at, _size = taken.pop(len(taken) // 2)
            lib.sg_arena_give(arena, ffi.cast("void *", at))
        elif step >= 0:
            at = int(ffi.cast("uintptr_t", lib.sg_arena_take(arena, step)))
            if at:
                assert at % 16 == 0
                assert begin <= at <= at + step <= begin + SIZE
                assert all(at + step <= a or a + s <= at for a, s in taken)
                taken.append((at, step))
    for at, _size in taken:
        lib.sg_arena_give(arena, ffi.cast("void *", at))
    assert lib.sg_arena_take(arena, SIZE - 64)


def test_too_much_is_refused_and_noted(core_module):
    ffi, lib = core_module.ffi, core_module.lib
    memory = ffi.new("uint8_t[]", SIZE)
    arena = ffi.new("struct sg_arena *")
    lib.sg_arena_init(arena, memory, SIZE)
    assert not arena.failed
    for size in (SIZE, 1 << 32, (1 << 64) - 1):
        assert not lib.sg_arena_take(arena, size)
        assert arena.failed


def test_memory_of_no_size_has_no_pieces(core_module):
    ffi, lib = core_module.ffi, core_module.lib
    memory = ffi.new("uint8_t[]", 64)
    arena = ffi.new("struct sg_arena *")
    for size in range(33):
        lib.sg_arena_init(arena, memory + 1, size)
        assert not lib.sg_arena_take(arena, 1)
