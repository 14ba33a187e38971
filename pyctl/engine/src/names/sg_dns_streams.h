/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Follows DNS over TCP: cuts both sides' bytes into messages, however they are cut into segments, for as long as the
 * connection lives. Policy-free, no I/O, no clock.
 *
 * Bytes are taken in order alone: a segment behind a hole is refused, and its sender repeats it. So nothing is put together
 * out of order, and nothing is kept but the beginning of one message of each side. */
#ifndef SG_DNS_STREAMS_H
#define SG_DNS_STREAMS_H

#include "base/sg_pool.h"

struct sg_hash_key;

enum sg_dns_streams_limit {
	SG_DNS_STREAMS = 4096,			/* connections */
	SG_DNS_STREAM_BYTES = 16 << 20,		/* of beginnings in all */
	SG_DNS_MESSAGE = 65535,
};

/* What of all that is one port's: it may have as much as is then free. */
struct sg_dns_share {
	__u32 streams;
	__u64 bytes;
};

struct sg_dns_side {
	__u8 *begun;		/* of a message, its length before it; NULL: none */
	__u32 have;		/* bytes of it */
	__u32 room;
	__u32 skip;		/* bytes to come of a message for which there was no memory */
	__u32 next;		/* sequence number */
	__u8 known;		/* where the next message begins: `next` counts */
};

struct sg_dns_stream {
	__u64 flow;		/* the session's handle */
	struct sg_dns_side sides[2];	/* [0] who asks */
};

struct sg_dns_streams {
	const struct sg_hash_key *hash_key;
	struct sg_dns_stream *all;
	struct sg_pool pool;
	__u64 bytes;
};

/* A segment's payload. */
struct sg_dns_segment {
	const __u8 *data;
	__u32 length;
	__u32 seq;		/* of the first byte */
	__u8 side;
};

enum sg_dns_taken {
	SG_DNS_TAKEN,
	SG_DNS_HOLE,		/* bytes before it are missing: nothing of it is taken */
	SG_DNS_LOST,		/* a message is left out, for want of memory or because its side was lost */
};

/* 0 or -ENOMEM. */
int sg_dns_streams_init(struct sg_dns_streams *streams, const struct sg_hash_key *hash_key);
void sg_dns_streams_free(struct sg_dns_streams *streams);
/* Return the stream of a port's connection, made if needed; NULL: there is no room. */
struct sg_dns_stream *sg_dns_stream_of(struct sg_dns_streams *streams, struct sg_dns_share *share, __u64 flow);
/* Forget a connection that is over. */
void sg_dns_stream_end(struct sg_dns_streams *streams, struct sg_dns_share *share, __u64 flow);
/* Name the sequence number at which a side's next message begins. */
void sg_dns_stream_start(struct sg_dns_stream *stream, __u8 side, __u32 seq);
/* Take a segment in, and call `message` for each message that is whole now. Of a side whose start is not known, a segment
 * that is one whole message begins it anew; `skips`: what is behind a hole will not come again, so the side is lost there. */
enum sg_dns_taken sg_dns_stream_add(struct sg_dns_streams *streams, struct sg_dns_share *share, struct sg_dns_stream *stream,
				    const struct sg_dns_segment *segment, int skips,
				    void (*message)(void *context, const __u8 *bytes, __u32 length), void *context);

#endif
