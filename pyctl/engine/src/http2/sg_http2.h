/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads what a client of HTTP/2 sends, frame after frame (RFC 9113), as strictly as the strictest server: its requests, each
 * as one of HTTP/1 is told. No I/O, and no allocation but the header table's (http2/sg_inflate.h).
 *
 * What two servers might read differently is refused: fields that are there twice or in another order, names with capitals,
 * control characters, headers that only HTTP/1 has, frames where they have no place. Of other frames nothing is read but how
 * long they are. */
#ifndef SG_HTTP2_H
#define SG_HTTP2_H

#include "http/sg_http.h"
#include "http2/sg_inflate.h"

enum sg_http2_limit {
	SG_HTTP2_CONTINUATIONS = 64,		/* frames of one header block, besides the first */
	SG_HTTP2_LIST = 65536,			/* of one request's fields, as SETTINGS_MAX_HEADER_LIST_SIZE counts them */
	SG_HTTP2_CALL = 1 << 20,		/* of all requests of a segment: a few bytes may stand for long fields */
};

/* How far one side is read. */
struct sg_http2_reader {
	struct sg_inflater *inflater;
	__u32 last_stream;	/* the highest that a request opened */
	__u32 left;		/* of SG_HTTP2_CALL */
	__u8 state;
	__u8 decodes;		/* a block was read since sg_http2_segment(): the table cannot go back to what it was */
};

/* Begin with the first byte of the client's preface, after so many streams: 0, or 1 after Upgrade. 0, or -1: no memory, or no
 * library. */
int sg_http2_begin(struct sg_http2_reader *reader, struct sg_streams *all, __u32 last_stream);
void sg_http2_end(struct sg_http2_reader *reader);
/* Say that what is read next is another segment's. */
static inline void sg_http2_segment(struct sg_http2_reader *reader)
{
	reader->left = SG_HTTP2_CALL;
	reader->decodes = 0;
}

/* Read one unit from the first of these bytes on, as sg_http_read() does; each has its application. */
struct sg_http_step sg_http2_read(struct sg_http2_reader *reader, const __u8 *bytes, __u32 len,
				  struct sg_http_request *request);

#endif
