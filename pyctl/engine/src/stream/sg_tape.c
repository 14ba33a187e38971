/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Tapes; see the header. In: segments. Out: bytes in order.
 *
 * Offsets count the side's bytes from its first on, and do not wrap. */
#include "stream/sg_tape.h"

#include <string.h>

enum { WINDOW_MAX = 65535 << 14 };	/* RFC 7323 */

struct piece {
	struct piece *next;
	__s64 from;
	__u32 len;
	__u8 bytes[];
};

struct sg_tape {
	struct piece *first;	/* in order, and none overlaps another */
	struct piece *last;
	struct piece *reading;	/* where the next byte is, if it came */
	__s64 next;		/* all before it was read */
	__s64 acked;
	__u32 first_seq;
	__u32 bytes;		/* that pieces take */
	__u32 ahead;		/* pieces that begin behind `next` */
};

static __s64 min(__s64 a, __s64 b)
{
	return a < b ? a : b;
}

static __s64 max(__s64 a, __s64 b)
{
	return a > b ? a : b;
}

struct sg_tape *sg_tape_new(struct sg_streams *all, __u32 first_seq)
{
	struct sg_tape *tape = sg_streams_take(all, sizeof(*tape), 0);

	if (tape)
		tape->first_seq = first_seq;
	return tape;
}

static __s64 end_of(const struct piece *piece)
{
	return piece->from + piece->len;
}

static __u32 size_of(const struct piece *piece)
{
	return (__u32)sizeof(*piece) + piece->len;
}

static void drop_first(struct sg_streams *all, struct sg_tape *tape)
{
	struct piece *piece = tape->first;

	tape->first = piece->next;
	if (tape->last == piece)
		tape->last = NULL;
	if (tape->reading == piece)
		tape->reading = NULL;
	tape->bytes -= size_of(piece);
	sg_streams_give(all, piece, size_of(piece));
}

void sg_tape_free(struct sg_streams *all, struct sg_tape *tape)
{
	if (!tape)
		return;
	while (tape->first)
		drop_first(all, tape);
	sg_streams_give(all, tape, sizeof(*tape));
}

/* The offset that a sequence number means: the one nearest to what is acknowledged. */
static __s64 offset_of(const struct sg_tape *tape, __u32 seq)
{
	return tape->acked + (__s32)(seq - tape->first_seq - (__u32)tape->acked);
}

/* Put bytes between two pieces that do not overlap them; before NULL: at the front. NULL: no memory. */
static struct piece *insert(struct sg_streams *all, struct sg_tape *tape, struct piece *before, __s64 from, const __u8 *data,
			    __u32 len)
{
	struct piece *piece;

	if (tape->bytes + sizeof(*piece) + len > SG_TAPE_BYTES || (from > tape->next && tape->ahead >= SG_TAPE_AHEAD))
		return NULL;
	piece = sg_streams_take(all, (__u32)sizeof(*piece) + len, 0);
	if (!piece)
		return NULL;
	piece->from = from;
	piece->len = len;
	memcpy(piece->bytes, data, len);
	piece->next = before ? before->next : tape->first;
	if (before)
		before->next = piece;
	else
		tape->first = piece;
	if (!piece->next)
		tape->last = piece;
	tape->bytes += size_of(piece);
	if (from > tape->next)
		tape->ahead++;
	return piece;
}

/* Return whether a byte of [from, to) is there and another than in data, which begins at `from`. */
static int differs(const struct sg_tape *tape, const __u8 *data, __s64 from, __s64 to)
{
	if (!tape->last || from >= end_of(tape->last))
		return 0;
	for (const struct piece *piece = tape->first; piece && piece->from < to; piece = piece->next) {
		__s64 begin = max(piece->from, from), end = min(end_of(piece), to);

		if (begin < end && memcmp(piece->bytes + (begin - piece->from), data + (begin - from), (size_t)(end - begin)))
			return 1;
	}
	return 0;
}

/* Find where the next byte is, if it came. */
static void seek(struct sg_tape *tape)
{
	struct piece *piece = tape->reading ? tape->reading : tape->first;

	/* Of many that are not acknowledged yet, the next one is mostly the last. */
	if (tape->last && tape->last->from <= tape->next)
		piece = tape->last;
	while (piece && end_of(piece) <= tape->next)
		piece = piece->next;
	tape->reading = piece && piece->from <= tape->next ? piece : NULL;
}

/* Keep what is not there yet of [from, to). 0, or -1: no room, and some of it may be kept. */
static int fill(struct sg_streams *all, struct sg_tape *tape, const __u8 *data, __s64 from, __s64 to)
{
	struct piece *before = NULL, *piece = tape->first;
	__s64 at = from;

	if (tape->last && from >= end_of(tape->last)) {
		before = tape->last;
		piece = NULL;
	}
	while (at < to) {
		__s64 until;

		while (piece && end_of(piece) <= at) {
			before = piece;
			piece = piece->next;
		}
		if (piece && piece->from <= at) {
			at = end_of(piece);
			continue;
		}
		until = piece ? min(piece->from, to) : to;
		before = insert(all, tape, before, at, data + (at - from), (__u32)(until - at));
		if (!before)
			return -1;
		at = until;
	}
	return 0;
}

enum sg_tape_place sg_tape_add(struct sg_streams *all, struct sg_tape *tape, __u32 seq, const __u8 *data, __u32 len)
{
	__s64 start = offset_of(tape, seq), end = start + len, from = max(start, tape->acked);
	__u32 bytes = tape->bytes;

	if (end <= tape->acked)
		return SG_TAPE_PAST;
	if (start > tape->acked + WINDOW_MAX)
		return SG_TAPE_NO_ROOM;
	if (differs(tape, data + (from - start), from, end))
		return SG_TAPE_DIFFERS;
	if (fill(all, tape, data + (from - start), from, end))
		return SG_TAPE_NO_ROOM;
	if (!tape->reading)
		seek(tape);
	if (tape->reading)
		return SG_TAPE_NEW;
	return tape->bytes == bytes ? SG_TAPE_PAST : SG_TAPE_AHEAD_OF;
}

const __u8 *sg_tape_next(const struct sg_tape *tape, __u32 *len)
{
	const struct piece *piece = tape->reading;

	*len = piece ? (__u32)(end_of(piece) - tape->next) : 0;
	return piece ? piece->bytes + (tape->next - piece->from) : NULL;
}

/* Count anew the pieces that begin behind the next byte to be read. */
static void count_ahead(struct sg_tape *tape)
{
	const struct piece *piece = tape->reading ? tape->reading->next : tape->first;

	for (tape->ahead = 0; piece; piece = piece->next)
		tape->ahead += piece->from > tape->next;
}

void sg_tape_read(struct sg_tape *tape, __u32 len)
{
	tape->next += len;
	seek(tape);
	if (tape->ahead)
		count_ahead(tape);
}

int sg_tape_acknowledge(struct sg_streams *all, struct sg_tape *tape, __u32 ack)
{
	__s64 acked = offset_of(tape, ack);

	/* What was not read is not taken as acknowledged: a receiver may say so, to get it unread. */
	tape->acked = max(tape->acked, min(acked, tape->next));
	while (tape->first && end_of(tape->first) <= tape->acked)
		drop_first(all, tape);
	/* A FIN counts as one more. */
	return acked > tape->next + 1;
}

void sg_tape_skip(struct sg_streams *all, struct sg_tape *tape, __u32 seq)
{
	__s64 to = offset_of(tape, seq);
	struct piece *piece = tape->first;

	while (piece && end_of(piece) <= tape->next)
		piece = piece->next;
	if (piece && piece->from > tape->next)
		to = min(to, piece->from);
	if (to <= tape->next)
		return;
	tape->next = to;
	tape->acked = to;
	while (tape->first && end_of(tape->first) <= to)
		drop_first(all, tape);
	tape->reading = NULL;
	seek(tape);
	count_ahead(tape);
}

int sg_tape_is_at(const struct sg_tape *tape, __u32 seq)
{
	return offset_of(tape, seq) == tape->next;
}
