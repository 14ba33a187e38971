/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Windows; see the header. In: segments. Out: bytes in order.
 *
 * Offsets count the side's bytes from its first on, and do not wrap. */
#include "stream/sg_window.h"

#include <string.h>

enum {
	NEAR = 256,			/* units that are so near to each other are one piece */
	WINDOW_MAX = 65535 << 14,	/* RFC 7323 */
};
#define SKIP_MAX (1LL << 60)

/* Bytes that were read, or belong to a unit that is not complete, which is in the last piece. */
struct piece {
	struct piece *next;
	__s64 from;
	__u32 len;
	__u32 room;
	__u8 bytes[];
};

/* A part of the segment at hand that is to be kept. */
struct cut {
	__s64 from;
	__s64 to;
};

struct sg_window {
	struct piece *first;
	struct piece *last;
	__s64 next;		/* all before it was read, or is of no matter; where a unit begins */
	__s64 have;		/* the end of what is there of that unit */
	__s64 acked;
	__s64 sent;		/* the end of what came */
	__u32 first_seq;
	__u32 bytes;		/* that pieces take */
	/* Of the segment at hand: */
	const __u8 *data;	/* of the byte at next */
	__s64 end;
	__s64 at;		/* next, after what was read of it */
	__u8 count;
	struct cut cuts[SG_WINDOW_CUTS];
};

static __s64 min(__s64 a, __s64 b)
{
	return a < b ? a : b;
}

static __s64 max(__s64 a, __s64 b)
{
	return a > b ? a : b;
}

struct sg_window *sg_window_new(struct sg_streams *all, __u32 first_seq)
{
	struct sg_window *window = sg_streams_take(all, sizeof(*window), 0);

	if (window)
		window->first_seq = first_seq;
	return window;
}

static __u32 size_of(const struct piece *piece)
{
	return (__u32)sizeof(*piece) + piece->room;
}

static void drop_first(struct sg_streams *all, struct sg_window *window)
{
	struct piece *piece = window->first;

	window->first = piece->next;
	if (window->last == piece)
		window->last = NULL;
	window->bytes -= size_of(piece);
	sg_streams_give(all, piece, size_of(piece));
}

void sg_window_free(struct sg_streams *all, struct sg_window *window)
{
	if (!window)
		return;
	while (window->first)
		drop_first(all, window);
	sg_streams_give(all, window, sizeof(*window));
}

/* The offset that a sequence number means: the one nearest to what is acknowledged. */
static __s64 offset_of(const struct sg_window *window, __u32 seq)
{
	return window->acked + (__s32)(seq - window->first_seq - (__u32)window->acked);
}

static __s64 end_of(const struct piece *piece)
{
	return piece->from + piece->len;
}

/* Return whether a byte of [from, to) is kept and another than in data, which begins at `from`. */
static int differs(const struct sg_window *window, const __u8 *data, __s64 from, __s64 to)
{
	if (!window->last || from >= end_of(window->last))
		return 0;
	for (const struct piece *piece = window->first; piece && piece->from < to; piece = piece->next) {
		__s64 begin = max(piece->from, from), end = min(end_of(piece), to);

		if (begin < end && memcmp(piece->bytes + (begin - piece->from), data + (begin - from), (size_t)(end - begin)))
			return 1;
	}
	return 0;
}

/* NULL: no memory, or it is too much. */
static struct piece *take_piece(struct sg_streams *all, struct sg_window *window, __u32 room, __u32 freed)
{
	__u32 size = (__u32)sizeof(struct piece) + room;
	struct piece *piece;

	if (window->bytes - freed + size > SG_WINDOW_BYTES)
		return NULL;
	piece = sg_streams_take(all, size, freed);
	if (piece) {
		window->bytes += size;
		piece->room = room;
	}
	return piece;
}

/* Drop from the last piece what is acknowledged, and make room there for more bytes of the unit. 0, or -1: no room. */
static int grow_last(struct sg_streams *all, struct sg_window *window, __u32 more)
{
	struct piece *old = window->last, *piece, **place = &window->first;
	__u32 done = (__u32)max(0, min(window->acked, window->next) - old->from), left = old->len - done;

	if (old->len + more > old->room) {
		piece = take_piece(all, window, 2 * left + more, size_of(old));
		if (!piece)
			return -1;
		piece->from = old->from + done;
		piece->len = left;
		memcpy(piece->bytes, old->bytes + done, left);
		while (*place != old)
			place = &(*place)->next;
		*place = window->last = piece;
		window->bytes -= size_of(old);
		sg_streams_give(all, old, size_of(old));
	}
	return 0;
}

enum sg_window_place sg_window_add(struct sg_streams *all, struct sg_window *window, __u32 seq, const __u8 *data,
				   __u32 len, const __u8 **bytes, __u32 *count)
{
	__s64 start = offset_of(window, seq), end = start + len, pending = window->have - window->next;

	if (end <= window->acked)
		return SG_WINDOW_PAST;
	if (start > window->acked + WINDOW_MAX)
		return SG_WINDOW_AHEAD;
	if (differs(window, data, start, end))
		return SG_WINDOW_DIFFERS;
	if (end <= window->next) {
		window->sent = max(window->sent, end);
		return SG_WINDOW_PAST;
	}
	if (end <= window->have)
		return SG_WINDOW_UNREAD;
	if (start > window->have)
		return SG_WINDOW_AHEAD;
	window->data = data + (window->next - start);
	if (pending) {
		struct piece *last;

		if (grow_last(all, window, (__u32)(end - window->have)))
			return SG_WINDOW_NO_ROOM;
		last = window->last;
		memcpy(last->bytes + last->len, data + (window->have - start), (size_t)(end - window->have));
		window->data = last->bytes + (window->next - last->from);
	}
	window->end = end;
	window->at = window->next;
	window->count = 0;
	*bytes = window->data;
	*count = (__u32)(end - window->next);
	return SG_WINDOW_NEW;
}

int sg_window_has_room(const struct sg_streams *all, const struct sg_window *window)
{
	__u64 most = (__u64)(window->end - window->next) + SG_WINDOW_CUTS * 2 * sizeof(struct piece);

	/* What belongs to a unit that is not complete lies in the last piece already. */
	if (window->have > window->next)
		return 1;
	return window->bytes + most <= SG_WINDOW_BYTES && sg_streams_has_room(all, most);
}

/* Note that the bytes from `at` to `to` are to be kept. */
static void cut(struct sg_window *window, __s64 to)
{
	struct cut *last = window->count ? &window->cuts[window->count - 1] : NULL;

	if (last && (window->at - last->to <= NEAR || window->count == SG_WINDOW_CUTS))
		last->to = to;
	else
		window->cuts[window->count++] = (struct cut){ window->at, to };
}

__u32 sg_window_read(struct sg_window *window, __u32 unit, __u64 skip)
{
	__s64 before = window->at;

	cut(window, window->at + unit);
	window->at += unit + (skip < (__u64)SKIP_MAX ? (__s64)skip : SKIP_MAX);
	return (__u32)(min(window->at, window->end) - before);
}

/* Keep one piece of the segment. 0, or -1: no room. */
static int keep_piece(struct sg_streams *all, struct sg_window *window, const struct cut *kept)
{
	struct piece *piece = take_piece(all, window, (__u32)(kept->to - kept->from), 0);

	if (!piece)
		return -1;
	piece->from = kept->from;
	piece->len = piece->room;
	memcpy(piece->bytes, window->data + (kept->from - window->next), piece->len);
	if (window->last)
		window->last->next = piece;
	else
		window->first = piece;
	window->last = piece;
	return 0;
}

/* Drop the pieces behind this one, or all. */
static void drop_after(struct sg_streams *all, struct sg_window *window, struct piece *last)
{
	struct piece *first = last ? last->next : window->first;

	while (first) {
		struct piece *piece = first;

		first = piece->next;
		window->bytes -= size_of(piece);
		sg_streams_give(all, piece, size_of(piece));
	}
	if (last)
		last->next = NULL;
	else
		window->first = NULL;
	window->last = last;
}

int sg_window_keep(struct sg_streams *all, struct sg_window *window)
{
	__s64 left = max(0, window->end - window->at);
	struct piece *last = window->last;

	if (left)
		cut(window, window->end);
	if (window->have > window->next) {
		/* Its bytes lie in the last piece already, in one. */
		if (window->count)
			last->len = (__u32)(window->cuts[window->count - 1].to - last->from);
	} else {
		for (int i = 0; i < window->count; i++) {
			if (!keep_piece(all, window, &window->cuts[i]))
				continue;
			drop_after(all, window, last);
			return -1;
		}
	}
	window->next = window->at;
	window->have = left ? window->end : window->at;
	window->sent = max(window->sent, window->end);
	return 0;
}

void sg_window_acknowledge(struct sg_streams *all, struct sg_window *window, __u32 ack)
{
	__s64 acked = offset_of(window, ack);

	/* A FIN counts as one more. */
	if (acked > window->sent + 1)
		return;
	window->acked = max(window->acked, min(acked, window->sent));
	while (window->first && end_of(window->first) <= window->acked &&
	       (window->first != window->last || window->have == window->next))
		drop_first(all, window);
}

int sg_window_is_read(const struct sg_window *window, __u32 seq)
{
	return offset_of(window, seq) <= window->next;
}

int sg_window_is_there(const struct sg_window *window, __u32 seq)
{
	return offset_of(window, seq) <= window->have;
}

int sg_window_is_settled(const struct sg_window *window)
{
	return !window->first;
}
