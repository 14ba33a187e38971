/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Pieces of fixed memory; see the header. Pure.
 *
 * Pieces lie one behind the other, each with its head. Libraries have a dozen at a time, so each search goes over all. */
#include "inflate/sg_arena.h"

#include <stddef.h>

struct piece {
	__u32 size;		/* with this head */
	__u32 used;
	__u64 pad;
};

enum { ALIGN = 16 };

void sg_arena_init(struct sg_arena *arena, void *at, __u32 size)
{
	__u32 pad = (__u32)(-(__u64)(__UINTPTR_TYPE__)at & (ALIGN - 1));
	struct piece *first;

	*arena = (struct sg_arena){ .at = (__u8 *)at + pad, .size = size > pad ? (size - pad) & ~(ALIGN - 1U) : 0 };
	if (arena->size < 2 * sizeof(*first)) {
		arena->size = 0;
		return;
	}
	first = (struct piece *)arena->at;
	*first = (struct piece){ .size = arena->size };
}

static struct piece *next_of(const struct sg_arena *arena, struct piece *piece)
{
	__u8 *next = (__u8 *)piece + piece->size;

	return next < arena->at + arena->size ? (struct piece *)next : NULL;
}

/* Make one free piece of this one and those behind it. */
static void join(const struct sg_arena *arena, struct piece *piece)
{
	struct piece *next;

	while ((next = next_of(arena, piece)) && !next->used)
		piece->size += next->size;
}

void *sg_arena_take(struct sg_arena *arena, __u64 size)
{
	__u64 wanted = ((size + ALIGN - 1) & ~(ALIGN - 1ULL)) + sizeof(struct piece);
	struct piece *piece = size < arena->size ? (struct piece *)arena->at : NULL;
	__u32 end;

	for (; piece; piece = next_of(arena, piece)) {
		if (piece->used)
			continue;
		join(arena, piece);
		if (piece->size < wanted)
			continue;
		if (piece->size - wanted > sizeof(*piece)) {
			struct piece *rest = (struct piece *)((__u8 *)piece + wanted);

			*rest = (struct piece){ .size = piece->size - (__u32)wanted };
			piece->size = (__u32)wanted;
		}
		piece->used = 1;
		end = (__u32)((__u8 *)piece - arena->at) + piece->size;
		arena->used = end > arena->used ? end : arena->used;
		return piece + 1;
	}
	arena->failed = 1;
	return NULL;
}

void sg_arena_give(struct sg_arena *arena, void *piece)
{
	(void)arena;
	if (piece)
		((struct piece *)piece - 1)->used = 0;
}
