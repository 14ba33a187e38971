/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The first bytes of both sides of a TCP connection, in order, whatever way they came. Policy-free, no I/O, no clock.
 *
 * Of each side the first SG_STREAM_BYTES are kept, until the stream is dropped or closed: so a later copy of a byte is compared
 * with the one that was looked at. A segment that the receiver would throw away changes nothing.
 *
 * No receiver is imitated. If the caller drops what DIFFERS, is USELESS or finds NO_ROOM, then of each byte one version
 * alone comes across, and all receivers agree on it. If it passes what DIFFERS, the stream is of no use any more. RSTs
 * have no place here. Nor has an urgent pointer: some receivers take the byte before it out of the stream, so the caller
 * refuses such segments. */
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
	SG_SEGMENT_REPEATS,	/* it has no byte, or none that its receiver lacks: a keep-alive's may be any */
	SG_SEGMENT_DIFFERS,	/* a byte is another than before: nothing of it is kept */
	SG_SEGMENT_BEYOND,	/* what is new of it lies behind the last byte that is kept of its side */
	SG_SEGMENT_USELESS,	/* its receiver throws it away: by its window, its ACK or its timestamp */
	SG_SEGMENT_NO_ROOM,	/* no memory, or too many holes: nothing of it is kept */
};

struct sg_streams;		/* all streams of a core, and what memory they may have */
struct sg_stream;

/* What a segment says besides its bytes; seq and ack in host order. */
struct sg_segment_head {
	__u32 seq;		/* of the first byte of data: after a SYN's own number */
	__u32 ack;		/* with has_ack */
	__u32 timestamp;	/* with has_timestamp: TSval (RFC 7323) */
	__u32 echo;		/* with has_timestamp and has_ack: TSecr */
	__u8 side;		/* 0: of the initiator */
	__u8 has_ack;
	__u8 has_timestamp;
	__u8 starts;		/* it is a SYN, which names its side's first byte, if its ACK is right */
};

/* NULL: no memory. `bytes` is the most that all streams may take together. */
struct sg_streams *sg_streams_new(__u64 bytes);
/* Free it after all of its streams. */
void sg_streams_free(struct sg_streams *all);
/* Return the bytes that streams have now, with what the allocator takes. */
__u64 sg_streams_bytes(const struct sg_streams *all);
/* Return whether so much more may be taken. */
int sg_streams_has_room(const struct sg_streams *all, __u64 bytes);
/* Take zeroed memory out of theirs; NULL: there is none, or it would be too much once `freed` bytes are given back. */
void *sg_streams_take(struct sg_streams *all, __u32 bytes, __u32 freed);
/* Give back memory that was taken as so many bytes. */
void sg_streams_give(struct sg_streams *all, void *taken, __u32 bytes);
/* Count memory that was taken as `before` bytes as so many now. */
void sg_streams_resize(struct sg_streams *all, __u32 before, __u32 bytes);

/* NULL: no memory. */
struct sg_stream *sg_stream_new(struct sg_streams *all);
void sg_stream_free(struct sg_streams *all, struct sg_stream *stream);
/* Name the sequence number of a side's first byte, which is its SYN's + 1. Another number counts as long as no byte of
 * the side is kept and nothing of it is acknowledged. */
void sg_stream_start(struct sg_stream *stream, __u8 side, __u32 first_seq);
/* Take a segment in, also one without bytes: its ACK counts. Of a side without a start each is USELESS. */
enum sg_segment sg_stream_add(struct sg_streams *all, struct sg_stream *stream, const struct sg_segment_head *head,
			      const __u8 *data, __u32 len);
/* Return the bytes of a side that are there in order from the first on, and how many; NULL and 0: none. They stay in
 * place until the next sg_stream_add(). */
const __u8 *sg_stream_bytes(const struct sg_stream *stream, __u8 side, __u32 *len);
/* Return where so many bytes of a side lie, of which the first has this number; NULL: not all are kept. */
const __u8 *sg_stream_kept(const struct sg_stream *stream, __u8 side, __u32 seq, __u32 len);
/* Keep no more bytes than there are, but for holes between them, and those until they are acknowledged. */
void sg_stream_close(struct sg_streams *all, struct sg_stream *stream);
/* Return whether every byte that came, of those that are to be kept, is there in order and acknowledged. */
int sg_stream_is_settled(const struct sg_stream *stream);

#endif
