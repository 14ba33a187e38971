/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Streams; see the header. In: heads and bytes of segments. Out: what each one was, and a side's first bytes.
 *
 * Offsets count a side's bytes from its first on, and do not wrap. Where it is not known whether the receiver takes a
 * segment, it is thought to: then the bytes that it takes instead are compared with those. */
#include "stream/sg_stream.h"

#include <stdlib.h>
#include <string.h>

enum {
	GROWTH = 256,			/* buffers are multiples of it */
	ALLOCATION = 16,		/* what the allocator takes for each */
	WINDOW_MAX = 65535 << 14,	/* RFC 7323 */
	PAWS_SLACK = 1,			/* Linux takes a timestamp that is older by so much */
};

/* A piece of a side that is there. */
struct range {
	__u16 from;
	__u16 to;
};

struct side {
	__u8 *bytes;
	__s64 sent;		/* the end of what came, beyond the kept part too */
	__s64 acked;		/* so many bytes the other side has acknowledged */
	__u32 first;		/* sequence number of offset 0 */
	__u32 echo;		/* the other side's newest timestamp that it has seen; 0: none */
	__u16 room;		/* of bytes */
	__u16 limit;		/* with closed: bytes from here on are not kept */
	__u8 started;
	__u8 fixed;		/* its start is acknowledged, or a byte is kept */
	__u8 closed;
	__u8 count;
	struct range ranges[SG_STREAM_RANGES];	/* ascending, and between two of them there is a hole */
};

struct sg_stream {
	struct side sides[2];
};

struct sg_streams {
	__u64 limit;
	__u64 bytes;
};

static __s64 min(__s64 a, __s64 b)
{
	return a < b ? a : b;
}

static __s64 max(__s64 a, __s64 b)
{
	return a > b ? a : b;
}

struct sg_streams *sg_streams_new(__u64 bytes)
{
	struct sg_streams *all = calloc(1, sizeof(*all));

	if (all)
		all->limit = bytes;
	return all;
}

void sg_streams_free(struct sg_streams *all)
{
	free(all);
}

__u64 sg_streams_bytes(const struct sg_streams *all)
{
	return all->bytes;
}

int sg_streams_has_room(const struct sg_streams *all, __u64 bytes)
{
	return all->bytes + bytes <= all->limit;
}

void *sg_streams_take(struct sg_streams *all, __u32 bytes, __u32 freed)
{
	__u64 after = all->bytes - (freed ? freed + ALLOCATION : 0) + bytes + ALLOCATION;
	void *taken = after <= all->limit ? calloc(1, bytes) : NULL;

	if (taken)
		all->bytes += bytes + ALLOCATION;
	return taken;
}

void sg_streams_give(struct sg_streams *all, void *taken, __u32 bytes)
{
	if (taken)
		all->bytes -= bytes + ALLOCATION;
	free(taken);
}

void sg_streams_resize(struct sg_streams *all, __u32 before, __u32 bytes)
{
	all->bytes = all->bytes - before + bytes;
}

struct sg_stream *sg_stream_new(struct sg_streams *all)
{
	return sg_streams_take(all, sizeof(struct sg_stream), 0);
}

void sg_stream_free(struct sg_streams *all, struct sg_stream *stream)
{
	if (!stream)
		return;
	for (int i = 0; i < 2; i++)
		sg_streams_give(all, stream->sides[i].bytes, stream->sides[i].room);
	sg_streams_give(all, stream, sizeof(*stream));
}

void sg_stream_start(struct sg_stream *stream, __u8 side, __u32 first_seq)
{
	struct side *started = &stream->sides[side & 1];

	if (started->fixed)
		return;
	started->started = 1;
	started->first = first_seq;
}

static __u32 limit_of(const struct side *side)
{
	return side->closed ? side->limit : SG_STREAM_BYTES;
}

static __u32 in_order(const struct side *side)
{
	return side->count && !side->ranges[0].from ? side->ranges[0].to : 0;
}

/* The offset that a sequence number means: the one nearest to what is acknowledged. */
static __s64 offset_of(const struct side *side, __u32 seq)
{
	return side->acked + (__s32)(seq - side->first - (__u32)side->acked);
}

/* Whether the ACK is one of bytes that `side` has not sent; a FIN counts as one more. By RFC 5961 an ACK that is too old
 * is wrong too, but Linux takes such a segment's data on its fast path. */
static int ack_is_wrong(const struct side *side, const struct sg_segment_head *head)
{
	return head->has_ack && side->started && offset_of(side, head->ack) > side->sent + 1;
}

/* Whether the receiver has seen a newer timestamp: what it echoes it compares with, and 0 it does not. */
static int is_older(const struct side *receiver, const struct sg_segment_head *head)
{
	return head->has_timestamp && receiver->echo && (__s32)(receiver->echo - head->timestamp) > PAWS_SLACK;
}

/* Return whether a byte of [from, to) is there and another than in data, which begins at `from`. */
static int differs(const struct side *side, const __u8 *data, __u32 from, __u32 to)
{
	for (int i = 0; i < side->count; i++) {
		const struct range *range = &side->ranges[i];
		__u32 begin = (__u32)max(range->from, from), end = (__u32)min(range->to, to);

		if (begin < end && memcmp(side->bytes + begin, data + (begin - from), end - begin))
			return 1;
	}
	return 0;
}

/* Give the bytes of a closed side back that its receiver has. */
static void shrink(struct sg_streams *all, struct side *side)
{
	if (!side->closed || !side->room || side->acked < side->limit)
		return;
	sg_streams_give(all, side->bytes, side->room);
	side->bytes = NULL;
	side->room = 0;
	side->count = 0;
}

static int is_there(const struct side *side, __u32 from, __u32 to)
{
	for (int i = 0; i < side->count; i++) {
		if (side->ranges[i].from <= from && to <= side->ranges[i].to)
			return 1;
	}
	return 0;
}

/* Make room up to an offset. Returns 0, or -1 without memory. */
static int grow(struct sg_streams *all, struct side *side, __u32 to)
{
	__u32 room = (to + GROWTH - 1) / GROWTH * GROWTH;
	__u8 *bytes;

	if (to <= side->room)
		return 0;
	bytes = sg_streams_take(all, room, side->room);
	if (!bytes)
		return -1;
	if (side->room)
		memcpy(bytes, side->bytes, side->room);
	sg_streams_give(all, side->bytes, side->room);
	side->bytes = bytes;
	side->room = (__u16)room;
	return 0;
}

/* Keep the bytes of [from, to), which differ from none that is there. Returns 0, or -1 without room. One range is left
 * for the first byte, and what follows in order needs none: so a side goes on whatever waits. */
static int keep(struct sg_streams *all, struct side *side, const __u8 *data, __u32 from, __u32 to)
{
	struct range *ranges = side->ranges;
	int first = 0, behind, most = SG_STREAM_RANGES - (from && !in_order(side));
	__u32 begin = from, end = to;

	while (first < side->count && ranges[first].to < from)
		first++;
	for (behind = first; behind < side->count && ranges[behind].from <= to; behind++)
		;
	if ((first == behind && side->count >= most) || grow(all, side, to))
		return -1;
	memcpy(side->bytes + from, data, to - from);
	if (first < behind) {
		begin = (__u32)min(from, ranges[first].from);
		end = (__u32)max(to, ranges[behind - 1].to);
	}
	memmove(&ranges[first + 1], &ranges[behind], (size_t)(side->count - behind) * sizeof(*ranges));
	ranges[first] = (struct range){ (__u16)begin, (__u16)end };
	side->count = (__u8)(side->count + 1 - (behind - first));
	side->fixed = 1;
	return 0;
}

/* Note what a segment of `from` says of both sides, as its receiver takes it. */
static void note(struct side *from, struct side *to, const struct sg_segment_head *head, __s64 end)
{
	if (end > from->sent)
		from->sent = end;
	if (!head->has_ack || !to->started)
		return;
	to->fixed = 1;
	to->acked = max(to->acked, min(offset_of(to, head->ack), to->sent));
	if (head->has_timestamp && (!from->echo || (__s32)(head->echo - from->echo) > 0))
		from->echo = head->echo;
}

enum sg_segment sg_stream_add(struct sg_streams *all, struct sg_stream *stream, const struct sg_segment_head *head,
			      const __u8 *data, __u32 len)
{
	struct side *from = &stream->sides[head->side & 1], *to = &stream->sides[!(head->side & 1)];
	__u32 before = in_order(from), begin, stop, limit;
	__s64 start, end;

	if (head->starts && !ack_is_wrong(to, head))
		sg_stream_start(stream, head->side, head->seq);
	if (!from->started || (head->starts && from->first != head->seq))
		return SG_SEGMENT_USELESS;
	start = offset_of(from, head->seq);
	end = start + len;
	if (start > from->acked + WINDOW_MAX)
		return SG_SEGMENT_USELESS;
	if (end < from->acked)
		return SG_SEGMENT_REPEATS;
	if (ack_is_wrong(to, head) || is_older(to, head))
		return SG_SEGMENT_USELESS;
	limit = limit_of(from);
	begin = (__u32)max(0, min(start, limit));
	stop = (__u32)min(end, limit);
	if (end > from->acked && begin < stop && differs(from, data + (begin - start), begin, stop))
		return SG_SEGMENT_DIFFERS;
	note(from, to, head, len ? end : 0);
	shrink(all, to);
	if (!len || end <= from->acked)
		return SG_SEGMENT_REPEATS;
	if (begin == stop || (from->closed && stop <= from->acked) || is_there(from, begin, stop))
		return end > limit ? SG_SEGMENT_BEYOND : SG_SEGMENT_REPEATS;
	if (keep(all, from, data + (begin - start), begin, stop))
		return SG_SEGMENT_NO_ROOM;
	return in_order(from) > before ? SG_SEGMENT_NEW : SG_SEGMENT_WAITS;
}

const __u8 *sg_stream_bytes(const struct sg_stream *stream, __u8 side, __u32 *len)
{
	const struct side *asked = &stream->sides[side & 1];

	*len = in_order(asked);
	return *len ? asked->bytes : NULL;
}

const __u8 *sg_stream_kept(const struct sg_stream *stream, __u8 side, __u32 seq, __u32 len)
{
	const struct side *asked = &stream->sides[side & 1];
	__s64 start = offset_of(asked, seq);

	if (start < 0 || start + len > SG_STREAM_BYTES || !is_there(asked, (__u32)start, (__u32)start + len))
		return NULL;
	return asked->bytes + start;
}

void sg_stream_close(struct sg_streams *all, struct sg_stream *stream)
{
	for (int i = 0; i < 2; i++) {
		struct side *side = &stream->sides[i];

		if (!side->closed)
			side->limit = side->count ? side->ranges[side->count - 1].to : 0;
		side->closed = 1;
		shrink(all, side);
	}
}

static int side_is_settled(const struct side *side)
{
	__s64 came = min(side->sent, limit_of(side));

	return side->acked >= came && (side->closed || in_order(side) == came);
}

int sg_stream_is_settled(const struct sg_stream *stream)
{
	return side_is_settled(&stream->sides[0]) && side_is_settled(&stream->sides[1]);
}
