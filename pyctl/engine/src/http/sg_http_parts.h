/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Takes the requests of a client of HTTP/1 apart as its bytes come, however they are cut: targets, header lines, bodies.
 * Pure: no allocation, no I/O, and no byte waits for a later one.
 *
 * sg_http.h reads requests to judge them, and takes whole heads; this only says what each byte belongs to. What servers may
 * frame differently is WRONG all the same, because one of them might find a request where this found a body. */
#ifndef SG_HTTP_PARTS_H
#define SG_HTTP_PARTS_H

#include "http/sg_http_request.h"

enum sg_http_part {
	SG_HTTP_TARGET,		/* of a request, as it was sent */
	SG_HTTP_HEADERS,	/* its header lines, each with its end of line; trailers too */
	SG_HTTP_BODY,		/* without what frames its chunks */
};

enum sg_http_parts_limit {
	SG_HTTP_LINE = 96,		/* bytes of a line that are looked at for what frames the body */
	SG_HTTP_HEADERS_MAX = 262144,	/* of one request: no server takes more */
};

/* What the bytes are. */
enum sg_http_parts_say {
	SG_HTTP_PARTS_MORE = 0,
	SG_HTTP_PARTS_OVER,	/* no HTTP/1, or not any more: what follows has no parts */
	SG_HTTP_PARTS_WRONG,	/* HTTP/1 whose framing servers may read differently; what follows has no parts */
};

/* How far a side is read. Begins as zeros. */
struct sg_http_parts {
	__u64 left;		/* bytes of the body, or of the chunk */
	__u64 length;		/* Content-Length */
	__u32 headers;		/* bytes of them */
	__u8 state;
	__u8 said;		/* enum sg_http_parts_say, once it is not MORE */
	__u8 line_len;
	__u8 has_length;
	__u8 chunked;
	__u8 form;		/* the body is a form as browsers send it: encoded as a query is */
	__u8 switches;		/* it asks for another protocol, or a tunnel */
	__u8 switched;		/* the request before it did */
	__u8 seen;		/* a request line was complete */
	__u8 method;		/* bytes of it */
	__u8 connect;		/* how much of it is CONNECT */
	__u8 head;		/* how much of it is HEAD */
	__u8 is_head;		/* its answer has no body */
	__u8 tunnel;		/* it is CONNECT */
	__u8 coding;		/* enum sg_http_coding, of its body */
	__u32 requests;		/* whose heads were complete */
	__u8 line[SG_HTTP_LINE];
};

/* Called with bytes of a part; `ends`: the part is complete, maybe with no byte more. Returns 1 to end the reading. */
typedef int (*sg_http_part_is)(void *ctx, enum sg_http_part part, const __u8 *bytes, __u32 len, int ends);

/* Read the next bytes. */
enum sg_http_parts_say sg_http_parts_read(struct sg_http_parts *parts, const __u8 *bytes, __u32 len, sg_http_part_is is,
					  void *ctx);

#endif
