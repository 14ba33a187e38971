/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads what a client of HTTP/1 sends, request after request (RFC 9112), as strictly as the strictest server. Pure: no
 * allocation, no I/O.
 *
 * What two servers might read differently is refused, because one of them could find a request in it that nobody judged:
 * two framings, lines that end without CR, folded or misspelt headers, two Hosts. A path that servers may read differently
 * is no such thing: it has several readings, and each of them is judged. */
#ifndef SG_HTTP_H
#define SG_HTTP_H

#include "http/sg_http_request.h"

/* How far one side is read. Begins as zeros. */
struct sg_http_reader {
	__u32 scanned;		/* bytes of the unit that is not complete, in which its end is not */
	__u8 state;
	__u8 begun;		/* that unit is a request of which the first line is complete */
};

/* Return whether the next unit is a request, or nothing has come of a body's framing. */
static inline int sg_http_wants_request(const struct sg_http_reader *reader)
{
	return !reader->state;
}

enum sg_http_unit {
	SG_HTTP_MORE = 0,	/* the next unit is not complete; with `part`, *request is filled with what is there of it */
	SG_HTTP_REQUEST,	/* a request's head */
	SG_HTTP_FRAMING,	/* bytes that only frame a body, or nothing: an empty line, a chunk's size, trailers */
	SG_HTTP_WRONG,		/* no request, or one that may be read differently; the reader is of no use any more */
	SG_HTTP_NO_ROOM,	/* no memory while it was read; the reader is of no use any more */
};

struct sg_http_step {
	enum sg_http_unit unit;
	__u32 used;		/* bytes of the unit */
	__u8 part;
	__u64 body;		/* so many bytes behind it are of no matter, whatever they are */
};

/* Read one unit from the first of these bytes on; of one that is not complete, the next call has the same bytes and more.
 * *request is filled with SG_HTTP_REQUEST. */
struct sg_http_step sg_http_read(struct sg_http_reader *reader, const __u8 *bytes, __u32 len,
				 struct sg_http_request *request);

#endif
