"""What workers tell each other, as the core of one calls it: each core has the dicts `queries` and `names`."""

from __future__ import annotations

from typing import Any

E2BIG, ENOENT = 7, 2
SHARED = """extern "Python" int t_query_put(void *, const struct seg_query_key *, const struct seg_query *);
extern "Python" int t_query_get(void *, const struct seg_query_key *, struct seg_query *);
extern "Python" int t_name_put(void *, const struct seg_name_key *, const struct seg_name *);
extern "Python" int t_name_get(void *, const struct seg_name_key *, struct seg_name *);
extern "Python" int t_name_delete(void *, const struct seg_name_key *);
"""


def bind_shared(ffi: Any) -> None:
    """What workers tell each other."""

    @ffi.def_extern()
    def t_query_put(ctx, key, query):
        queries = ffi.from_handle(ctx).queries
        queries[bytes(ffi.buffer(key))] = bytes(ffi.buffer(query))
        return 0

    @ffi.def_extern()
    def t_query_get(ctx, key, query):
        found = ffi.from_handle(ctx).queries.get(bytes(ffi.buffer(key)))
        if found is None:
            return -ENOENT
        ffi.buffer(query)[:] = found
        return 0

    @ffi.def_extern()
    def t_name_put(ctx, key, name):
        core = ffi.from_handle(ctx)
        if core.names_are_full:
            return -E2BIG
        core.names[bytes(ffi.buffer(key))] = bytes(ffi.buffer(name))
        return 0

    @ffi.def_extern()
    def t_name_get(ctx, key, name):
        found = ffi.from_handle(ctx).names.get(bytes(ffi.buffer(key)))
        if found is None:
            return -ENOENT
        ffi.buffer(name)[:] = found
        return 0

    @ffi.def_extern()
    def t_name_delete(ctx, key):
        gone = ffi.from_handle(ctx).names.pop(bytes(ffi.buffer(key)), None)
        return 0 if gone else -ENOENT
