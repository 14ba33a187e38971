/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The first bytes of both sides of a TCP connection, in order, whatever way they came. Policy-free, no I/O.
 *
 * Of each side the first SG_STREAM_BYTES are kept, until the stream is dropped: so a later copy of a byte is compared with the
 * one that was looked at. A segment that the receiver would throw away changes nothing. */
#ifndef SG_STREAM_H
#define SG_STREAM_H

#include "api/sg_core.h"

enum sg_stream_limit {
	SG_STREAM_BYTES = 16384,	/* of each side */
	SG_STREAM_RANGES = 16,		/* pieces of each side that have holes between them */
};

enum sg_segment {
	SG_SEGMENT_NEW,		/* there are more bytes in order than before */
	SG_SEGMENT_WAITS,	/* kept behind a hole */
	SG_SEGMENT_REPEATS,	/* every byte was there already, and is the same; also a segment without bytes */
	SG_SEGMENT_DIFFERS,	/* a byte is another than before: nothing of it is kept */
	SG_SEGMENT_BEYOND,	/* it begins behind the last byte that is kept of its side */
	SG_SEGMENT_USELESS,	/* its receiver throws it away: out of its window, or older by its timestamp */
	SG_SEGMENT_NO_ROOM,	/* no memory, or too many holes */
};

struct sg_streams;		/* all streams of a core, and what memory they may have */
struct sg_stream;

/* What a segment says besides its bytes; seq and ack in host order. */
struct sg_segment_head {
	__u32 seq;		/* of the first byte of data */
	__u32 ack;		/* with has_ack */
	__u32 timestamp;	/* with has_timestamp: TSval (RFC 7323) */
	__u8 side;		/* 0: of the initiator */
	__u8 has_ack;
	__u8 has_timestamp;
};

/* NULL: no memory. `bytes` is the most that all streams may take together. */
struct sg_streams *sg_streams_new(__u64 bytes);
void sg_streams_free(struct sg_streams *all);
/* Bytes that streams have now. */
__u64 sg_streams_bytes(const struct sg_streams *all);

/* NULL: no memory. */
struct sg_stream *sg_stream_new(struct sg_streams *all);
void sg_stream_free(struct sg_streams *all, struct sg_stream *stream);
/* Name the sequence number of a side's first byte, which is its SYN's + 1. */
void sg_stream_start(struct sg_stream *stream, __u8 side, __u32 first_seq);
enum sg_segment sg_stream_add(struct sg_streams *all, struct sg_stream *stream, const struct sg_segment_head *head,
			      const __u8 *data, __u32 len);
/* Return the bytes of a side that are there in order from the first on, and how many; NULL and 0: none. */
const __u8 *sg_stream_bytes(const struct sg_stream *stream, __u8 side, __u32 *len);
/* Return whether every byte that was kept is acknowledged, and none of them is behind a hole. */
int sg_stream_is_settled(const struct sg_stream *stream);

#endif
