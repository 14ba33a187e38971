/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The requests of an HTTP connection, from its first byte to its last, whatever way its segments come. Policy-free, no I/O. */
#ifndef SG_REQUESTS_H
#define SG_REQUESTS_H

#include "http/sg_http.h"
#include "http2/sg_http2.h"
#include "stream/sg_window.h"

/* What a segment of the client is. */
enum sg_requests_say {
	SG_REQUESTS_PASS,	/* every request in it is allowed, and none of its bytes belongs to another */
	SG_REQUESTS_WAIT,	/* its end is a part of a head that is not complete; what came before it passes */
	SG_REQUESTS_AGAIN,	/* it repeats such a part */
	SG_REQUESTS_AHEAD,	/* it lies behind a hole */
	SG_REQUESTS_REFUSED,	/* by whoever judges */
	SG_REQUESTS_WRONG,	/* it is no request, or one that may be read differently */
	SG_REQUESTS_DIFFER,	/* a byte is another than before */
	SG_REQUESTS_NO_ROOM,	/* no memory: its sender may repeat it */
	SG_REQUESTS_LOST,	/* no memory, and it cannot be read again: HTTP/2's table has changed */
};

struct sg_requests {
	struct sg_window *window;
	struct sg_http_reader reader;
	struct sg_http2_reader http2;	/* with is_http2 */
	__u32 preface;		/* bytes before the first request, which are none */
	__u8 count;		/* requests so far; more than one are two */
	__u8 becomes;		/* enum sg_http_switch, of the first one */
	__u8 begins;		/* of the one whose head is not complete, what is there passes */
	__u8 is_http2;
};

/* Judge a request, which is the caller's until it returns. 0: it is allowed. One that is a part: 0: it is, whatever comes. */
typedef int (*sg_requests_judge)(void *ctx, const struct sg_http_request *request);

/* Begin with the client's first byte, of this sequence number; the first request is so many bytes behind it. 0, or -1: no
 * memory. */
int sg_requests_begin(struct sg_streams *all, struct sg_requests *requests, __u32 first_seq, __u32 preface);
/* Say that what comes behind what was read is HTTP/2, whose streams begin behind this one. 0, or -1: no memory, or no
 * library. */
int sg_requests_turn_http2(struct sg_streams *all, struct sg_requests *requests, __u32 last_stream);
void sg_requests_end(struct sg_streams *all, struct sg_requests *requests);
/* Return whether what the client sent before this sequence number passes. */
int sg_requests_pass(const struct sg_requests *requests, __u32 seq);
/* Read a segment of the client; `judge` is called with each request that it completes. A segment that is refused, wrong
 * or finds no room counts as not seen. */
enum sg_requests_say sg_requests_add(struct sg_streams *all, struct sg_requests *requests, __u32 seq, const __u8 *data,
				     __u32 len, sg_requests_judge judge, void *ctx);

#endif
